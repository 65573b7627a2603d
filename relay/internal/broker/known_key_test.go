package broker_test

import (
	"bytes"
	"testing"

	"oriel/relay/internal/relaytest"
)

// Rule: pins are kept with the account; a tab that opens a session is told what its
// person's account remembers of the computer, and nothing of anybody else's.
func TestTabIsToldWhatItsAccountRemembers(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		open := func() []byte {
			t.Helper()
			o := w.tab.Opened(w.tab.Open(w.computer, relaytest.Watching, ""))
			w.tab.Close(o.GetSessionId())
			return o.GetKnownKey()
		}
		if got := open(); got != nil {
			t.Fatal("before it remembers any:", got)
		}
		key := bytes.Repeat([]byte{7}, 32)
		if err := w.tabs.Access.Remember(t.Context(), w.who, w.computer, key, nil); err != nil {
			t.Fatal(err)
		}
		if got := open(); !bytes.Equal(got, key) {
			t.Fatalf("%x", got)
		}
	})
}
