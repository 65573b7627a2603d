package session

import (
	"sync"

	"github.com/pion/webrtc/v4"

	orielv1 "oriel/protocol/oriel/v1"
)

// maxAgain bounds an Again: a few short inputs.
const maxAgain = 4096

// inputs puts the input of one viewer in its order and does each once, whichever
// way it comes first: on control, which is reliable but waits a second for a lost
// packet, or again on a channel that never waits.
type inputs struct {
	mu   sync.Mutex // held while an input is done
	came uint32     // how many came on control
	last uint32     // the number of the last that was done
}

// next does what came on control, unless it was done already.
func (in *inputs) next(act func() bool) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.came++
	if !newer(in.came, in.last) {
		return true
	}
	in.last = in.came
	return act()
}

// again does what came on the way that may lose some. What was done already is
// not, nor what lacks its predecessor: that is left to the other way.
func (in *inputs) again(number uint32, act func() bool) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if number != in.last+1 {
		return true
	}
	in.last = number
	return act()
}

// onAgain takes one message of the channel "again". A malformed one is dropped
// and counted, as on pointer.
func (p *peer) onAgain(raw webrtc.DataChannelMessage) {
	m := &orielv1.Again{}
	if raw.IsString || len(raw.Data) > maxAgain || orielv1.Decode(raw.Data, m) != nil {
		p.drop()
		return
	}
	if m.Held != nil {
		p.proof.held(m.GetHeld())
	}
	for i, input := range m.GetInputs() {
		if !isInput(input) {
			p.drop()
			return
		}
		if !p.inputs.again(m.GetFirst()+uint32(i), func() bool { return p.input(input) }) {
			p.refuseMessage()
			return
		}
	}
}

func isInput(m *orielv1.ToDesktop) bool {
	switch m.GetBody().(type) {
	case *orielv1.ToDesktop_Key, *orielv1.ToDesktop_Button, *orielv1.ToDesktop_Wheel,
		*orielv1.ToDesktop_Text, *orielv1.ToDesktop_ReleaseAll:
		return true
	}
	return false
}
