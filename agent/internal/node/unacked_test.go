package node

import (
	"strconv"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
)

func TestUnackedIsBounded(t *testing.T) {
	var u unacked
	for i := range 3 * maxUnacked {
		u.add(&orielv1.SessionEnded{SessionId: strconv.Itoa(i % (2 * maxUnacked)), EndedAt: int64(i)})
	}
	if len(u.list) != maxUnacked {
		t.Fatalf("%d kept, want %d", len(u.list), maxUnacked)
	}
	if u.get("0") == nil && u.get(strconv.Itoa(maxUnacked-1)) == nil {
		t.Fatal("the newest were dropped")
	}
	if e := u.get(strconv.Itoa(maxUnacked - 1)); e.GetEndedAt() != 3*maxUnacked-1 {
		t.Fatalf("kept an old end of the same session: %v", e)
	}
	u.ack(strconv.Itoa(maxUnacked - 1))
	if u.get(strconv.Itoa(maxUnacked-1)) != nil || len(u.list) != maxUnacked-1 {
		t.Fatal("not forgotten when acknowledged")
	}
}
