/**
 * The operator's keyboard, in one of two modes. Physical: keys by their place
 * (core/viewer/keys.ts), so that the remote layout decides what appears. Text: what
 * the operator types is what appears, also from a phone's keyboard or an input
 * method; keys that write nothing, and shortcuts, still go as keys.
 *
 * What is promised: a key that was not pressed is never released, a key is
 * pressed once and repeats as long as this keyboard says so, and everything
 * is released when the page loses focus or is hidden, and on releaseAll.
 *
 * With a press go the locks that it shows (core/viewer/locks.ts).
 *
 * What browsers get wrong, and is put right here:
 *   - Windows reports AltGr as ControlLeft followed by AltRight;
 *   - Windows says nothing of the first of two shifts that go up;
 *   - Windows says nothing of PrintScreen going down;
 *   - macOS reports no key going up while Cmd is down;
 *   - macOS reports CapsLock down when it goes on and up when it goes off;
 *   - the keys of Japanese keyboards never go up.
 */
import { thisSystem, type System } from '../system';
import { usages, type Chord } from './keys';
import { shownLocks, type ShownLocks } from './locks';

export interface KeyboardOutput {
  /** With a press: the locks that it shows, and whether it is a repeat of a key that is down. */
  key(usage: number, down: boolean, more?: Partial<ShownLocks> & { repeat?: boolean }): void;
  text(text: string): void;
  releaseAll(): void;
  /** Ctrl+Alt+Shift pressed and let go alone: the operator wants the toolbar. */
  escape(): void;
}

const ALTGR_WAIT = 100; // ms in which AltRight may follow the ControlLeft that is no key
const ALTGR_APART = 50; // ms between the two events' times
const MODIFIERS = new Set(['ControlLeft', 'ControlRight', 'AltLeft', 'AltRight', 'ShiftLeft', 'ShiftRight', 'MetaLeft', 'MetaRight']); // prettier-ignore
const NEVER_UP = new Set(['KanaMode', 'Convert', 'NonConvert', 'Lang1', 'Lang2', 'Lang3', 'Lang4', 'Lang5']);
const ESCAPE_CHORD = ['Control', 'Alt', 'Shift'] as const;

export class Keyboard {
  #out: KeyboardOutput;
  #system: System;
  #field: HTMLTextAreaElement; // takes the typing in text mode
  #pressed = new Set<string>(); // codes, as told to the other side
  #waiting: { time: number; timer: ReturnType<typeof setTimeout> } | undefined; // a ControlLeft that may be AltGr
  #escaping = false;
  #composing = false;
  #gone = new AbortController();

  /** False: keys are left to the page. */
  enabled = true;
  textMode = false;

