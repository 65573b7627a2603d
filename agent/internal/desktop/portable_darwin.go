//go:build darwin && mac

package desktop

import driver "github.com/go-vgo/robotgo/darwin"

func init() { driver.KeySleep, driver.MouseSleep = 0, 0 }

func portableDisplay(Options) error { return nil }
func portableTextDone()             {}
func portableClose()                {}
