package session

import (
	"sync"

	"github.com/pion/webrtc/v4"

	orielv1 "oriel/protocol/oriel/v1"
)

// maxRedundant bounds an encoded Again, in bytes: a few short inputs.
const maxRedundant = 4096

// inputSequencer puts the input of one viewer in its order and does each once, whichever
// way it comes first: on control, which is reliable but waits a second for a lost
// packet, or once more on a channel that never waits.
type inputSequencer struct {
	mu       sync.Mutex // held while an input is done
	received uint32     // inputs received on control
	done     uint32     // the number of the last that was done
}

// inOrder does the next input of control, unless it was done already.
func (in *inputSequencer) inOrder(act func() bool) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.received++
	if !newer(in.received, in.done) {
		return true
	}
	in.done = in.received
	return act()
}

// redundant does an input of the channel that may lose some. What was done already is
// not, nor what lacks its predecessor: that is left to the other way.
func (in *inputSequencer) redundant(number uint32, act func() bool) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if number != in.done+1 {
		return true
	}
	in.done = number
	return act()
}

// onRedundant takes one message of the channel "again". A malformed one is dropped
// and counted, as on pointer.
func (p *peer) onRedundant(raw webrtc.DataChannelMessage) {
	m := &orielv1.Again{}
	if raw.IsString || len(raw.Data) > maxRedundant || orielv1.Decode(raw.Data, m) != nil {
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
		if !p.inputs.redundant(m.GetFirst()+uint32(i), func() bool { return p.input(input) }) {
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
