package desktop

import "unicode"

// koi8r is what the keysyms 0x6c0 to 0x6ff stand for: they follow KOI8-R.
var koi8r = []rune("юабцдефгхийклмнопярстужвьызшэщчъЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ")

// keysyms is the text as keysyms: newline (also CR and CR LF) is Return, tab is
// Tab, other control characters are left out.
func keysyms(s string) []uint32 {
	syms := make([]uint32, 0, len(s))
	last := rune(0)
	for _, r := range s {
		switch {
		case r == '\n' && last == '\r':
		case r == '\n' || r == '\r':
			syms = append(syms, symReturn)
		case r == '\t':
			syms = append(syms, symTab)
		case unicode.IsControl(r):
		case r < 0x100:
			syms = append(syms, uint32(r))
		default:
			syms = append(syms, 0x0100_0000|uint32(r))
		}
		last = r
	}
	return syms
}

// unicodeSym is the keysym that keysyms would use for the character that sym
// stands for; 0 when it stands for none or for one we do not know. Layout files
// still use the older Cyrillic ones; other scripts' go through spare codes.
func unicodeSym(sym uint32) uint32 {
	switch {
	case sym >= 0x20 && sym < 0x7f || sym >= 0xa0 && sym < 0x100:
		return sym
	case sym >= 0x0100_0100 && sym <= 0x0110_ffff:
		return sym
	case sym >= 0x6c0 && sym <= 0x6ff:
		return 0x0100_0000 | uint32(koi8r[sym-0x6c0])
	case sym == 0x6a3:
		return 0x0100_0000 | 'ё'
	case sym == 0x6b3:
		return 0x0100_0000 | 'Ё'
	}
	return 0
}
