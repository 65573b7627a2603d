package orielv1

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

var update = flag.Bool("update", false, "write the golden messages anew")

// The golden messages are what both languages must read alike: NAME.MESSAGE.json
// is protojson, the .bin beside it the bytes on the wire. The TypeScript half is
// console/src/core/frames.test.ts. A change of either side that breaks an old
// peer breaks one of them.
var golden = map[string]proto.Message{
	"hello.FromAgent": &FromAgent{Body: &FromAgent_Hello{Hello: &Hello{
		Version: 1, AgentVersion: "0.1.0", MachineKey: seq(32), Signature: seq(64), Nonce: seq(16),
		MachineId: "4c4c4544", Sessions: []string{"0192f3c4-0000-7000-8000-000000000001"},
		Summary: &Summary{HostName: "büro-7", Os: "linux", OsName: "Debian GNU/Linux 12 (bookworm)", Arch: "amd64",
			User: "анна", Addresses: []string{"192.0.2.7", "2001:db8::7"}},
		Status: &Status{Display: Status_DISPLAY_READY}}}},
	"instance.FromAgent": &FromAgent{Body: &FromAgent_Hello{Hello: &Hello{
		Version: 1, MachineKey: seq(32), Signature: seq(64), Nonce: seq(16), Instance: seq(16), Fingerprint: seq(32)}}},
	"refused.ToAgent": &ToAgent{Body: &ToAgent_Refused{Refused: &Refused{Code: Code_CODE_TWO_MACHINES, Detail: "two",
		NewIdentity: &NewIdentity{Token: "oriel-x", Signature: seq(64)}}}},
	"welcome.ToAgent": &ToAgent{Body: &ToAgent_Welcome{Welcome: &Welcome{ComputerId: "c-1", Signature: seq(64), Now: 1795305600000, Membership: seq(64)}}},
	"organization.ToAgent": &ToAgent{Body: &ToAgent_Welcome{Welcome: &Welcome{ComputerId: "c-1", Signature: seq(64), Now: 1795305600000, Membership: seq(64),
		Organization: "main", OrganizationMembership: seq(64)}}},
	"prove.ToAgent": &ToAgent{Id: 3, Body: &ToAgent_Prove{Prove: &Prove{}}},
	"opened.ToConsole": &ToConsole{Body: &ToConsole_SessionOpened{SessionOpened: &SessionOpened{
		SessionId: "s-1", Attempt: 3, ComputerKey: seq(32), Nonce: seq(16), Scopes: []Scope{Scope_SCOPE_VIEW}, KnownKey: seq(32)}}},
	"twins.ToConsole": &ToConsole{Body: &ToConsole_Computer{Computer: &Computer{Id: "c-1", SameMachineAs: "c-0",
		Twins: &Twins{SeenAt: 1795305600000, Machines: []*Twins_Machine{
			{Mark: "i:00", HostName: "front", Address: "192.0.2.7"}, {Mark: "i:01", HostName: "front", Address: "192.0.2.8", Renews: true}}}}}},
	"inventory.FromAgent": &FromAgent{ReplyTo: 9, Body: &FromAgent_Inventory{Inventory: &Inventory{
		TakenAt: 1795305600000,
		General: &General{Os: "linux", Cpu: "Example 3000", Cpus: 8, MemoryTotal: 1 << 34, MemoryUsed: 1 << 33,
			Volumes: []*Volume{{Path: "/", Device: "/dev/vda", FileSystem: "ext4", Total: 1 << 40, Used: 1}}},
		Hardware: &Hardware{Monitors: []*Monitor{{Name: "HDMI-1", Width: 1920, Height: 1080, Primary: true}},
			Software: []*Software{{Name: "openbox", Version: "3.6.1"}}}}}},
	"answer.ToConsole": &ToConsole{Body: &ToConsole_Answer{Answer: &Answer{
		SessionId: "s-1", Sdp: "v=0\r\n", Nonce: seq(16), MachineKey: seq(32), Signature: seq(64), Attempt: 3}}},
	"computers.ToConsole": &ToConsole{Body: &ToConsole_Computers{Computers: &ComputersSnapshot{Computers: []*Computer{{
		Id: "c-1", Name: "Front desk", Status: Computer_STATUS_IN_SESSION, Address: "192.0.2.7", AgentVersion: "0.1.0",
		LastSeen: 1795305600000, AddedAt: 1795300000000, PreviewAt: 1795305599000, Display: Status_DISPLAY_READY,
		Operators: []string{"Ada"}, Permissions: []string{"see", "groups.manage"}, Summary: &Summary{HostName: "front", Os: "windows"}}}}}},
	"described.ToConsole": &ToConsole{Body: &ToConsole_Computer{Computer: &Computer{Id: "c-1", GroupId: "g-1", Group: "Berlin", Tags: []string{"desk", "büro"},
		Comment: "**new**", Pinned: true, Fields: []*FieldValue{{Id: "f-1", Value: "INV-0815"}}}}},
	"tally.ToConsole": &ToConsole{Body: &ToConsole_ComputerTally{ComputerTally: &ComputerTally{Changed: 3,
		Counts: []*ComputerTally_Count{{Status: Computer_STATUS_ONLINE, Count: 9000}, {Status: Computer_STATUS_OFFLINE, Count: 1000}}}}},
	"journal.ToConsole": &ToConsole{Body: &ToConsole_JournalEntry{JournalEntry: &JournalEntry{
		SessionId: "s-1", ComputerId: "c-1", ComputerName: "Front desk", OperatorName: "Ada", Mode: Mode_MODE_VIEW,
		StartedAt: 1795305600000, EndedAt: 1795305660000, EndReason: EndReason_END_REASON_ENDED,
		Path: Path_PATH_RELAYED, Bytes: 123456789012, Codec: "AV1", Delays: &Delays{Frames: 1 << 33, CaptureUs: 700, ConvertUs: 300,
			EncodeUs: 9000, QueueUs: 1500, RoundTripUs: 40000, LossPpm: 10000, WaitUs: 3000, DecodeUs: 2000, ShownUs: 12000}}}},
	"sessions.ToConsole":   &ToConsole{Body: &ToConsole_Journal{Journal: &JournalSnapshot{Audience: "0a1b", Entries: []*JournalEntry{{SessionId: "s-1"}}}}},
	"signed_out.ToConsole": &ToConsole{Body: &ToConsole_SignedOut{SignedOut: &SignedOut{Reason: SignOutReason_SIGN_OUT_REASON_PASSWORD}}},
	"health.ToConsole": &ToConsole{Body: &ToConsole_RelayHealth{RelayHealth: &RelayHealth{Node: "a",
		Failing: []*Failing{{Part: "bus"}, {Part: "database", DiskFull: true}}}}},
	"lost.ToConsole":     &ToConsole{Body: &ToConsole_AgentLost{AgentLost: &AgentLost{SessionId: "s-1"}}},
	"ticket.FromConsole": &FromConsole{Body: &FromConsole_OpenSession{OpenSession: &OpenSession{Attempt: 1, IceUserName: "1795305600:p-1:ticket/s-1/1795305600-A"}}},
	"open.FromConsole": &FromConsole{Body: &FromConsole_OpenSession{OpenSession: &OpenSession{
		Attempt: 1, ComputerId: "c-1", Mode: Mode_MODE_CONTROL, Sdp: "v=0\r\n", SessionId: "s-1"}}},
	"wanted.FromConsole": &FromConsole{Body: &FromConsole_OpenSession{OpenSession: &OpenSession{
		Attempt: 1, ComputerId: "c-1", Sdp: "v=0\r\n", Wanted: []Scope{Scope_SCOPE_VIEW, Scope_SCOPE_FILES_READ}}}},
	"change.FromConsole": &FromConsole{Body: &FromConsole_ChangeScopes{ChangeScopes: &ChangeScopes{
		SessionId: "s-1", Wanted: []Scope{Scope_SCOPE_VIEW}}}},
	"numbered.FromConsole": &FromConsole{Id: 7},
	"topics.FromConsole":   &FromConsole{Body: &FromConsole_Watch{Watch: &Watch{Topics: []Topic{Topic_TOPIC_COMPUTERS, Topic_TOPIC_JOURNAL}}}},
	"shown.FromConsole":    &FromConsole{Body: &FromConsole_Watch{Watch: &Watch{Topics: []Topic{Topic_TOPIC_SHOWN}, ComputerIds: []string{"c-1", "c-2"}}}},
	"hello.ToConsole": &ToConsole{Body: &ToConsole_Welcome{Welcome: &LiveWelcome{PersonId: "p-1",
		Capabilities: []Capability{Capability_CAPABILITY_CHANGE_SCOPES, Capability_CAPABILITY_TOPICS}}}},
	"problem.ToConsole": &ToConsole{Body: &ToConsole_Problem{Problem: &Problem{Code: Code_CODE_UNIMPLEMENTED, Detail: "update", ReplyTo: 7}}},
	"scopes.ToConsole": &ToConsole{Body: &ToConsole_JournalEntry{JournalEntry: &JournalEntry{
		SessionId: "s-1", Scopes: []Scope{Scope_SCOPE_VIEW, Scope_SCOPE_TERMINAL}}}},
	"supplement.ToAgent": &ToAgent{Id: 4, Body: &ToAgent_Supplement{Supplement: &SignedSupplement{Supplement: seq(40), RelaySignature: seq(64)}}},
	"policy.ToAgent":     &ToAgent{Id: 5, Body: &ToAgent_Policy{Policy: &SignedPolicy{Policy: seq(40), RelaySignature: seq(64)}}},
	"policy.FromAgent":   &FromAgent{Body: &FromAgent_Hello{Hello: &Hello{Version: 1, PolicyVersion: 1795305600000, Capabilities: []Capability{Capability_CAPABILITY_POLICIES}}}},
	"keeps.ComputerPolicy": &ComputerPolicy{ComputerId: "c-1", Organization: &Organization{Id: "o-1", Name: "Ada's"}, Version: 1795305600000, IssuedAt: 1795305600000,
		LimitsScopes: true, Scopes: []Scope{Scope_SCOPE_VIEW}, Consent: true, NoPreviews: true, PreviewSeconds: 300, SessionMinutes: 60, LeaseMinutes: 5,
		Hours: []string{"mon-fri 08:00-18:00"}},
	"capabilities.FromAgent": &FromAgent{Body: &FromAgent_Hello{Hello: &Hello{Version: 1, Capabilities: []Capability{Capability_CAPABILITY_VIEW, Capability_CAPABILITY_SUPPLEMENTS}}}},
	"policy.Grant": &Grant{SessionId: "s-1", Scopes: []Scope{Scope_SCOPE_VIEW}, EndsAt: 1795305600000,
		Organization: &Organization{Id: "o-1", Name: "Ada's"}, Policy: &Policy{Consent: Consent_CONSENT_ALWAYS, Recording: true, Banner: true}},
	"ends.Supplement":     &Supplement{SessionId: "s-1", ComputerId: "c-1", Scopes: []Scope{Scope_SCOPE_VIEW}, IssuedAt: 1, ExpiresAt: 2, EndsAt: 1795305600000},
	"ends.Renewal":        &Renewal{SessionId: "s-1", ComputerId: "c-1", IssuedAt: 1, EndsAt: 1795305600000},
	"inforce.FromDesktop": &FromDesktop{Body: &FromDesktop_ScopesInForce{ScopesInForce: &ScopesInForce{Scopes: []Scope{Scope_SCOPE_VIEW}}}},
	"prepare.FromConsole": &FromConsole{Body: &FromConsole_PrepareSession{PrepareSession: &PrepareSession{ComputerId: "c-1"}}},
	"challenge.ToAgent":   &ToAgent{Body: &ToAgent_Challenge{Challenge: &Challenge{Version: 1, Nonce: seq(32), RelayKey: seq(32), BindTls: true, Signature: seq(64)}}},
	"rotated.ToAgent": &ToAgent{Body: &ToAgent_Challenge{Challenge: &Challenge{Version: 1, Nonce: seq(32), RelayKey: seq(32), Rotations: []*Rotation{
		{OldKey: seq(32), NewKey: seq(32), At: 1795305600000, SuccessionSignature: seq(64), OldSignature: seq(64)}}}}},
	"succession.ToAgent": &ToAgent{Body: &ToAgent_Welcome{Welcome: &Welcome{ComputerId: "c-1", SuccessionKey: seq(32), SuccessionSignature: seq(64)}}},
	"enroll.FromAgent":   &FromAgent{Body: &FromAgent_Hello{Hello: &Hello{Version: 1, MachineKey: seq(32), Nonce: seq(32), Signature: seq(64), Enrollment: seq(64)}}},
	"prepare.ToAgent":    &ToAgent{Body: &ToAgent_Prepare{Prepare: &Prepare{}}},
	"move.PointerMove":   &PointerMove{Seq: 4294967295, X: 65536, Y: 1},
	"renewal.ToAgent":    &ToAgent{Body: &ToAgent_Renewal{Renewal: &SignedRenewal{Renewal: seq(40), RelaySignature: seq(64)}}},
	"clock.ToAgent":      &ToAgent{Body: &ToAgent_Clock{Clock: &Clock{Nonce: seq(16), Now: 1795305600000, Signature: seq(64)}}},
	"clock.FromAgent":    &FromAgent{Body: &FromAgent_AskClock{AskClock: &AskClock{Nonce: seq(16)}}},
	"end.ToAgent": &ToAgent{Body: &ToAgent_EndSession{EndSession: &EndSession{SessionId: "s-1",
		Reason: EndReason_END_REASON_UNRENEWED, Code: Code_CODE_UNAVAILABLE, Detail: "not renewed"}}},
	"again.Again": &Again{First: 7, Inputs: []*ToDesktop{
		{Body: &ToDesktop_Key{Key: &Key{Usage: 4, Down: true}}},
		{Body: &ToDesktop_ReleaseAll{ReleaseAll: &ReleaseAll{}}},
	}},
	"dated.ToDesktop":     &ToDesktop{At: 90000},
	"refresh.ToDesktop":   &ToDesktop{Body: &ToDesktop_Refresh{Refresh: &Refresh{}}},
	"heard.ToDesktop":     &ToDesktop{Body: &ToDesktop_Heard{Heard: &Heard{Number: 3}}},
	"held.ToDesktop":      &ToDesktop{Body: &ToDesktop_Held{Held: &Held{Usages: []uint32{4, 0xe0}, Buttons: []uint32{0, 2}}}},
	"held.Again":          &Again{Held: &Held{Usages: []uint32{4}}},
	"dropped.FromDesktop": &FromDesktop{Body: &FromDesktop_Dropped{Dropped: &Dropped{Number: 3}}},
	"wheel.ToDesktop":     &ToDesktop{Body: &ToDesktop_Wheel{Wheel: &Wheel{Dx: -120, Dy: 240, X: 1, Y: 2}}},
	"key.ToDesktop":       &ToDesktop{Body: &ToDesktop_Key{Key: &Key{Usage: 0xe6, Down: true}}},
	"locks.ToDesktop":     &ToDesktop{Body: &ToDesktop_Key{Key: &Key{Usage: 0x5f, Down: true, Locks: 3, Locked: 2}}},
	"repeat.ToDesktop":    &ToDesktop{Body: &ToDesktop_Key{Key: &Key{Usage: 4, Down: true, Repeat: true}}},
	"text.ToDesktop":      &ToDesktop{Body: &ToDesktop_Text{Text: &Text{Text: "äöü кириллица 漢字 😀"}}},
	"seen.ToDesktop":      &ToDesktop{Body: &ToDesktop_Seen{Seen: &Seen{Frames: 300, WaitUs: 3000, DecodeUs: 2000, ShownUs: 12000}}},
	"button.ToDesktop":    &ToDesktop{Body: &ToDesktop_Button{Button: &PointerButton{Button: 2, Down: true, X: 3, Y: 4, Seq: 5}}},
	"cursor.FromDesktop":  &FromDesktop{Body: &FromDesktop_CursorShape{CursorShape: &CursorShape{Width: 2, Height: 1, HotX: 1, Rgba: seq(8)}}},
	"ready.FromDesktop":   &FromDesktop{Body: &FromDesktop_Ready{Ready: &Ready{Scopes: []Scope{Scope_SCOPE_VIEW, Scope_SCOPE_CONTROL}, Screen: &Screen{Width: 1920, Height: 1080}, Desktop: "x11 :0", Codec: "AV1", FullChroma: true}}},
	"lacks.FromDesktop":   &FromDesktop{Body: &FromDesktop_Ready{Ready: &Ready{Lacks: []Lack{Lack_LACK_INPUT, Lack_LACK_DAMAGE}}}},
	"display.FromDesktop": &FromDesktop{Body: &FromDesktop_Display{Display: &DisplayState{Available: true, Lacks: []Lack{Lack_LACK_POINTER_SHAPE, Lack_LACK_SHARED_MEMORY}}}},
	"stats.FromDesktop":   &FromDesktop{Body: &FromDesktop_Stats{Stats: &Stats{Frames: 30, Bytes: 65000, CaptureUs: 700, ConvertUs: 300, EncodeUs: 9000, EstimateKbps: 5000, Quantizer: 35, Settled: true, QueueUs: 1500, LossPpm: 10000, FullChroma: true, Preset: Preset_PRESET_SHARP}}},
	"denied.FromDesktop":  &FromDesktop{Body: &FromDesktop_Denied{Denied: &Denied{Scope: Scope_SCOPE_CONTROL, Code: Code_CODE_SCOPE, Detail: "view only"}}},
	"end.ChannelEnd":      &ChannelEnd{Code: Code_CODE_SCOPE, Detail: "no files", Scope: Scope_SCOPE_FILES_READ},
	"unbounded.ToDesktop": &ToDesktop{Body: &ToDesktop_Text{Text: &Text{Text: string(bytes.Repeat([]byte("x"), 4097))}}},
}

