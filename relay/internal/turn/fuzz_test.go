package turn

import (
	"net"
	"strings"
	"testing"
	"time"
)

// FuzzUserName: a TURN user name is read one way. What is taken has an id, is small,
// says until when, and counts against the holder that it was made for.
func FuzzUserName(f *testing.F) {
	s := start(f, nil)
	now := s.o.Now()
	for _, h := range []Holder{{"ada", ""}, {"ada", "session/1"}, {"ada", "sign-in/x:y"}} {
		user, _ := s.Credentials(h, now.Add(time.Minute))
		f.Add(user, "ada", "session/1")
	}
	for _, user := range []string{"", ":", "1:", "x:ada", "99999999999", ":ada", "99999999999::s", "+99999999999:ada", "9223372036854775807:ada", "-9223372036854775808:a"} {
		f.Add(user, "a:da", "sign-in/::")
	}
	f.Fuzz(func(t *testing.T, user, id, scope string) {
		from := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 5}
		got, key, ok := s.authenticate(request(user, from, allocate))
		if !ok && (got != "" || key != nil) {
			t.Fatalf("%q is refused, with %q and a key of %d bytes", user, got, len(key))
		}
		if ok {
			seconds, rest, _ := strings.Cut(user, ":")
			if h := holder(got); h.ID == "" || strings.Contains(h.ID, ":") || h.user() != got && h.user()+":" != got || rest != got || seconds == "" || len(user) > 256 {
				t.Fatalf("%q is taken for %+v (%q)", user, h, got)
			}
			if _, _, again := s.authenticate(request(user, from, refresh)); !again {
				t.Fatalf("%q may begin, and not go on", user)
			}
		}
		made, password := s.Credentials(Holder{id, scope}, now.Add(time.Minute))
		got, key, ok = s.authenticate(request(made, from, allocate))
		want := Holder{strings.ReplaceAll(id, ":", ""), scope}
		if good := want.ID != "" && len(made) <= 256; ok != good || ok && (holder(got) != want || len(key) == 0 || password == "") {
			t.Fatalf("what is made for %q, %q is %q, and read as %+v, %v", id, scope, made, holder(got), ok)
		}
	})
}
