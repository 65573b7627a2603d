import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { System } from '../system';
import { Keyboard } from './keyboard';
import { functionKeys, phoneKeys, phoneModifiers, specialKeys, usages } from './keys';

let log: string[];
let target: HTMLElement;
let field: HTMLTextAreaElement;
let keyboard: Keyboard;

const names = new Map(
  [...usages].filter(([code]) => !code.startsWith('OS')).map(([code, usage]) => [usage, code]),
);

function start(system: System = 'other') {
  keyboard?.close();
  log = [];
  target = document.createElement('div');
  target.tabIndex = 0;
  field = document.createElement('textarea');
  target.append(field);
  document.body.append(target);
  keyboard = new Keyboard(
    target,
    field,
    {
      key: (usage, down, more) => {
        const locks = more?.locks === undefined ? '' : `[${String(more.locks)}:${String(more.locked)}]`;
        log.push(`${more?.repeat ? '~' : down ? '+' : '-'}${names.get(usage)}${locks}`);
      },
      text: (text) => log.push(`"${text}"`),
      releaseAll: () => log.push('all'),
      escape: () => log.push('escape'),
    },
    system,
  );
}

function event(
  type: 'keydown' | 'keyup',
  code: string,
  more: KeyboardEventInit & { time?: number; on?: Element } = {},
) {
  const made = new KeyboardEvent(type, {
    code,
    key: more.key ?? code,
    bubbles: true,
    cancelable: true,
    ...more,
  });
  Object.defineProperty(made, 'timeStamp', { value: more.time ?? 0 });
  // happy-dom knows no locks.
  const asked = made.getModifierState.bind(made);
  const locks: Record<string, boolean | undefined> = {
    CapsLock: more.modifierCapsLock,
    NumLock: more.modifierNumLock,
    ScrollLock: more.modifierScrollLock,
  };
  made.getModifierState = (name) => locks[name] ?? asked(name);
  (more.on ?? target).dispatchEvent(made);
  return made;
}
const down = (code: string, more?: Parameters<typeof event>[2]) => event('keydown', code, more);
const up = (code: string, more?: Parameters<typeof event>[2]) => event('keyup', code, more);
const taken = () => log.splice(0).join(' ');

beforeEach(() => {
  vi.useFakeTimers();
  start();
});
afterEach(() => {
  keyboard.close();
  document.body.replaceChildren();
  vi.useRealTimers();
});

describe('physical keys', () => {
  it('go by their place, whatever is printed on them', () => {
    expect(down('KeyQ', { key: 'й' }).defaultPrevented).toBe(true);
    up('KeyQ', { key: 'й' });
    expect(taken()).toBe('+KeyQ[1:0] -KeyQ');
  });

  // Rule: the computer repeats nothing by itself; a key that is held here says each repeat.
  it('are pressed once, and repeat as often as this keyboard says', () => {
    down('KeyA');
    down('KeyA', { repeat: true });
    down('KeyA', { repeat: true });
    down('KeyA');
    up('KeyA');
    expect(taken()).toBe('+KeyA ~KeyA ~KeyA -KeyA');
  });

  it('do not repeat what is not down, nor what only shapes others', () => {
    down('KeyA', { repeat: true });
    down('ShiftLeft');
    down('ShiftLeft', { repeat: true });
    down('KeyB');
    window.dispatchEvent(new Event('blur'));
    down('KeyB', { repeat: true });
    expect(taken()).toBe('+ShiftLeft +KeyB -KeyB -ShiftLeft all');
  });

  it('are never released without having been pressed', () => {
    up('KeyA');
    up('ControlLeft');
    expect(taken()).toBe('');
  });

  it('that have no place send what they mean', () => {
    down('', { key: 'é' });
    down('', { key: 'Backspace' });
    down('', { key: 'Unidentified' });
    expect(taken()).toBe('"é" +Backspace -Backspace');
  });

  it('stay with the page while it is disabled', () => {
    keyboard.enabled = false;
    expect(down('KeyA').defaultPrevented).toBe(false);
    expect(taken()).toBe('');
  });
});

