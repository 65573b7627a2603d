package channel_test

import (
	"encoding/json"
	"os"
	"testing"

	"oriel/agent/internal/channel"
)

// Rule: viewer and agent keep to the same bounds of a channel. The console's test reads
// the same file.
func TestBoundsAreTheViewers(t *testing.T) {
	b, err := os.ReadFile("../../../protocol/testdata/channels.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		MaxMessage, MaxUnread, MaxRoom, MaxTogether int
		Room                                        []struct {
			Open  int
			Bytes uint64
		}
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if want.MaxMessage != channel.MaxMessage || want.MaxUnread != channel.MaxUnread || want.MaxRoom != channel.MaxRoom || want.MaxTogether != channel.MaxTogether {
		t.Errorf("another bound than %+v", want)
	}
	for _, r := range want.Room {
		if got := channel.Room(r.Open); got != r.Bytes {
			t.Errorf("room of %d channels: %d bytes, want %d", r.Open, got, r.Bytes)
		}
	}
	if len(want.Room) == 0 {
		t.Error("no room is compared")
	}
}
