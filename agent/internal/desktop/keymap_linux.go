package desktop

// usageEvdev is the evdev code of each usage of page 7, as the Linux kernel's
// own HID driver assigns it; X adds 8. Usages that no KeyboardEvent.code gives
// and no evdev code below 248 stands for are absent.
var usageEvdev = map[Usage]byte{
	// KeyA … KeyZ
	0x04: 30, 0x05: 48, 0x06: 46, 0x07: 32, 0x08: 18, 0x09: 33, 0x0a: 34, 0x0b: 35,
	0x0c: 23, 0x0d: 36, 0x0e: 37, 0x0f: 38, 0x10: 50, 0x11: 49, 0x12: 24, 0x13: 25,
	0x14: 16, 0x15: 19, 0x16: 31, 0x17: 20, 0x18: 22, 0x19: 47, 0x1a: 17, 0x1b: 45,
	0x1c: 21, 0x1d: 44,
	// Digit1 … Digit9, Digit0
	0x1e: 2, 0x1f: 3, 0x20: 4, 0x21: 5, 0x22: 6, 0x23: 7, 0x24: 8, 0x25: 9, 0x26: 10, 0x27: 11,
	0x28: 28, // Enter
	0x29: 1,  // Escape
	0x2a: 14, // Backspace
	0x2b: 15, // Tab
	0x2c: 57, // Space
	0x2d: 12, // Minus
	0x2e: 13, // Equal
	0x2f: 26, // BracketLeft
	0x30: 27, // BracketRight
	0x31: 43, // Backslash
	0x32: 43, // the ISO key beside Enter, the same as Backslash everywhere
	0x33: 39, // Semicolon
	0x34: 40, // Quote
	0x35: 41, // Backquote
	0x36: 51, // Comma
	0x37: 52, // Period
	0x38: 53, // Slash
	0x39: 58, // CapsLock
	// F1 … F12
	0x3a: 59, 0x3b: 60, 0x3c: 61, 0x3d: 62, 0x3e: 63, 0x3f: 64,
	0x40: 65, 0x41: 66, 0x42: 67, 0x43: 68, 0x44: 87, 0x45: 88,
	0x46: 99,  // PrintScreen
	0x47: 70,  // ScrollLock
	0x48: 119, // Pause
	0x49: 110, // Insert
	0x4a: 102, // Home
	0x4b: 104, // PageUp
	0x4c: 111, // Delete
	0x4d: 107, // End
	0x4e: 109, // PageDown
	0x4f: 106, // ArrowRight
	0x50: 105, // ArrowLeft
	0x51: 108, // ArrowDown
	0x52: 103, // ArrowUp
	0x53: 69,  // NumLock
	0x54: 98,  // NumpadDivide
	0x55: 55,  // NumpadMultiply
	0x56: 74,  // NumpadSubtract
	0x57: 78,  // NumpadAdd
	0x58: 96,  // NumpadEnter
	// Numpad1 … Numpad9, Numpad0
	0x59: 79, 0x5a: 80, 0x5b: 81, 0x5c: 75, 0x5d: 76, 0x5e: 77, 0x5f: 71, 0x60: 72, 0x61: 73, 0x62: 82,
	0x63: 83,  // NumpadDecimal
	0x64: 86,  // IntlBackslash
	0x65: 127, // ContextMenu
	0x66: 116, // Power
	0x67: 117, // NumpadEqual
	// F13 … F24
	0x68: 183, 0x69: 184, 0x6a: 185, 0x6b: 186, 0x6c: 187, 0x6d: 188,
	0x6e: 189, 0x6f: 190, 0x70: 191, 0x71: 192, 0x72: 193, 0x73: 194,
	0x74: 134, // Open
	0x75: 138, // Help
	0x76: 130, // Props
	0x77: 132, // Select
	0x78: 128, // Stop
	0x79: 129, // Again
	0x7a: 131, // Undo
	0x7b: 137, // Cut
	0x7c: 133, // Copy
	0x7d: 135, // Paste
	0x7e: 136, // Find
	0x7f: 113, // AudioVolumeMute
	0x80: 115, // AudioVolumeUp
	0x81: 114, // AudioVolumeDown
	0x85: 121, // NumpadComma
	0x86: 117, // NumpadEqual of AS/400 keyboards
	0x87: 89,  // IntlRo
	0x88: 93,  // KanaMode
	0x89: 124, // IntlYen
	0x8a: 92,  // Convert
	0x8b: 94,  // NonConvert
	0x8c: 95,  // International6, the PC-98's keypad comma
	0x90: 122, // Lang1, Hangul
	0x91: 123, // Lang2, Hanja
	0x92: 90,  // Lang3, Katakana
	0x93: 91,  // Lang4, Hiragana
	0x94: 85,  // Lang5, Zenkaku/Hankaku
	0x9b: 223, // Abort, evdev's cancel
	0xb6: 179, // NumpadParenLeft
	0xb7: 180, // NumpadParenRight
	// Control, Shift, Alt, Meta: left, then right
	0xe0: 29, 0xe1: 42, 0xe2: 56, 0xe3: 125, 0xe4: 97, 0xe5: 54, 0xe6: 100, 0xe7: 126,
	// Reserved by the standard; keyboards and the kernel use them for media:
	// play/pause, stop, previous, next, eject, volume up, down, mute, WWW,
	// back, forward, stop, find, scroll up, down, edit, sleep, lock, refresh, calculator
	0xe8: 164, 0xe9: 166, 0xea: 165, 0xeb: 163, 0xec: 161, 0xed: 115, 0xee: 114, 0xef: 113, 0xf0: 150,
	0xf1: 158, 0xf2: 159, 0xf3: 128, 0xf4: 136, 0xf5: 177, 0xf6: 178, 0xf7: 176, 0xf8: 142, 0xf9: 152,
	0xfa: 173, 0xfb: 140,
}

// keycode is the X key code of a usage. All servers of today number keys as
// evdev does, plus 8, which is the least key code X allows.
func (u Usage) keycode() (byte, bool) {
	code, ok := usageEvdev[u]
	return code + 8, ok
}
