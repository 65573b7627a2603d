// Package daemon is the agent as a service of the operating system, and the
// desktop helpers that such a service starts.
//
// # The service
//
// Service installs, starts, stops, removes and runs the agent by
// kardianos/service, with unit files of our own: restarted within 2 s, and
// hardened as far as an agent that must reach every desktop can be. systemd's
// unit comes with the packages, word for word the one in this folder; Install
// uses that one where it is and says what is wanted, else writes its own. No
// secret is in a unit file or on a command line: an enrollment token goes into
// the data directory (0600) and is gone when it has been used. The program is
// copied to where only administrators can change it, unless it is there.
//
// # Helpers
//
// A service has no desktop. A Helper is a child process, the same program
// started with "helper" inside a desktop's session as that desktop's user, with
// a clean environment; a session.Host runs in it. The two speak through the
// child's standard input and output: ToHelper and FromHelper, each preceded by
// its length (4 bytes, big endian; at most orielv1.MaxMessage).
//
// The child belongs to the user, so the service does not trust it: it signs
// only answers to grants that it handed to that very child, forwards only
// messages about those sessions, checks every bound, and never shows the key.
//
// A child that dies is started again with a back-off of 0.25 s to 10 s. Its
// sessions are told that their peer connection has ended (SessionEnded with
// the attempt); one that its viewer has not offered anew within 30 s ends with
// FAILED. When the desktop moves (another user signs in, an X server appears)
// the child is replaced in the same way. A child ends when its input does.
package daemon

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
)

// write sends one message down a pipe.
func write(w io.Writer, m proto.Message) error {
	b, err := orielv1.Encode(m)
	if err != nil {
		return err
	}
	if len(b) > orielv1.MaxMessage {
		return fmt.Errorf("message of %d bytes: %w", len(b), orielv1.ErrBounds)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b))), b...))
	return err
}

// read takes the next message from a pipe. Errors: io.EOF at the end of the
// pipe between two messages; anything else means that the other side is no
// good any more.
func read(r *bufio.Reader, m proto.Message) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > orielv1.MaxMessage {
		return fmt.Errorf("message of %d bytes: %w", n, orielv1.ErrBounds)
	}
	// Grown as bytes come, not as the length promises.
	b, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return err
	}
	if len(b) < int(n) {
		return io.ErrUnexpectedEOF
	}
	proto.Reset(m)
	return orielv1.Decode(b, m)
}

var errNoSignature = errors.New("the service did not sign")
