//go:build (linux && x11) || (darwin && mac) || (windows && win)

package desktop

import "fmt"

// robotKeys are robotgo's names of keys, by usage.
var robotKeys = func() map[Usage]string {
	m := map[Usage]string{
		0x28: "enter", 0x29: "esc", 0x2a: "backspace", 0x2b: "tab", 0x2c: "space",
		0x2d: "-", 0x2e: "=", 0x2f: "[", 0x30: "]", 0x31: "\\", 0x32: "\\", 0x33: ";", 0x34: "'",
		0x35: "`", 0x36: ",", 0x37: ".", 0x38: "/", 0x39: "capslock",
		0x46: "printscreen", 0x47: "scroll_lock", 0x48: "pause_break", 0x49: "insert", 0x4a: "home",
		0x4b: "pageup", 0x4c: "delete", 0x4d: "end", 0x4e: "pagedown",
		0x4f: "right", 0x50: "left", 0x51: "down", 0x52: "up", 0x53: "num_lock",
		0x54: "num/", 0x55: "num*", 0x56: "num-", 0x57: "num+", 0x58: "num_enter", 0x62: "num0", 0x63: "num.",
		0x65: "menu", 0x67: "num_equal",
		0x7f: "audio_mute", 0x80: "audio_vol_up", 0x81: "audio_vol_down",
		0xe0: "ctrl", 0xe1: "shift", 0xe2: "alt", 0xe3: "cmd",
		0xe4: "ctrlr", 0xe5: "shiftr", 0xe6: "altr", 0xe7: "cmdr",
	}
	for i := range 26 {
		m[Usage(0x04+i)] = string(rune('a' + i))
	}
	for i := range 9 {
		m[Usage(0x1e+i)] = string(rune('1' + i))
		m[Usage(0x59+i)] = "num" + string(rune('1'+i))
	}
	m[0x27] = "0"
	for i := range 12 {
		m[Usage(0x3a+i)] = fmt.Sprintf("f%d", 1+i)
		m[Usage(0x68+i)] = fmt.Sprintf("f%d", 13+i)
	}
	return m
}()
