package desktop

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/jezek/xgb/res"
	"github.com/jezek/xgb/xproto"
)

const (
	// reuseAfter is how long a code keeps its meaning when nothing can be
	// learned about the program that it was pressed for.
	reuseAfter = 150 * time.Millisecond
	// settleWithin is how long a program may take whose doings we can see. What it
	// waits for a processor does not count, up to starvedWithin in all.
	settleWithin  = 3 * time.Second
	starvedWithin = 20 * time.Second
	// longAgo is when a press has been looked up, or the program is past caring.
	longAgo = time.Minute
	// A program that did nothing at all for three looks has nothing left to do;
	// one that was always seen waiting for twenty, but not always for the same
	// thing, has a clock of its own.
	lookPause      = 10 * time.Millisecond
	looksIdle      = 3
	looksAnimation = 20
)

// settle waits until presses at that time have been looked up by the program
// that has the keyboard. In this order: it answers a ping; it runs on this
// machine and is seen to wait for something to do; a while has passed.
func (d *x11) settle(used time.Time) error {
	if used.IsZero() || time.Since(used) > longAgo {
		return nil
	}
	p := &d.input.text.pinger
	if win := d.pingable(); win != 0 && p.silent != win {
		if d.ping(win) || d.isEnding() || d.isClosed() {
			return d.ended()
		}
	}
	if process := d.focusProcess(); process != "" && !p.restless {
		idle, err := d.untilIdle(process, settleWithin)
		if idle || err != nil {
			return err
		}
		p.restless = true
	}
	return d.pause(time.Until(used.Add(reuseAfter)))
}

// announce waits until the program that has the keyboard has heard of a changed
// map on all its connections. Chromium reads key presses on a connection of its
// own and looks their codes up in GDK's map, which follows the changes on
// another; when both have something to read, the press may win and types
// nothing. The second answer comes from a later round of the program's loop, by
// which the other connections had their turn. Programs that do not answer, like
// xterm, have one connection.
func (d *x11) announce() error {
	p := &d.input.text.pinger
	win := d.pingable()
	for range 2 {
		if win == 0 || p.silent == win || !d.ping(win) {
			break
		}
	}
	return d.ended()
}

func (d *x11) ended() error {
	if d.isEnding() || d.isClosed() {
		return ErrClosed
	}
	return nil
}

// pause waits, unless Text is to end.
func (d *x11) pause(wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-d.ending:
	case <-d.closing:
	}
	return ErrClosed
}

// untilIdle looks at a process until it has nothing to do, for so long at most,
// what it waits for a processor not counted. A program that has
// not come to its events yet is runnable, stopped or busy; one that waits for
// the server's answer to a question has it after our own next question.
func (d *x11) untilIdle(process string, within time.Duration) (idle bool, err error) {
	var first, was activity
	same, waiting := 0, 0
	for begun := time.Now(); ; {
		if err := d.sync(); err != nil {
			return false, err
		}
		is, ok := readActivity(process)
		if !ok {
			return false, nil
		}
		if first == (activity{}) {
			first = is
		}
		spent := time.Since(begun)
		if spent > starvedWithin || spent-is.starved(first) > within {
			return false, nil
		}
		switch {
		case !is.waits:
			same, waiting = 0, 0
		case is == was:
			same, waiting = same+1, waiting+1
		default:
			same, waiting = 0, waiting+1
		}
		if same >= looksIdle || waiting >= looksAnimation {
			return true, nil
		}
		was = is
		if err := d.pause(lookPause); err != nil {
			return false, err
		}
	}
}

// activity is what the kernel tells everybody about a process.
type activity struct {
	waits bool      // it is not running and does not want to
	runs  [3]uint64 // time run and time waited for a processor, both in ns; times run
}

// starved is how long it has waited for a processor since.
func (a activity) starved(since activity) time.Duration {
	return time.Duration(a.runs[1] - since.runs[1])
}

func readActivity(process string) (a activity, ok bool) {
	stat, err := os.ReadFile(process + "/stat")
	if err != nil {
		return a, false
	}
	// The name before the state is in brackets and may hold anything.
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 || i+2 >= len(stat) {
		return a, false
	}
	a.waits = stat[i+2] == 'S'
	sched, err := os.ReadFile(process + "/schedstat")
	if err != nil {
		return a, false
	}
	n, _ := fmt.Sscan(string(sched), &a.runs[0], &a.runs[1], &a.runs[2])
	return a, n == 3
}

// focusProcess is the directory in /proc of the program that has the keyboard;
// empty when that cannot be known: it runs elsewhere, or the server does not say.
func (d *x11) focusProcess() string {
	if _, ok := d.hand.ext["X-Resource"]; !ok {
		return ""
	}
	win := d.focus()
	if win == 0 {
		return ""
	}
	const localPid = 2
	reply, err := res.QueryClientIds(d.hand.Conn, 1, []res.ClientIdSpec{{Client: uint32(win), Mask: localPid}}).Reply()
	if err != nil || len(reply.Ids) == 0 || len(reply.Ids[0].Value) == 0 {
		return ""
	}
	return fmt.Sprintf("/proc/%d", reply.Ids[0].Value[0])
}

// focus is the window that keys go to; 0 for none.
func (d *x11) focus() xproto.Window {
	reply, err := xproto.GetInputFocus(d.hand.Conn).Reply()
	if err != nil {
		return 0
	}
	if reply.Focus != xproto.InputFocusPointerRoot {
		return reply.Focus
	}
	// Keys go to whatever is under the pointer, as deep as it goes.
	win := d.hand.root
	for range maxDepth {
		at, err := xproto.QueryPointer(d.hand.Conn, win).Reply()
		if err != nil {
			return 0
		}
		if at.Child == 0 {
			break
		}
		win = at.Child
	}
	if win == d.hand.root {
		return 0
	}
	return win
}

// maxDepth bounds how far the tree of windows is followed.
const maxDepth = 32
