package journal

import (
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/store"
)

// count is a number of bytes or frames as an agent tells it.
func count(n uint64) int64 { return int64(min(n, math.MaxInt64/4)) }

// longest is more than any stage of a picture's way takes.
const longest = uint32(time.Minute / time.Microsecond)

// kept is an agent's Delays as they stand in the database: nil when there were
// no pictures.
func kept(d *orielv1.Delays) []byte {
	if d.GetFrames() == 0 {
		return nil
	}
	short := func(us uint32) uint32 { return min(us, longest) }
	b, err := proto.Marshal(&orielv1.Delays{
		Frames:    uint64(count(d.GetFrames())),
		CaptureUs: short(d.GetCaptureUs()), ConvertUs: short(d.GetConvertUs()), EncodeUs: short(d.GetEncodeUs()),
		QueueUs: short(d.GetQueueUs()), RoundTripUs: short(d.GetRoundTripUs()), LossPpm: min(d.GetLossPpm(), 1_000_000),
		WaitUs: short(d.GetWaitUs()), DecodeUs: short(d.GetDecodeUs()), ShownUs: short(d.GetShownUs()),
	})
	if err != nil {
		return nil // numbers alone cannot fail
	}
	return b
}

func entries(rows []store.Session) []*orielv1.JournalEntry {
	all := make([]*orielv1.JournalEntry, len(rows))
	for i, row := range rows {
		all[i] = entry(row)
	}
	return all
}

// entry is a row as tabs and the API have it.
func entry(row store.Session) *orielv1.JournalEntry {
	e := &orielv1.JournalEntry{SessionId: row.ID, Bytes: uint64(row.BytesSent) + uint64(row.BytesReceived)}
	fill(e.ProtoReflect(), row.Column)
	e.SetScopes(e.GetScopes()) // and the Mode of tabs from before them
	return e
}

// fill sets each field of m that has a column of its name to what that holds, so that
// a column that is added needs its field and no word here.
func fill(m protoreflect.Message, column func(name string) any) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if v := told(m, f, column(string(f.Name()))); v.IsValid() {
			m.Set(f, v)
		}
	}
}

// told is a column's value for the field f: words are enumerations, bytes a message.
// It is invalid where nothing is to be said.
func told(m protoreflect.Message, f protoreflect.FieldDescriptor, column any) protoreflect.Value {
	switch v := column.(type) {
	case string:
		switch {
		case f.Kind() != protoreflect.EnumKind:
			return protoreflect.ValueOfString(v)
		case !f.IsList():
			return protoreflect.ValueOfEnum(orielv1.NumberOf(f.Enum(), v))
		}
		list := m.NewField(f)
		for word := range strings.FieldsSeq(v) {
			if n := orielv1.NumberOf(f.Enum(), word); n != 0 {
				list.List().Append(protoreflect.ValueOfEnum(n))
			}
		}
		return list
	case int64:
		if f.Kind() == protoreflect.Uint64Kind {
			return protoreflect.ValueOfUint64(uint64(max(v, 0)))
		}
		return protoreflect.ValueOfInt64(v)
	case bool:
		return protoreflect.ValueOfBool(v)
	case []byte:
		if within := m.NewField(f); len(v) > 0 && proto.Unmarshal(v, within.Message().Interface()) == nil {
			return within
		}
	}
	return protoreflect.Value{}
}

func carried(row store.Session) Carried {
	return Carried{entry(row), row.Organization, row.SignInID, orielv1.SortScopes(scopes(row.ScopesNow))}
}

func scopes(words string) []orielv1.Scope { return orielv1.FromWords[orielv1.Scope](words) }
