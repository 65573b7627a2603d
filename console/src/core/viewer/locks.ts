/**
 * The locks of the operator's keyboard that a key shows: a letter shows Caps Lock, a digit of
 * the numpad Num Lock, an arrow Scroll Lock. The computer's are brought into line with
 * them, for they decide what the same key types there. No browser tells of a Kana lock.
 */
const CAPS = 1;
const NUM = 2;
const SCROLL = 4;

/** As in the wire's Key: which are known, and which of them are on. */
export interface ShownLocks {
  locks: number;
  locked: number;
}

export function shownLocks(event: KeyboardEvent): ShownLocks | undefined {
  const { code, key } = event;
  const one = [...key].length === 1;
  if (one && key.toLowerCase() !== key.toUpperCase())
    return { locks: CAPS, locked: event.getModifierState('CapsLock') ? CAPS : 0 };
  if (/^Numpad(\d|Decimal)$/.test(code)) {
    // A Mac and a Chromebook have no Num Lock, and their numpads type digits.
    const on = event.getModifierState('NumLock') || (one && !event.shiftKey);
    return { locks: NUM, locked: on ? NUM : 0 };
  }
  if (/^(Arrow|Page)/.test(code) && !/Mac|iPhone|iPad/.test(navigator.userAgent))
    return { locks: SCROLL, locked: event.getModifierState('ScrollLock') ? SCROLL : 0 };
  return undefined;
}
