package trust

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestAuthorization(t *testing.T) {
	for _, a := range []Applicant{
		{Key: pub(key(2))},
		{Key: pub(key(2)), Token: NewToken(pub(key(1))).Public(), Nonce: bytes.Repeat([]byte{7}, 32)},
	} {
		got, err := ParseAuthorization(a.Authorization())
		if err != nil || !got.Key.Equal(a.Key) || !bytes.Equal(got.Token, a.Token) || !bytes.Equal(got.Nonce, a.Nonce) {
			t.Errorf("%+v came as %+v, %v", a, got, err)
		}
	}
	good := Applicant{Key: pub(key(2)), Token: pub(key(1)), Nonce: bytes.Repeat([]byte{7}, 32)}.Authorization()
	for _, header := range []string{"", "Bearer x", `Oriel key=""`, Applicant{}.Authorization(), good + " ", good[:len(good)-2] + `"`,
		strings.Replace(good, "nonce", "once", 1), good[:strings.LastIndex(good, ",")]} {
		if a, err := ParseAuthorization(header); !errors.Is(err, ErrAuthorization) || a.Key != nil {
			t.Errorf("%q was read: %+v, %v", header, a, err)
		}
	}
}

// Rule: a token that is shown, as agents did before 2026-11-30, is refused with a
// sentence that says what to do; an agent that is enrolled already shows none.
func TestShownTokenIsRefused(t *testing.T) {
	header := Applicant{Key: pub(key(2))}.Authorization() + `, token="` + NewToken(pub(key(1))).String() + `"`
	if a, err := ParseAuthorization(header); !errors.Is(err, ErrTokenShown) || a.Key != nil || !strings.Contains(err.Error(), "update the agent") {
		t.Errorf("%+v, %v", a, err)
	}
}

func FuzzAuthorization(f *testing.F) {
	f.Add(`Oriel key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", token="oriel-x-1"`)
	f.Add(Applicant{Key: pub(key(2)), Token: pub(key(1)), Nonce: bytes.Repeat([]byte{7}, 32)}.Authorization())
	f.Fuzz(func(t *testing.T, header string) {
		a, err := ParseAuthorization(header)
		switch {
		case err != nil && a.Key == nil && a.Token == nil:
		case err == nil && len(a.Key) == 32 && (a.Token == nil && a.Nonce == nil || len(a.Token) == 32 && len(a.Nonce) == 32) && a.Authorization() == header:
		default:
			t.Fatalf("%q: %+v, %v", header, a, err)
		}
	})
}
