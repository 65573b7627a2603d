//go:build linux && x11

package desktop

import (
	"fmt"
	"os"

	"github.com/go-vgo/robotgo"
	driver "github.com/go-vgo/robotgo/x11"
)

func init() {
	// The sleeps of this driver are its own variables, not robotgo's.
	driver.KeySleep, driver.MouseSleep = 0, 0
}

// portableDisplay: both libraries know $DISPLAY and nothing else.
func portableDisplay(o Options) error {
	env := os.Getenv("DISPLAY")
	if env == "" {
		return fmt.Errorf("%w: DISPLAY is not set; start the agent in a graphical session", ErrNoDisplay)
	}
	if o.Display != "" && o.Display != env {
		return fmt.Errorf("%w: the portable backend opens $DISPLAY (%s) only; set it to %s", ErrNoDisplay, oneLine(env), oneLine(o.Display))
	}
	if o.OwnServer {
		// The libraries show a cookie to whoever listens.
		c, err := dialX(env, o.XAuthority, true, nil)
		if err != nil {
			return err
		}
		c.hangUp()
		<-c.closed
	}
	robot.Lock()
	defer robot.Unlock()
	portableClose() // what is left of a server that died
	return nil
}

// portableTextDone: robotgo does not read the notices of the key map that its
// typing changes, and after some thousand of them its connection would stand
// still. So it begins a new one.
func portableTextDone() { robotgo.Close() }

func portableClose() { robotgo.Close() }