  /** target: the element whose keys are taken; field: a hidden text area inside it. */
  constructor(target: HTMLElement, field: HTMLTextAreaElement, out: KeyboardOutput, system = thisSystem()) {
    this.#out = out;
    this.#field = field;
    this.#system = system;
    const { signal } = this.#gone;
    target.addEventListener('keydown', (e) => this.#down(e), { signal });
    target.addEventListener('keyup', (e) => this.#up(e), { signal });
    target.addEventListener('focusout', () => this.releaseAll(), { signal });
    window.addEventListener('blur', () => this.releaseAll(), { signal });
    window.addEventListener('pagehide', () => this.releaseAll(), { signal });
    document.addEventListener('visibilitychange', () => document.hidden && this.releaseAll(), { signal });
    document.addEventListener('pointerlockchange', () => document.pointerLockElement ?? this.releaseAll(), { signal }); // prettier-ignore
    field.addEventListener('beforeinput', (e) => this.#beforeInput(e), { signal });
    field.addEventListener('input', () => this.#takeText(), { signal });
    field.addEventListener('compositionstart', () => (this.#composing = true), { signal });
    field.addEventListener('compositionend', () => this.#composed(), { signal });
  }

  /** Presses and releases a chord, around whatever is pressed already. */
  send(chord: Chord): void {
    const fresh = chord.filter((code) => usages.has(code) && !this.#pressed.has(code));
    for (const code of fresh) this.#press(code);
    for (const code of fresh.toReversed()) this.#release(code);
  }

  /** Presses or releases one key by itself: a phone's key row. Returns whether it is down now. */
  toggle(code: string): boolean {
    if (this.#pressed.has(code)) this.#release(code);
    else if (usages.has(code)) this.#press(code);
    return this.#pressed.has(code);
  }

  get pressed(): ReadonlySet<string> {
    return this.#pressed;
  }

  releaseAll(): void {
    this.#forgetWaiting();
    this.#escaping = false;
    if (this.#pressed.size === 0) return;
    for (const code of [...this.#pressed].toReversed()) this.#release(code);
    this.#out.releaseAll();
  }

  close(): void {
    this.releaseAll();
    this.#gone.abort();
  }

  #down(event: KeyboardEvent): void {
    if (!this.enabled) return;
    if (this.#waiting && !this.#isAltGr(event)) this.#flushWaiting();
    this.#forgetWaiting();
    if (this.#leftToField(event)) return;
    event.preventDefault();
    event.stopPropagation();
    const { code } = event;
    if (event.repeat) return this.#repeat(code);
    if (this.#system === 'windows' && code === 'ControlLeft' && !this.#pressed.has(code))
      return this.#wait(event.timeStamp);
    if (!usages.has(code)) return this.#typeUnknown(event);
    if (this.#system === 'mac' && code === 'CapsLock') return this.send([code]);
    if (event.shiftKey && this.#fieldKeptShift(event)) return this.send(['ShiftLeft', code]);
    this.#press(code, shownLocks(event));
    this.#watchEscape(code);
    const heldByMac = this.#system === 'mac' && event.metaKey && !MODIFIERS.has(code);
    if (heldByMac || NEVER_UP.has(code)) this.#release(code);
  }

  #up(event: KeyboardEvent): void {
    if (!this.enabled) return;
    const { code } = event;
    if (this.#waiting && code === 'ControlLeft') this.#flushWaiting();
    if (this.#pressed.has(code)) {
      event.preventDefault();
      event.stopPropagation();
    }
    if (this.#system === 'windows' && code === 'PrintScreen' && !this.#pressed.has(code))
      return this.send([code]);
    if (this.#system === 'mac' && code === 'CapsLock') return this.send([code]);
    this.#release(code);
    if (this.#system === 'windows' && code.startsWith('Shift')) {
      this.#release('ShiftLeft');
      this.#release('ShiftRight');
    }
    if (this.#system === 'mac' && code.startsWith('Meta'))
      for (const held of [...this.#pressed]) if (!MODIFIERS.has(held)) this.#release(held);
    if (this.#escaping && this.#pressed.size === 0) {
      this.#escaping = false;
      this.#out.escape();
    }
  }

  #press(code: string, locks?: ShownLocks): void {
    const usage = usages.get(code);
    if (usage === undefined || this.#pressed.has(code)) return;
    this.#pressed.add(code);
    this.#out.key(usage, true, locks);
  }

  // The computer repeats nothing by itself: it cannot know how long a key is held.
  #repeat(code: string): void {
    const usage = usages.get(code);
    if (usage === undefined || !this.#pressed.has(code) || MODIFIERS.has(code)) return;
    this.#out.key(usage, true, { repeat: true });
  }

  #release(code: string): void {
    if (!this.#pressed.delete(code)) return;
    this.#out.key(usages.get(code) ?? 0, false);
  }

  #watchEscape(code: string): void {
    const down = [...this.#pressed];
    if (!MODIFIERS.has(code)) this.#escaping = false;
    else if (down.length === 3 && ESCAPE_CHORD.every((m) => down.some((c) => c.startsWith(m))))
      this.#escaping = true;
  }

  // AltGr on Windows: the ControlLeft that comes first is held back for a moment.
  #wait(time: number): void {
    this.#waiting = { time, timer: setTimeout(() => this.#flushWaiting(), ALTGR_WAIT) };
  }

  #isAltGr(event: KeyboardEvent): boolean {
    const since = this.#waiting ? event.timeStamp - this.#waiting.time : Infinity;
    return event.code === 'AltRight' && since <= ALTGR_APART;
  }

  #flushWaiting(): void {
    if (!this.#waiting) return;
    this.#forgetWaiting();
    this.#press('ControlLeft');
    this.#watchEscape('ControlLeft');
  }

  #forgetWaiting(): void {
    clearTimeout(this.#waiting?.timer);
    this.#waiting = undefined;
  }

  // A virtual or foreign keyboard names no place: its text or its meaning has to do.
  #typeUnknown(event: KeyboardEvent): void {
    if ([...event.key].length === 1) this.#out.text(event.key);
    else if (usages.has(event.key)) this.send([event.key]);
  }

  // In text mode the field takes what writes something; shortcuts and the rest stay keys.
  #leftToField(event: KeyboardEvent): boolean {
    if (!this.textMode || event.target !== this.#field) return false;
    if (event.isComposing || event.key === 'Process' || event.key === 'Unidentified' || event.key === 'Dead')
      return true;
    if ((event.ctrlKey || event.metaKey) && !event.getModifierState('AltGraph')) return false;
    if (event.altKey && this.#system === 'other' && !event.getModifierState('AltGraph')) return false;
    // A modifier that only shapes a letter must not reach the remote side as well.
    if (event.key === 'Shift' || event.key === 'AltGraph') return true;
    return [...event.key].length === 1;
  }

  // Shift stayed with the field (it shapes letters), but this key wants it: Shift+Home selects.
  #fieldKeptShift(event: KeyboardEvent): boolean {
    const told = this.#pressed.has('ShiftLeft') || this.#pressed.has('ShiftRight');
    return this.textMode && event.target === this.#field && !told && !event.code.startsWith('Shift');
  }

  #beforeInput(event: InputEvent): void {
    const chord = {
      insertLineBreak: 'Enter',
      insertParagraph: 'Enter',
      deleteContentBackward: 'Backspace',
      deleteContentForward: 'Delete',
    }[event.inputType];
    if (chord === undefined || this.#composing || event.isComposing) return;
    event.preventDefault();
    this.send([chord]);
  }

  #composed(): void {
    this.#composing = false;
    this.#takeText();
  }

  #takeText(): void {
    if (this.#composing) return;
    const text = this.#field.value.replaceAll('\u200b', '');
    // A phone reports no Backspace in an empty field, hence one invisible character.
    this.#field.value = '\u200b';
    if (text && this.enabled) this.#out.text(text);
  }
}
