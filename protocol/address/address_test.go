package address

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"
)

// vectors are read by console/src/core/address.test.ts as well.
type vectors struct {
	Read                      map[string]string
	Refused, Loopback, Beyond []string
}

func load(t testing.TB) (v vectors) {
	t.Helper()
	b, err := os.ReadFile("../testdata/addresses.json")
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Rule: addresses (IDN, ports, paths, IPv6 with zone) are read by one parser in
// agent, relay, console and installer.
func TestVectors(t *testing.T) {
	v := load(t)
	for text, want := range v.Read {
		a, err := Parse(text)
		if err != nil || a.String() != want {
			t.Errorf("%q is read as %q, %v; want %q", text, a, err, want)
		}
	}
	for _, text := range v.Refused {
		if a, err := Parse(text); !errors.Is(err, ErrAddress) {
			t.Errorf("%q is read as %q, %v", text, a, err)
		}
	}
	for _, text := range v.Loopback {
		if a, err := Parse(text); err != nil || !a.Loopback() || a.Exposed() {
			t.Errorf("%q: %+v, %v", text, a, err)
		}
	}
	for _, text := range v.Beyond {
		if a, err := Parse(text); err != nil || a.Loopback() || !a.Exposed() {
			t.Errorf("%q: %+v, %v", text, a, err)
		}
	}
	if _, err := Parse("https://" + strings.Repeat("a", Max)); !errors.Is(err, ErrAddress) {
		t.Error("an endless address was read")
	}
}

// What was read is read again as the same, also by the parser that dials it, and
// has nothing in it that a shell or a header would take for more.
func FuzzParse(f *testing.F) {
	v := load(f)
	for text := range v.Read {
		f.Add(text)
	}
	for _, text := range v.Refused {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			return
		}
		out := a.String()
		if again, err := Parse(out); err != nil || again != a || len(out) > Max {
			t.Fatalf("%q is read as %q, and that as %+v, %v", text, out, again, err)
		}
		u, err := url.Parse(out)
		if err != nil || u.Hostname() != a.Host || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.EscapedPath() != a.Path {
			t.Fatalf("%q is dialled as %+v, %v", out, u, err)
		}
		if strings.Trim(out, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/.-_~[]%") != "" {
			t.Fatalf("%q", out)
		}
	})
}
