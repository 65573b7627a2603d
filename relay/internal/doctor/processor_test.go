package doctor

import (
	"errors"
	"testing"
)

// Rule: `doctor` says whether the processor's AES is in use.
func TestProcessor(t *testing.T) {
	for _, c := range []struct {
		has  bool
		tags string
		well bool
	}{
		{true, "", true}, {true, "x11", true}, {false, "x11", false}, {true, "purego", false}, {true, "purego,x11", false}, {true, "x11,purego", false},
	} {
		text, err := ciphers(c.has, c.tags)
		if (err == nil) != c.well || (text != "") != c.well {
			t.Errorf("AES %t, tags %q: %q, %v", c.has, c.tags, text, err)
		}
		if err != nil && !errors.As(err, &warning{}) {
			t.Errorf("AES %t, tags %q: a relay cannot run: %v", c.has, c.tags, err)
		}
	}
}
