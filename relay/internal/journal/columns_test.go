package journal

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/store"
)

// Rule: a field of JournalEntry is the column of its name; what is none is said here.
func TestFieldsAreColumns(t *testing.T) {
	delays, err := proto.Marshal(&orielv1.Delays{Frames: 7})
	if err != nil {
		t.Fatal(err)
	}
	row := store.Session{ID: "s", ComputerID: "c", ComputerName: "PC", OperatorID: "p", OperatorName: "Ann", OperatorAddress: "192.0.2.1",
		Browser: "B", Scopes: "control view", StartedAt: 1, ConnectedAt: 2, EndedAt: 3, EndReason: "operator", EndCode: "busy", EndDetail: "x",
		Path: "direct", BytesSent: 4, BytesReceived: 5, Codec: "av1", Delays: delays, Organization: "o"}
	var others []string
	e := entry(row).ProtoReflect()
	fields := e.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !e.Has(f) {
			t.Errorf("%s is not set", f.Name())
		}
		if row.Column(string(f.Name())) == nil {
			others = append(others, string(f.Name()))
		}
	}
	if want := []string{"session_id", "mode", "bytes"}; !slices.Equal(others, want) {
		t.Errorf("no columns are %q, want %q: name a field as its column", others, want)
	}
}

// Rule: a column that is added reaches tabs and the API by its name: its field in the
// .proto is all that it needs (package api holds its half).
func TestAnAddedColumnNeedsItsFieldAlone(t *testing.T) {
	live := protodesc.ToFileDescriptorProto(orielv1.File_oriel_v1_live_proto)
	at := slices.IndexFunc(live.MessageType, func(m *descriptorpb.DescriptorProto) bool { return m.GetName() == "JournalEntry" })
	for i, kind := range []descriptorpb.FieldDescriptorProto_Type{
		descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_BOOL, descriptorpb.FieldDescriptorProto_TYPE_INT64,
	} {
		live.MessageType[at].Field = append(live.MessageType[at].Field, &descriptorpb.FieldDescriptorProto{
			Name: proto.String([]string{"sign_in_id", "unattended", "seen_at"}[i]), Number: proto.Int32(int32(1000 + i)), Type: kind.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()})
	}
	file, err := protodesc.NewFile(live, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(file.Messages().ByName("JournalEntry"))
	fill(m, store.Session{SignInID: "s", Unattended: true, SeenAt: 9}.Column)
	get := func(name string) any {
		return m.Get(m.Descriptor().Fields().ByTextName(name)).Interface()
	}
	if get("sign_in_id") != "s" || get("unattended") != true || get("seen_at") != int64(9) {
		t.Error(m)
	}
}

// Rule: one more column of the journal is at most four files written by hand: its
// migration up and down, the row and the message. Where its value comes from is a fifth;
// an example for the API's description may be given by name, and need not. The way of
// one that is there is counted.
func TestAColumnIsWrittenInFourFiles(t *testing.T) {
	const root, examples = "../../../", "relay/internal/api/describe.go"
	column := regexp.MustCompile(`(?i)\boperator_?address\b|GetOperatorAddress`)
	var named []string
	for _, room := range []string{"relay", "protocol"} {
		err := filepath.WalkDir(root+room, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".pb.go") ||
				!slices.Contains([]string{".go", ".proto", ".sql"}, filepath.Ext(path)) {
				return err
			}
			text, err := os.ReadFile(path)
			if name := strings.TrimPrefix(filepath.ToSlash(path), root); err == nil && column.Match(text) && name != examples {
				named = append(named, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(named)
	want := []string{
		"protocol/oriel/v1/live.proto",
		"relay/internal/journal/journal.go",                      // where its value comes from
		"relay/internal/store/migrations/0003_journal.tx.up.sql", // down drops the table
		"relay/internal/store/sessions.go",
	}
	if !slices.Equal(named, want) {
		t.Errorf("it is written in %q, want %q", named, want)
	}
}
