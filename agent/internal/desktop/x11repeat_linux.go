package desktop

import (
	"bytes"
	"errors"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// A held key repeats where it is held: the operator's system says each repeat, and
// the server must not add its own, or a network that stands still between a press and
// its release types dozens of letters. So the server's repeating is switched off,
// for XTEST's keyboard only. What programs see is the state of the master keyboard,
// which the server makes that of the device that was used last: the person at the
// machine has repeating with their first press.
//
// Whatever ends us, it is switched on again: the server itself puts back what a
// client named as its auto-reset controls (XKB protocol, XkbPerClientFlags) when that
// client's connection ends, by our crash, too. While a session lasts, other programs
// that inject keys through XTEST have no repeating either.
const (
	xkbGetControls    = 6
	xkbSetControls    = 7
	xkbPerClientFlags = 21
	xkbRepeatKeys     = 1 << 0
	xkbAutoReset      = 1 << 2
)

// repeating is what is known of it; input.mu is held.
type repeating struct {
	xtest, master uint16    // devices; 0: the server repeats
	keys          []byte    // a bit for each key code that may repeat
	looked        time.Time // when it was switched off last
}

// lookAgain is how long the server is believed to repeat nothing: desktops set
// their own choice for all keyboards when it changes.
const lookAgain = time.Second

// startRepeating switches the server's repeating off, where that can be.
func (d *x11) startRepeating() {
	r := &d.input.repeating
	err := d.findKeyboards()
	for _, device := range []uint16{r.xtest, r.master} {
		if err == nil {
			err = d.autoReset(device)
		}
	}
	if err == nil {
		d.stopRepeats(r.xtest)
		err = d.readRepeats()
	}
	if err != nil {
		*r = repeating{}
		d.log.Info("the x server goes on repeating held keys", "desktop", d.name, "error", err)
	}
}

// autoReset has the server put a device's repeating back as it is when we are gone.
func (d *x11) autoReset(device uint16) error {
	on, err := d.repeats(device)
	if err != nil || !on {
		return err
	}
	buf := make([]byte, 28)
	xgb.Put16(buf[4:], device)
	xgb.Put32(buf[8:], xkbAutoReset)
	xgb.Put32(buf[12:], xkbAutoReset)
	xgb.Put32(buf[16:], xkbRepeatKeys)
	xgb.Put32(buf[20:], xkbRepeatKeys)
	xgb.Put32(buf[24:], xkbRepeatKeys)
	_, err = d.hand.request("XKEYBOARD", xkbPerClientFlags, buf, true)
	return err
}

// repeats reports whether the server repeats what a device holds.
func (d *x11) repeats(device uint16) (bool, error) {
	buf := make([]byte, 8)
	xgb.Put16(buf[4:], device)
	reply, err := d.hand.request("XKEYBOARD", xkbGetControls, buf, true)
	if err != nil {
		return false, err
	}
	if len(reply) < 60 {
		return false, errors.New("short keyboard controls")
	}
	return xgb.Get32(reply[56:])&xkbRepeatKeys != 0, nil
}

// stopRepeats switches a device's repeating off.
func (d *x11) stopRepeats(device uint16) {
	buf := make([]byte, 100)
	xgb.Put16(buf[4:], device)
	xgb.Put32(buf[24:], xkbRepeatKeys)
	d.hand.send("XKEYBOARD", xkbSetControls, buf)
}

// readRepeats learns which keys may repeat.
func (d *x11) readRepeats() error {
	reply, err := xproto.GetKeyboardControl(d.hand.Conn).Reply()
	if err == nil {
		d.input.repeating.keys = reply.AutoRepeats
	}
	return err
}

// quiet comes before a press, which makes the master as XTEST's keyboard is. That
// may have been set since, with all others. Where XTEST's was the last that was used,
// the master stays as it was set until another is: it cannot be set without
// switching all off.
func (d *x11) quiet() {
	r := &d.input.repeating
	if r.xtest == 0 || time.Since(r.looked) < lookAgain {
		return
	}
	r.looked = time.Now()
	d.stopRepeats(r.xtest)
}

// mayRepeat reports that a key which is down and pressed again types again: it is
// for us to repeat, and it is none that must not, like Shift.
func (r *repeating) mayRepeat(code byte) bool {
	return r.xtest != 0 && int(code/8) < len(r.keys) && r.keys[code/8]&(1<<(code%8)) != 0
}

// findKeyboards finds the device that injected keys come from, and its master.
func (d *x11) findKeyboards() error {
	const (
		queryVersion = 47
		queryDevice  = 48
		allDevices   = 0
	)
	version := make([]byte, 8)
	xgb.Put16(version[4:], 2)
	xgb.Put16(version[6:], 2)
	if _, err := d.hand.request("XInputExtension", queryVersion, version, true); err != nil {
		return err
	}
	query := make([]byte, 8)
	xgb.Put16(query[4:], allDevices)
	reply, err := d.hand.request("XInputExtension", queryDevice, query, true)
	if err != nil {
		return err
	}
	r := &d.input.repeating
	r.xtest, r.master, err = findXTEST(reply)
	return err
}

// findXTEST reads a reply of XIQueryDevice.
func findXTEST(reply []byte) (device, master uint16, err error) {
	const slaveKeyboard = 4
	short := errors.New("short list of devices")
	if len(reply) < 32 {
		return 0, 0, short
	}
	b := reply[32:]
	for range xgb.Get16(reply[8:]) {
		if len(b) < 12 {
			return 0, 0, short
		}
		id, use, attached, classes := xgb.Get16(b), xgb.Get16(b[2:]), xgb.Get16(b[4:]), int(xgb.Get16(b[6:]))
		length := int(xgb.Get16(b[8:]))
		padded := (length + 3) &^ 3
		if b = b[12:]; len(b) < padded {
			return 0, 0, short
		}
		if use == slaveKeyboard && bytes.Equal(b[:length], []byte("Virtual core XTEST keyboard")) {
			return id, attached, nil
		}
		b = b[padded:]
		for range classes {
			if len(b) < 4 {
				return 0, 0, short
			}
			size := int(xgb.Get16(b[2:])) * 4
			if size < 4 || len(b) < size {
				return 0, 0, short
			}
			b = b[size:]
		}
	}
	return 0, 0, errors.New("no XTEST keyboard")
}
