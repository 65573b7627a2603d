// Package transcript is what a release of Oriel said, message by message, kept so that
// later ones are held to it: protocol/testdata/transcripts/RELEASE/NAME.jsonl, one
// Frame a line. `go run ./.ci/record` makes them; its comment says what is in them. Only
// tests and the recorder import this package.
package transcript

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	orielv1 "oriel/protocol/oriel/v1"
)

// Frame is one message, or the header that a WebSocket was opened with.
type Frame struct {
	From    string `json:"from"`              // agent, relay, tab
	Channel string `json:"channel,omitempty"` // label of the data channel
	Header  string `json:"header,omitempty"`  // Authorization of the upgrade; it has no bytes then
	Type    string `json:"type,omitempty"`    // message that the bytes are, such as FromAgent
	Body    string `json:"body,omitempty"`    // of its oneof, for who looks for it
	Bytes   []byte `json:"bytes,omitempty"`
}

// The recordings of one release.
const (
	Enroll  = "enroll"  // /agent/v1 of an agent that shows its token
	Agent   = "agent"   // /agent/v1 of the same agent, enrolled, with two sessions
	Tab     = "tab"     // /live/v1 of the tab that opened them
	Control = "control" // the data channels of the first, which could control
	View    = "view"    // of the second, which could not
)

// Releases are the names of all that were recorded below folder.
func Releases(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err == nil && len(entries) == 0 {
		err = errors.New("no release was recorded")
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	slices.Sort(all)
	return all, err
}

// Read is the frames of one recording, in order.
func Read(folder, release, name string) ([]Frame, error) {
	f, err := os.Open(filepath.Join(folder, release, name+".jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Frame
	for in := json.NewDecoder(bufio.NewReader(f)); ; {
		var one Frame
		if err := in.Decode(&one); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s %s, frame %d: %w", release, name, len(all)+1, err)
		}
		all = append(all, one)
	}
}

// Write keeps the frames of one recording.
func Write(folder, release, name string, frames []Frame) error {
	if err := os.MkdirAll(filepath.Join(folder, release), 0o755); err != nil {
		return err
	}
	var text []byte
	for _, one := range frames {
		line, err := json.Marshal(one)
		if err != nil {
			return err
		}
		text = append(append(text, line...), '\n')
	}
	return os.WriteFile(filepath.Join(folder, release, name+".jsonl"), text, 0o644)
}

// Of is a frame of m's bytes.
func Of(from, channel string, m proto.Message, bytes []byte) Frame {
	return Frame{From: from, Channel: channel, Type: string(m.ProtoReflect().Descriptor().Name()), Body: Body(m), Bytes: bytes}
}

// Body is the name of the field of m's oneof that is set; empty: none is.
func Body(m proto.Message) string {
	one := m.ProtoReflect().Descriptor().Oneofs().ByName("body")
	if one == nil {
		return ""
	}
	if f := m.ProtoReflect().WhichOneof(one); f != nil {
		return string(f.Name())
	}
	return ""
}

// Into reads f into m as the wire reads it.
func (f Frame) Into(m proto.Message) error { return orielv1.Decode(f.Bytes, m) }

// Lacks are the fields that recorded has and now has not, by their path: what the side
// that was recorded may rely on, and would miss. Numbers and texts may differ. Of a list
// the first item counts.
func Lacks(recorded, now proto.Message) []string {
	return lacks("", recorded.ProtoReflect(), now.ProtoReflect())
}

func lacks(at string, recorded, now protoreflect.Message) (all []string) {
	recorded.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		path := at + "." + string(f.Name())
		switch {
		case !now.Has(f):
			all = append(all, path)
		case f.IsList() && f.Message() != nil:
			all = append(all, lacks(path, v.List().Get(0).Message(), now.Get(f).List().Get(0).Message())...)
		case f.Message() != nil:
			all = append(all, lacks(path, v.Message(), now.Get(f).Message())...)
		}
		return true
	})
	slices.Sort(all)
	return all
}