func seq(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

const goldenDir = "../../testdata/messages"

func TestGolden(t *testing.T) {
	for name, want := range golden {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(goldenDir, name)
			if *update {
				writeGolden(t, file, want)
			}
			b, err := os.ReadFile(file + ".bin")
			if err != nil {
				t.Fatal(err)
			}
			got := want.ProtoReflect().New().Interface()
			err = Decode(b, got)
			if name == "unbounded.ToDesktop" {
				if err == nil {
					t.Fatal("a message over its bounds was read")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, want) {
				t.Fatalf("read %v, want %v", got, want)
			}
			j, err := os.ReadFile(file + ".json")
			if err != nil {
				t.Fatal(err)
			}
			fromJSON := want.ProtoReflect().New().Interface()
			if err := protojson.Unmarshal(j, fromJSON); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(fromJSON, want) {
				t.Fatalf("json reads %v", fromJSON)
			}
		})
	}
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.bin"))
	if err != nil || len(files) != len(golden) {
		t.Fatalf("%d files for %d messages (%v)", len(files), len(golden), err)
	}
}

func writeGolden(t *testing.T, file string, m proto.Message) {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	j, err := protojson.MarshalOptions{Multiline: true, Indent: "  "}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(goldenDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for suffix, data := range map[string][]byte{".bin": b, ".json": append(j, '\n')} {
		if err := os.WriteFile(file+suffix, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func goldenFiles(f *testing.F) [][]byte {
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.bin"))
	if err != nil || len(files) == 0 {
		f.Fatal("no golden messages", err)
	}
	var all [][]byte
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}
