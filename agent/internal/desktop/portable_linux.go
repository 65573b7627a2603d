//go:build linux && x11

package desktop

import (
	"errors"
	"fmt"
	"os"

	"github.com/go-vgo/robotgo"
	driver "github.com/go-vgo/robotgo/x11"

	"oriel/protocol/sanitize"
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
		return fmt.Errorf("%w: the portable backend opens $DISPLAY (%s) only; set it to %s", ErrNoDisplay, sanitize.Line(env, 200), sanitize.Line(o.Display, 200))
	}
	// The libraries show a cookie to whoever listens, and have the server write to
	// shared memory whose it may not be: they are looked after beforehand.
	c, err := dialX(env, o.XAuthority, o.OwnServer, nil)
	if err != nil {
		return err
	}
	c.use("XWAYLAND")
	c.use("RANDR")
	if c.isXwayland() {
		err = ErrWayland
	} else {
		err = sharesMemory(c)
	}
	c.hangUp()
	<-c.closed
	if err != nil {
		return err
	}
	robot.Lock()
	defer robot.Unlock()
	portableClose() // what is left of a server that died
	return nil
}

// sharesMemory reports a server that takes shared memory but not ours.
func sharesMemory(c *xconn) error {
	if f, err := screenFormat(c); err != nil || !f.native {
		return errors.New("the portable backend shows screens of 24 bits only")
	}
	if !c.use("MIT-SHM") {
		return nil
	}
	s, err := attach(c, os.Getpagesize())
	if errors.Is(err, errNotShared) {
		return fmt.Errorf("the portable backend cannot be used here: %w", err)
	}
	if err == nil {
		s.end.Stop()
		s.mem.unmap()
	}
	return nil
}

// portableTextDone: robotgo does not read the notices of the key map that its
// typing changes, and after some thousand of them its connection would stand
// still. So it begins a new one.
func portableTextDone() { robotgo.Close() }

func portableClose() { robotgo.Close() }
