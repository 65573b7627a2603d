//go:build windows && win

package desktop

import driver "github.com/go-vgo/robotgo/win"

func init() { driver.KeySleep, driver.MouseSleep = 0, 0 }

func portableDisplay(Options) error { return nil }
func portableTextDone()             {}
func portableClose()                {}