// Rule: a key says which of the operator's locks it shows, and how they are.
describe('the locks that a key shows', () => {
  it.each<[string, string, KeyboardEventInit, string]>([
    ['KeyA', 'A', { modifierCapsLock: true }, '+KeyA[1:1]'],
    ['KeyA', 'a', {}, '+KeyA[1:0]'],
    ['KeyA', 'A', { shiftKey: true, modifierNumLock: true }, '+KeyA[1:0]'],
    ['Quote', 'ä', { modifierCapsLock: true }, '+Quote[1:1]'],
    ['Digit1', '1', { modifierCapsLock: true }, '+Digit1'],
    ['Numpad7', '7', { modifierNumLock: true }, '+Numpad7[2:2]'],
    ['Numpad7', 'Home', {}, '+Numpad7[2:0]'],
    ['Numpad7', 'Home', { modifierNumLock: true, shiftKey: true }, '+Numpad7[2:2]'],
    ['Numpad7', '7', { shiftKey: true }, '+Numpad7[2:0]'],
    ['Numpad7', '7', {}, '+Numpad7[2:2]'], // a Mac
    ['NumpadDecimal', ',', { modifierNumLock: true }, '+NumpadDecimal[2:2]'],
    ['NumpadAdd', '+', { modifierNumLock: true }, '+NumpadAdd'],
    ['ArrowUp', 'ArrowUp', { modifierScrollLock: true }, '+ArrowUp[4:4]'],
    ['Home', 'Home', { modifierScrollLock: true }, '+Home'],
    ['CapsLock', 'CapsLock', { modifierCapsLock: true }, '+CapsLock'],
    ['NumLock', 'NumLock', { modifierNumLock: true }, '+NumLock'],
  ])('%s as %s with %o', (code, key, more, want) => {
    down(code, { key, ...more });
    expect(taken()).toBe(want);
    up(code, { key, ...more });
    expect(taken()).toBe(`-${code}`);
  });
});

describe('everything is released', () => {
  it.each<[string, () => void]>([
    ['when the window loses focus', () => window.dispatchEvent(new Event('blur'))],
    ['when the page goes away', () => window.dispatchEvent(new Event('pagehide'))],
    ['when the picture loses focus', () => target.dispatchEvent(new FocusEvent('focusout'))],
    ['when pointer lock is lost', () => document.dispatchEvent(new Event('pointerlockchange'))],
    ['when the keyboard is closed', () => keyboard.close()],
    [
      'when the page is hidden',
      () => {
        vi.spyOn(document, 'hidden', 'get').mockReturnValue(true);
        document.dispatchEvent(new Event('visibilitychange'));
      },
    ],
  ])('%s', (_name, leave) => {
    down('ShiftLeft');
    down('KeyA');
    taken();
    leave();
    expect(taken()).toBe('-KeyA -ShiftLeft all');
    up('KeyA');
    up('ShiftLeft');
    expect(taken()).toBe('');
  });

  it('but nothing is said when nothing is pressed', () => {
    window.dispatchEvent(new Event('blur'));
    expect(taken()).toBe('');
  });
});

describe('on Windows', () => {
  beforeEach(() => start('windows'));

  it('AltGr is AltRight alone', () => {
    down('ControlLeft', { time: 100 });
    down('AltRight', { time: 101 });
    down('KeyQ');
    up('KeyQ');
    up('ControlLeft');
    up('AltRight');
    expect(taken()).toBe('+AltRight +KeyQ -KeyQ -AltRight');
  });

  it('a ControlLeft of its own is sent after a moment', () => {
    down('ControlLeft');
    expect(taken()).toBe('');
    vi.advanceTimersByTime(100);
    expect(taken()).toBe('+ControlLeft');
    up('ControlLeft');
    expect(taken()).toBe('-ControlLeft');
  });

  it('a ControlLeft is sent before the next key, and when it is tapped', () => {
    down('ControlLeft', { time: 0 });
    down('KeyC', { time: 20 });
    up('KeyC');
    up('ControlLeft');
    expect(taken()).toBe('+ControlLeft +KeyC -KeyC -ControlLeft');
    down('ControlLeft');
    up('ControlLeft');
    expect(taken()).toBe('+ControlLeft -ControlLeft');
  });

  it('Ctrl and AltRight pressed by hand are both sent', () => {
    down('ControlLeft', { time: 0 });
    down('AltRight', { time: 80 });
    expect(taken()).toBe('+ControlLeft +AltRight');
  });

  it('a held-back ControlLeft is forgotten on blur', () => {
    down('ControlLeft');
    window.dispatchEvent(new Event('blur'));
    vi.advanceTimersByTime(500);
    expect(taken()).toBe('');
  });

  it('both shifts go up when one does', () => {
    down('ShiftLeft');
    down('ShiftRight');
    up('ShiftRight');
    expect(taken()).toBe('+ShiftLeft +ShiftRight -ShiftRight -ShiftLeft');
  });

  it('PrintScreen is pressed when it goes up', () => {
    up('PrintScreen');
    expect(taken()).toBe('+PrintScreen -PrintScreen');
  });
});

describe('on a Mac', () => {
  beforeEach(() => start('mac'));

  it('no key stays stuck under Cmd', () => {
    down('MetaLeft', { metaKey: true });
    down('KeyC', { metaKey: true });
    expect(taken()).toBe('+MetaLeft +KeyC -KeyC');
    up('MetaLeft');
    expect(taken()).toBe('-MetaLeft');
  });

  it('what was held before Cmd goes up with it', () => {
    down('KeyX');
    down('MetaLeft', { metaKey: true });
    up('MetaLeft');
    expect(taken()).toBe('+KeyX +MetaLeft -MetaLeft -KeyX');
  });

  it('CapsLock is a press each time it changes', () => {
    down('CapsLock');
    up('CapsLock');
    expect(taken()).toBe('+CapsLock -CapsLock +CapsLock -CapsLock');
  });
});

