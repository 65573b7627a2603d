package api

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	orielv1 "oriel/protocol/oriel/v1"
)

// added is JournalEntry with more fields.
func added(t *testing.T, fields ...*descriptorpb.FieldDescriptorProto) protoreflect.MessageDescriptor {
	t.Helper()
	live := protodesc.ToFileDescriptorProto(orielv1.File_oriel_v1_live_proto)
	for _, m := range live.MessageType {
		if m.GetName() == "JournalEntry" {
			m.Field = append(m.Field, fields...)
		}
	}
	file, err := protodesc.NewFile(live, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName("JournalEntry")
}

func field(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, label descriptorpb.FieldDescriptorProto_Label) *descriptorpb.FieldDescriptorProto {
	return &descriptorpb.FieldDescriptorProto{Name: proto.String(name), Number: proto.Int32(number), Type: kind.Enum(), Label: label.Enum()}
}

// Rule: a field that is added to JournalEntry is in the API and its description by that.
func TestAnAddedFieldIsInTheAPI(t *testing.T) {
	const one, many = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	more := *sessionShape
	more.of = added(t, field("unattended", 1000, descriptorpb.FieldDescriptorProto_TYPE_BOOL, one),
		field("seen_at", 1001, descriptorpb.FieldDescriptorProto_TYPE_INT64, one),
		field("notes", 1002, descriptorpb.FieldDescriptorProto_TYPE_STRING, many),
		field("recorded_at", 1003, descriptorpb.FieldDescriptorProto_TYPE_INT64, one))
	m := dynamicpb.NewMessage(more.of)
	set := func(name string, v protoreflect.Value) { m.Set(more.of.Fields().ByTextName(name), v) }
	set("unattended", protoreflect.ValueOfBool(true))
	set("seen_at", protoreflect.ValueOfInt64(1_700_000_000_123))
	b, err := more.encode(m)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got["unattended"] != true || got["seen_at"] != "2023-11-14T22:13:20.123Z" || got["recorded_at"] != nil || len(got["notes"].([]any)) != 0 {
		t.Errorf("%s", b)
	}
	r := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	more.schema(r)
	s := r.Map()["Session"]
	if s.Properties["unattended"].Type != "boolean" || s.Properties["seen_at"].Format != "date-time" || s.Properties["notes"].Items.Type != "string" ||
		!slices.Contains(s.Required, "unattended") || slices.Contains(s.Required, "recorded_at") {
		t.Errorf("%+v", s)
	}
}

// Rule: the journal's rows say nothing by zeros: what is not known is absent or empty.
func TestSession(t *testing.T) {
	for name, c := range map[string]struct {
		entry *orielv1.JournalEntry
		want  string
	}{
		"running": {&orielv1.JournalEntry{SessionId: "s", StartedAt: 1000},
			`{"browser":"","bytes":0,"codec":"","computer_id":"","computer_name":"","end_code":"","end_detail":"","end_reason":"","id":"s",` +
				`"operator_address":"","operator_id":"","operator_name":"","path":"","scopes":[],"started_at":"1970-01-01T00:00:01Z"}`},
		"ended": {&orielv1.JournalEntry{SessionId: "s", StartedAt: 1000, ConnectedAt: 2000, EndedAt: 3000, EndReason: orielv1.EndReason_END_REASON_AGENT_STOPPED,
			EndCode: orielv1.Code_CODE_BUSY, Path: orielv1.Path_PATH_RELAYED, Bytes: 1 << 60, Mode: orielv1.Mode_MODE_VIEW,
			Scopes: []orielv1.Scope{orielv1.Scope_SCOPE_VIEW}, Delays: &orielv1.Delays{Frames: 2, EncodeUs: 3}},
			`{"browser":"","bytes":1152921504606846976,"codec":"","computer_id":"","computer_name":"","connected_at":"1970-01-01T00:00:02Z",` +
				`"delays":{"encode_us":3,"frames":2,"loss_ppm":0},"end_code":"busy","end_detail":"","end_reason":"agent_stopped","ended_at":"1970-01-01T00:00:03Z",` +
				`"id":"s","operator_address":"","operator_id":"","operator_name":"","path":"relayed","scopes":["view"],"started_at":"1970-01-01T00:00:01Z"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := json.Marshal(sessionOf(c.entry)); err != nil || string(got) != c.want {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
}
