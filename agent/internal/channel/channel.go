// Package channel is what rides on a session's data channels beside the picture and
// the input: files, a terminal, chat. Each kind is a Channel; a session opens one
// where the grant allows it, and runs it with Serve.
//
// # Rules
//
//   - The viewer opens a channel: ordered, reliable, with the protocol "oriel.v1".
//     Its messages are binary, of at most MaxMessage bytes.
//   - Ordinary words end a channel by closing it. Whatever else ends it is said in the
//     channel's one text message, its last: a ChannelEnd, serialized, in base64. It
//     comes in order with the data, and before the close.
//   - A channel that loses a scope ends at once; nothing that came is handed on any
//     more. What was sent before may still arrive: it is bounded by Options.Room.
//   - A channel that fails, panics or is flooded ends alone.
//
// # Flow
//
// All data channels of a viewer share one SCTP association, which has one receive
// window and one line of what waits to be sent. Hence two rules here:
//
//   - What comes is always read, whether the channel wants it or not: a channel that
//     left its messages in SCTP would close the window for keys and clicks. They wait
//     in a queue of MaxUnread bytes; one that overflows ends its channel. So a kind of
//     channel whose viewer may be faster than itself has acknowledgements of its own,
//     and lets no more than MaxUnread bytes be without one.
//   - A send waits while more than Room bytes of the channel are in flight, so that a
//     message on control is never behind much: MaxRoom for each channel, MaxTogether for
//     all open channels (2 s at 1 Mbit/s). A message may always go alone. The viewer
//     keeps to the same (console/src/core/channels), by protocol/testdata/channels.json.
//
// A channel counts as open until both sides have closed it: a viewer that does not
// close its side holds its own place and nobody else's.
package channel

import (
	"context"
	"errors"
	"fmt"

	orielv1 "oriel/protocol/oriel/v1"
)

// MaxMessage is the largest message on a channel, either way: what every WebRTC peer
// takes without saying so (RFC 8841).
const MaxMessage = 65535

// Bounds of what came and was not read yet.
const (
	MaxUnread         = 512 << 10 // bytes
	maxUnreadMessages = 1024
)

// Bounds of what one side has under way: sent and, as far as it can tell, not
// acknowledged by SCTP.
const (
	MaxRoom     = 64 << 10  // bytes of one channel
	MaxTogether = 256 << 10 // bytes of all that are open, which share it evenly
)

// Room is how many bytes each of so many open channels may have under way.
func Room(open int) uint64 { return uint64(min(MaxRoom, MaxTogether/max(1, open))) }

// maxDetail is the bound of ChannelEnd.detail, in bytes.
const maxDetail = 1024

// Channel is one kind of data channel. Its methods are called from any goroutine;
// Serve once for each channel that a viewer opens, several at a time.
type Channel interface {
	// Label is the data channel's, the same for all of this kind. At most 64 bytes.
	Label() string

	// Scopes are what a session needs to open the channel and to keep it; all of them.
	Scopes() []orielv1.Scope

	// Serve works until its part is done: then it returns nil and the channel is closed.
	// It returns soon after ctx is done, which is when the channel has ended. A Fault is
	// told to the viewer as it is; of any other error the viewer learns that the agent
	// failed, and the log what it was.
	Serve(ctx context.Context, conn *Conn) error
}

// Fault is why a channel ends, for the viewer.
type Fault struct {
	Code   orielv1.Code
	Detail string        // one line for people: what is wrong and what to do next
	Scope  orielv1.Scope // the one that is missing, with CODE_SCOPE
}

func (f *Fault) Error() string { return fmt.Sprintf("%v: %s", f.Code, f.Detail) }

// ErrTooLong is returned by Write for a message over MaxMessage.
var ErrTooLong = errors.New("message too long for a channel")

// The faults of a viewer that breaks a bound.
var (
	errFlood = &Fault{Code: orielv1.Code_CODE_BUSY,
		Detail: "more was sent than the computer could take; try again"}
	errLong = &Fault{Code: orielv1.Code_CODE_INVALID,
		Detail: "a message was too long to be read; reload the page"}
	errText = &Fault{Code: orielv1.Code_CODE_INVALID,
		Detail: "a message was sent that cannot be read; reload the page"}
	errFailed = &Fault{Code: orielv1.Code_CODE_INTERNAL,
		Detail: "the agent made a mistake; its log says more"}
)