it('Japanese keys, which never go up, are released at once', () => {
  down('Convert');
  expect(taken()).toBe('+Convert -Convert');
});

describe('Ctrl + Alt + Shift alone asks for the toolbar', () => {
  it('when all three are let go', () => {
    for (const code of ['ControlLeft', 'AltLeft', 'ShiftLeft']) down(code);
    taken();
    for (const code of ['ShiftLeft', 'AltLeft', 'ControlLeft']) up(code);
    expect(taken()).toBe('-ShiftLeft -AltLeft -ControlLeft escape');
  });

  it('but not as part of a shortcut', () => {
    for (const code of ['ControlLeft', 'AltLeft', 'ShiftLeft', 'KeyK']) down(code);
    for (const code of ['KeyK', 'ShiftLeft', 'AltLeft', 'ControlLeft']) up(code);
    expect(taken()).not.toContain('escape');
  });
});

describe('text mode', () => {
  beforeEach(() => {
    keyboard.textMode = true;
  });
  const type = (text: string) => {
    field.value = `\u200b${text}`;
    field.dispatchEvent(new Event('input'));
  };

  it('leaves letters to the field and sends what it got', () => {
    expect(down('KeyQ', { key: 'й', on: field }).defaultPrevented).toBe(false);
    type('й');
    up('KeyQ', { key: 'й', on: field });
    expect(taken()).toBe('"й"');
  });

  it('sends shortcuts and keys that write nothing as keys', () => {
    down('ControlLeft', { key: 'Control', ctrlKey: true, on: field });
    down('KeyC', { key: 'c', ctrlKey: true, on: field });
    up('KeyC', { key: 'c', ctrlKey: true, on: field });
    up('ControlLeft', { key: 'Control', on: field });
    down('Enter', { on: field });
    up('Enter', { on: field });
    expect(taken()).toBe('+ControlLeft +KeyC[1:0] -KeyC -ControlLeft +Enter -Enter');
  });

  it('gives Shift to the keys that want it, and to them alone', () => {
    down('ShiftLeft', { key: 'Shift', shiftKey: true, on: field });
    type('A');
    down('Home', { shiftKey: true, on: field });
    up('ShiftLeft', { key: 'Shift', on: field });
    expect(taken()).toBe('"A" +ShiftLeft +Home -Home -ShiftLeft');
  });

  it('sends a composition when it is done, once', () => {
    field.dispatchEvent(new CompositionEvent('compositionstart'));
    type('に');
    type('にほん');
    expect(taken()).toBe('');
    field.value = '\u200b日本';
    field.dispatchEvent(new CompositionEvent('compositionend', { data: '日本' }));
    field.dispatchEvent(new Event('input'));
    expect(taken()).toBe('"日本"');
  });

  it.each([
    ['deleteContentBackward', '+Backspace -Backspace'],
    ['insertLineBreak', '+Enter -Enter'],
    ['deleteContentForward', '+Delete -Delete'],
  ])("takes a phone's %s for a key", (inputType, keys) => {
    field.dispatchEvent(new InputEvent('beforeinput', { inputType, cancelable: true }));
    expect(taken()).toBe(keys);
  });

  it('takes AltGr letters on Windows for text', () => {
    start('windows');
    keyboard.textMode = true;
    down('ControlLeft', { key: 'Control', ctrlKey: true, time: 0, on: field });
    down('AltRight', { key: 'AltGraph', time: 1, on: field });
    vi.advanceTimersByTime(500);
    type('@');
    expect(taken()).toBe('"@"');
  });
});

describe('chords', () => {
  it('are pressed in order and released in reverse, around what is held', () => {
    keyboard.send(['ControlLeft', 'AltLeft', 'Delete']);
    expect(taken()).toBe('+ControlLeft +AltLeft +Delete -Delete -AltLeft -ControlLeft');
    keyboard.toggle('ControlLeft');
    keyboard.send(['ControlLeft', 'KeyW']);
    expect(taken()).toBe('+ControlLeft +KeyW -KeyW');
    expect(keyboard.toggle('ControlLeft')).toBe(false);
  });

  it('in the menus are made of known keys', () => {
    const all = [...specialKeys, ...functionKeys, ...phoneKeys].flatMap((key) => [...key.chord]);
    for (const code of [...all, ...phoneModifiers.map((m) => m.code)])
      expect(usages.has(code), code).toBe(true);
  });

  it('cover F1 to F24', () => expect(functionKeys.map((k) => usages.get(k.chord[0] ?? ''))).toHaveLength(24));
});
