// Package orielv1 is the language between agent, relay and console: the
// messages in the .proto files beside this one, and the one way to decode them.
//
// # History
//
// Each change of a .proto adds a line here, the newest last, and none is changed
// afterwards. A field, or a value of an enumeration, that is only added says so
// itself at the end of its line, as in `bool held = 4; // since 2026-12-01`, and needs
// none here; it stays as it is, or goes with a line here. In brackets is what the .proto files are with it; history_test.go holds
// them to it, and `go test ./protocol/oriel/v1 -update` fills it in.
//
//	version 1, 2026-11-22: first version; between nodes: BusMessage.
//	           2026-11-22: CloseSession.attempt; Again; Seen, Delays, Stats.queue_us and loss_ppm.
//	           2026-11-22: Ready.full_chroma, Stats.full_chroma, Stats.preset.
//	           2026-11-27: Stats: frames are those of the last second; few come each 10 s (04a51d9, d761a1a).
//	           2026-11-27: Prepare, PrepareSession, and to a helper (b1324d9).
//	           2026-11-30: ToDesktop.at, Dropped, Heard, Held, Again.held.
//	           2026-11-30: Hello.instance, Hello.fingerprint, Prove, NewIdentity, Twins,
//	           Computer.same_machine_as, CODE_TWO_MACHINES.
//	           2026-11-30: Ready.lacks, DisplayState.lacks.
//	           2026-11-30: Challenge.signature, Hello.enrollment: a token is proved, no longer shown.
//	                       A relay refuses an agent that shows one; enrolled agents show none.
//	           2026-11-30: Preview: its height is bounded as well.
//	           2026-11-30: Grant.lease_seconds, Renewal, END_REASON_UNRENEWED,
//	           EndSession.code and detail; AskClock, Clock.
//	           2026-11-30: RelayHealth, SessionWaiting.unreachable.
//	           2026-11-30: Key.locks, Key.locked, Key.repeat.
//	           2026-11-30: SessionOpened.known_key.
//	           2026-11-30: Rotation, Challenge.rotations, Welcome.succession_key. An agent that
//	                       does not know them stays with the key that it pinned.
//	           2026-11-30: Welcome.membership, and the header Oriel-Membership.
//	           2026-11-30: Refresh.
//	           2026-11-30: OpenSession.wanted, ChangeScopes, Supplement, ScopesInForce, JournalEntry.scopes,
//	                       instead of Mode; Grant.organization, ends_at and policy, END_REASON_TIME_UP;
//	                       Capability; Watch.topics; FromConsole.id, Problem.reply_to. [722257f9]
//	           2026-11-30: AgentLost. [90a44e05]
//	           2026-11-30: ChannelEnd. [f64cdcad]
//	           2026-11-30: BusAccessChanged in the place of BusSignedOut. [a7f8b89e]
//	           2026-11-30: between nodes: BusAuditChanged. [272bd3c7]
//	           2026-11-30: OpenSession.ice_user_name. [bb8014d3]
//	           2026-11-30: between nodes: BusTURN. [260c5989]
//	           2026-11-30: HelperSupplement: what Supplement says goes on to a helper. [61fa6b87]
//	           2026-11-30: between nodes: BusFleetChanged.organization, BusJournalChanged.organization. [f29aa554]
//	           2026-11-30: between nodes: BusAccessChanged.organization. [642aa034]
//	           2026-11-30: Supplement.ends_at, Renewal.ends_at. [b290165b]
//	           2026-11-30: JournalSnapshot.audience. [4d8c0bfb]
//	           2026-11-30: ComputerPolicy, SignedPolicy, Hello.policy_version, and to a
//	                       helper. An agent that does not announce CAPABILITY_POLICIES is sent none. [283ccde2]
//
// A message from a newer side is understood by an older one: unknown fields
// are dropped, so that no bound is got round by them and nobody passes on what
// was not checked; an unknown ask is answered with CODE_UNIMPLEMENTED. A change
// that an older side cannot live with raises Version.
package orielv1

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Version of the protocol that this side speaks.
const Version = 1

// Bounds of fields that name none of their own (bounds.proto).
const (
	DefaultMaxLen   = 256
	DefaultMaxItems = 64
)

// MaxMessage is the largest encoded message, in bytes, that either side reads.
const MaxMessage = 4 << 20

// ErrBounds is wrapped by the errors of Decode and Check for a message that
// parses but breaks a bound.
var ErrBounds = errors.New("out of bounds")

// MaxPreviewSide is the longest side of a preview, in pixels, and MaxPreviewBytes
// the size of its JPEG: that of Preview.data on the wire.
const (
	MaxPreviewSide  = 640
	MaxPreviewBytes = 40_960
)

// Decode parses b into m, without the fields that this side does not know, and
// checks every bound. It is the only door for bytes that come from a network.
func Decode(b []byte, m proto.Message) error {
	if len(b) > MaxMessage {
		return fmt.Errorf("message of %d bytes: %w", len(b), ErrBounds)
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		return fmt.Errorf("decode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return Check(m)
}

// Encode is proto.Marshal for messages that keep their bounds; one that does
// not is our own fault and refused here rather than at the other side.
func Encode(m proto.Message) ([]byte, error) {
	if err := Check(m); err != nil {
		return nil, err
	}
	b, err := proto.Marshal(m)
	if err == nil && len(b) > MaxMessage {
		return nil, fmt.Errorf("%s of %d bytes: %w", m.ProtoReflect().Descriptor().Name(), len(b), ErrBounds)
	}
	return b, err
}

// Check reports the first field of m, or of a message within it, that is
// longer than its bound.
func Check(m proto.Message) error {
	return check(m.ProtoReflect(), 0)
}

const maxDepth = 16

func check(m protoreflect.Message, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: nested too deep: %w", m.Descriptor().Name(), ErrBounds)
	}
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		err = checkField(f, v, depth)
		return err == nil
	})
	return err
}

func checkField(f protoreflect.FieldDescriptor, v protoreflect.Value, depth int) error {
	if !f.IsList() {
		return checkValue(f, v, depth)
	}
	list := v.List()
	if limit := bound(f, E_MaxItems.TypeDescriptor(), DefaultMaxItems); list.Len() > limit {
		return fmt.Errorf("%s has %d items, at most %d: %w", f.FullName(), list.Len(), limit, ErrBounds)
	}
	for i := range list.Len() {
		if err := checkValue(f, list.Get(i), depth); err != nil {
			return err
		}
	}
	return nil
}

func checkValue(f protoreflect.FieldDescriptor, v protoreflect.Value, depth int) error {
	n := 0
	switch f.Kind() {
	case protoreflect.MessageKind:
		return check(v.Message(), depth+1)
	case protoreflect.StringKind:
		n = len(v.String())
	case protoreflect.BytesKind:
		n = len(v.Bytes())
	default:
		return nil
	}
	if limit := bound(f, E_MaxLen.TypeDescriptor(), DefaultMaxLen); n > limit {
		return fmt.Errorf("%s has %d bytes, at most %d: %w", f.FullName(), n, limit, ErrBounds)
	}
	return nil
}

func bound(f protoreflect.FieldDescriptor, x protoreflect.ExtensionTypeDescriptor, otherwise int) int {
	o := f.Options().ProtoReflect()
	if o.IsValid() && o.Has(x) {
		return int(o.Get(x).Uint())
	}
	return otherwise
}
