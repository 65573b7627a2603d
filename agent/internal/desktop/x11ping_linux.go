package desktop

import (
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// pinger asks the program that has the keyboard whether it has handled all that
// was sent to it so far: by _NET_WM_PING, which window managers use to find
// programs that hang. Programs answer it in turn, so the answer means that every
// key press before it has been looked up. Toolkits of today answer it; xterm and
// its like do not, and nothing is asked of them.
type pinger struct {
	protocols, ping xproto.Atom
	serial          uint32        // of the last question
	pong            chan uint32   // serials of answers; capacity 4, more are dropped
	silent          xproto.Window // did not answer in time; this and the next for one Text
	restless        bool          // never had nothing to do
}

func (d *x11) startPing() error {
	p := &d.input.text.pinger
	for name, atom := range map[string]*xproto.Atom{"WM_PROTOCOLS": &p.protocols, "_NET_WM_PING": &p.ping} {
		reply, err := xproto.InternAtom(d.hand.Conn, false, uint16(len(name)), name).Reply()
		if err != nil {
			return err
		}
		*atom = reply.Atom
	}
	return nil
}

// answer takes a message: only answers are asked for, and only while we wait for
// one. It must not block.
func (p *pinger) answer(ev []byte) {
	select {
	case p.pong <- xgb.Get32(ev[16:]):
	default:
	}
}

// ping reports whether the program that win belongs to answered.
func (d *x11) ping(win xproto.Window) bool {
	p := &d.input.text.pinger
	c, root := d.hand.Conn, d.hand.root
	listen := func(mask uint32) { xproto.ChangeWindowAttributes(c, root, xproto.CwEventMask, []uint32{mask}) }
	listen(xproto.EventMaskSubstructureNotify)
	defer listen(0)
	p.serial++
	message := xproto.ClientMessageEvent{
		Format: 32, Window: win, Type: p.protocols,
		Data: xproto.ClientMessageDataUnionData32New([]uint32{uint32(p.ping), p.serial, uint32(win), 0, 0}),
	}
	xproto.SendEvent(c, false, win, 0, string(message.Bytes()))
	timer := time.NewTimer(settleWithin)
	defer timer.Stop()
	for {
		select {
		case serial := <-p.pong:
			if serial == p.serial {
				return true
			}
		case <-timer.C:
			p.silent = win
			return false
		case <-d.ending:
			return false
		case <-d.closing:
			return false
		}
	}
}

// pingable is the window with the keyboard, or the nearest around it, that
// says it answers; 0 if none does.
func (d *x11) pingable() xproto.Window {
	c := d.hand.Conn
	p := &d.input.text.pinger
	win := d.focus()
	for range maxDepth {
		if win == 0 || win == d.hand.root {
			return 0
		}
		prop, err := xproto.GetProperty(c, false, win, p.protocols, xproto.AtomAtom, 0, 64).Reply()
		if err != nil {
			return 0
		}
		if prop.Format == 32 {
			for i := 0; i+4 <= len(prop.Value); i += 4 {
				if xproto.Atom(xgb.Get32(prop.Value[i:])) == p.ping {
					return win
				}
			}
		}
		tree, err := xproto.QueryTree(c, win).Reply()
		if err != nil {
			return 0
		}
		win = tree.Parent
	}
	return 0
}
