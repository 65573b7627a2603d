/**
 * Physical keys: the `code` of a KeyboardEvent (UI Events KeyboardEvent code
 * Values) to the usage number on page 7 of the USB HID usage tables. It names
 * the place on the keyboard, not what is printed on it.
 */
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

export const usages: ReadonlyMap<string, number> = new Map([
  ...[...letters].map((l, i): [string, number] => [`Key${l}`, 0x04 + i]),
  ...[...'1234567890'].map((d, i): [string, number] => [`Digit${d}`, 0x1e + i]),
  ...range('F', 1, 12, 0x3a),
  ...range('F', 13, 24, 0x68),
  ...[...'1234567890'].map((d, i): [string, number] => [`Numpad${d}`, 0x59 + i]),
  ...Object.entries({
    Enter: 0x28,
    Escape: 0x29,
    Backspace: 0x2a,
    Tab: 0x2b,
    Space: 0x2c,
    Minus: 0x2d,
    Equal: 0x2e,
    BracketLeft: 0x2f,
    BracketRight: 0x30,
    Backslash: 0x31,
    IntlHash: 0x32,
    Semicolon: 0x33,
    Quote: 0x34,
    Backquote: 0x35,
    Comma: 0x36,
    Period: 0x37,
    Slash: 0x38,
    CapsLock: 0x39,
    PrintScreen: 0x46,
    ScrollLock: 0x47,
    Pause: 0x48,
    Insert: 0x49,
    Home: 0x4a,
    PageUp: 0x4b,
    Delete: 0x4c,
    End: 0x4d,
    PageDown: 0x4e,
    ArrowRight: 0x4f,
    ArrowLeft: 0x50,
    ArrowDown: 0x51,
    ArrowUp: 0x52,
    NumLock: 0x53,
    NumpadDivide: 0x54,
    NumpadMultiply: 0x55,
    NumpadSubtract: 0x56,
    NumpadAdd: 0x57,
    NumpadEnter: 0x58,
    NumpadDecimal: 0x63,
    IntlBackslash: 0x64,
    ContextMenu: 0x65,
    Power: 0x66,
    NumpadEqual: 0x67,
    Open: 0x74,
    Help: 0x75,
    Props: 0x76,
    Select: 0x77,
    Abort: 0x78,
    Again: 0x79,
    Undo: 0x7a,
    Cut: 0x7b,
    Copy: 0x7c,
    Paste: 0x7d,
    Find: 0x7e,
    AudioVolumeMute: 0x7f,
    VolumeMute: 0x7f,
    AudioVolumeUp: 0x80,
    VolumeUp: 0x80,
    AudioVolumeDown: 0x81,
    VolumeDown: 0x81,
    NumpadComma: 0x85,
    IntlRo: 0x87,
    KanaMode: 0x88,
    IntlYen: 0x89,
    Convert: 0x8a,
    NonConvert: 0x8b,
    Lang1: 0x90,
    HangulMode: 0x90,
    Lang2: 0x91,
    Hanja: 0x91,
    Lang3: 0x92,
    Katakana: 0x92,
    Lang4: 0x93,
    Hiragana: 0x93,
    Lang5: 0x94,
    NumpadParenLeft: 0xb6,
    NumpadParenRight: 0xb7,
    NumpadBackspace: 0xbb,
    NumpadMemoryStore: 0xd0,
    NumpadMemoryRecall: 0xd1,
    NumpadMemoryClear: 0xd2,
    NumpadMemoryAdd: 0xd3,
    NumpadMemorySubtract: 0xd4,
    NumpadClear: 0xd8,
    NumpadClearEntry: 0xd9,
    ControlLeft: 0xe0,
    ShiftLeft: 0xe1,
    AltLeft: 0xe2,
    MetaLeft: 0xe3,
    OSLeft: 0xe3,
    ControlRight: 0xe4,
    ShiftRight: 0xe5,
    AltRight: 0xe6,
    MetaRight: 0xe7,
    OSRight: 0xe7,
  }),
]);

function range(prefix: string, from: number, to: number, usage: number): [string, number][] {
  return Array.from({ length: to - from + 1 }, (_, i) => [`${prefix}${from + i}`, usage + i]);
}

/** A chord is pressed in order and released in reverse: codes as above. */
export type Chord = readonly string[];

/** What a browser or the operator's own system would keep for itself. */
export const specialKeys = [
  { name: 'Ctrl + Alt + Del', chord: ['ControlLeft', 'AltLeft', 'Delete'] },
  { name: 'Win', chord: ['MetaLeft'] },
  { name: 'Alt + Tab', chord: ['AltLeft', 'Tab'] },
  { name: 'Alt + F4', chord: ['AltLeft', 'F4'] },
  { name: 'Ctrl + Shift + Esc', chord: ['ControlLeft', 'ShiftLeft', 'Escape'] },
  { name: 'Ctrl + W', chord: ['ControlLeft', 'KeyW'] },
  { name: 'Ctrl + T', chord: ['ControlLeft', 'KeyT'] },
  { name: 'PrtSc', chord: ['PrintScreen'] },
  { name: 'Alt + PrtSc', chord: ['AltLeft', 'PrintScreen'] },
  { name: 'Esc', chord: ['Escape'] },
  { name: 'Pause', chord: ['Pause'] },
  { name: 'Insert', chord: ['Insert'] },
] as const satisfies readonly { name: string; chord: Chord }[];

export const functionKeys: readonly { name: string; chord: Chord }[] = Array.from({ length: 24 }, (_, i) => ({
  name: `F${i + 1}`,
  chord: [`F${i + 1}`],
}));

/** Keys that matter on a phone, whose keyboard has none of them. */
export const phoneKeys = [
  { name: 'Esc', chord: ['Escape'] },
  { name: 'Tab', chord: ['Tab'] },
  { name: '←', chord: ['ArrowLeft'] },
  { name: '↑', chord: ['ArrowUp'] },
  { name: '↓', chord: ['ArrowDown'] },
  { name: '→', chord: ['ArrowRight'] },
  { name: 'Home', chord: ['Home'] },
  { name: 'End', chord: ['End'] },
  { name: 'PgUp', chord: ['PageUp'] },
  { name: 'PgDn', chord: ['PageDown'] },
  { name: 'Del', chord: ['Delete'] },
] as const satisfies readonly { name: string; chord: Chord }[];

/** Modifiers that a phone's key row holds down until they are tapped again. */
export const phoneModifiers = [
  { name: 'Ctrl', code: 'ControlLeft' },
  { name: 'Alt', code: 'AltLeft' },
  { name: 'Shift', code: 'ShiftLeft' },
  { name: 'Win', code: 'MetaLeft' },
] as const;
