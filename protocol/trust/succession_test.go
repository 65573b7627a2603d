package trust

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
)

// Rule: the relay's key is rotated by a cross-signature with an offline succession
// key that agents pin; nothing else makes them take another key.
func TestFollow(t *testing.T) {
	s, thief := NewSuccession(), NewSuccession()
	rotate := func(s Succession, old, next byte, at int64, signer Signer) *orielv1.Rotation {
		t.Helper()
		r, err := s.Rotate(signer, pub(key(old)), pub(key(next)), time.UnixMilli(at))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first, second := rotate(s, 1, 2, 10, Key(key(1))), rotate(s, 2, 3, 20, Key(key(2)))
	changed := func(change func(*orielv1.Rotation)) *orielv1.Rotation {
		r := rotate(s, 1, 2, 10, Key(key(1)))
		change(r)
		return r
	}
	for name, c := range map[string]struct {
		succession Succession
		from, to   byte
		said       []*orielv1.Rotation
		follows    bool
	}{
		"one step":                             {s, 1, 2, []*orielv1.Rotation{first}, true},
		"two steps, in any order":              {s, 1, 3, []*orielv1.Rotation{second, first}, true},
		"the last of two steps":                {s, 2, 3, []*orielv1.Rotation{first, second}, true},
		"without the old key's signature":      {s, 1, 2, []*orielv1.Rotation{changed(func(r *orielv1.Rotation) { r.OldSignature = nil })}, false},
		"the newer of two branches":            {s, 1, 3, []*orielv1.Rotation{first, rotate(s, 1, 3, 30, Key(key(1)))}, true},
		"back":                                 {s, 2, 1, []*orielv1.Rotation{first, second}, false},
		"nothing said":                         {s, 1, 2, nil, false},
		"another succession key":               {s, 1, 2, []*orielv1.Rotation{rotate(thief, 1, 2, 10, Key(key(1)))}, false},
		"none pinned":                          {Succession{}, 1, 2, []*orielv1.Rotation{first}, false},
		"of another key":                       {s, 4, 2, []*orielv1.Rotation{first}, false},
		"to another key":                       {s, 1, 4, []*orielv1.Rotation{first, second}, false},
		"the old key's signature is another's": {s, 1, 2, []*orielv1.Rotation{rotate(s, 1, 2, 10, Key(key(4)))}, false},
		"the old key's word alone":             {s, 1, 2, []*orielv1.Rotation{changed(func(r *orielv1.Rotation) { r.SuccessionSignature = r.OldSignature })}, false},
		"another new key in it":                {s, 1, 4, []*orielv1.Rotation{changed(func(r *orielv1.Rotation) { r.NewKey = pub(key(4)) })}, false},
		"another time in it":                   {s, 1, 2, []*orielv1.Rotation{changed(func(r *orielv1.Rotation) { r.At++ })}, false},
		"in a circle":                          {s, 1, 4, []*orielv1.Rotation{first, rotate(s, 2, 1, 20, Key(key(2)))}, false},
	} {
		var pinned []byte
		if c.succession.key != nil {
			pinned = c.succession.Public()
		}
		if err := Follow(pinned, pub(key(c.from)), pub(key(c.to)), c.said); (err == nil) != c.follows || err != nil && !errors.Is(err, ErrNotSuccessor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	sig, err := SignSuccession(Key(key(1)), []byte("nonce"), s.Public())
	if err != nil || VerifySuccession(pub(key(1)), []byte("nonce"), s.Public(), sig) != nil {
		t.Error("a succession key that the relay signed is refused")
	}
	if VerifySuccession(pub(key(1)), []byte("nonce"), thief.Public(), sig) == nil || VerifySuccession(pub(key(1)), []byte("other"), s.Public(), sig) == nil ||
		VerifySuccession(pub(key(2)), []byte("nonce"), s.Public(), sig) == nil {
		t.Error("a succession key that the relay did not sign is taken")
	}
}

func TestSuccessionOnPaper(t *testing.T) {
	s := NewSuccession()
	text := s.String()
	for _, typed := range []string{text, " " + strings.ToUpper(text) + "\n", text[:30] + " " + text[30:50] + "\n" + text[50:]} {
		if got, err := ParseSuccession(typed); err != nil || !bytes.Equal(got.Public(), s.Public()) {
			t.Errorf("%q: %v", typed, err)
		}
	}
	slip := []byte(text)
	slip[25] ^= 1
	if slip[25] < 'a' {
		slip[25] = 'z'
	}
	for _, bad := range []string{"", text[:len(text)-1], text + "0", string(slip), strings.TrimPrefix(text, "oriel-"), NewToken(pub(key(1))).String()} {
		if _, err := ParseSuccession(bad); !errors.Is(err, ErrSuccession) {
			t.Errorf("%q was read", bad)
		}
	}
}
