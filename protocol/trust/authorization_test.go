package trust

import "testing"

func TestAuthorization(t *testing.T) {
	for _, token := range []string{"", "oriel-abcdefghijklmnopqrstuvwxyz-0123456789abcdef"} {
		k, got := ParseAuthorization(Authorization(pub(key(2)), token))
		if !k.Equal(pub(key(2))) || got != token {
			t.Errorf("%q came as %x, %q", token, k, got)
		}
	}
	for _, header := range []string{"", "Bearer x", `Oriel key=""`, Authorization(pub(key(2)), `"`), Authorization(nil, "x")} {
		if k, token := ParseAuthorization(header); k != nil || token != "" {
			t.Errorf("%q was read", header)
		}
	}
}

func FuzzAuthorization(f *testing.F) {
	f.Add(`Oriel key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", token="oriel-x-1"`)
	f.Fuzz(func(t *testing.T, header string) {
		key, token := ParseAuthorization(header)
		if key != nil && len(key) != 32 || key == nil && token != "" || len(token) > 64 {
			t.Fatalf("%q: %x, %q", header, key, token)
		}
	})
}
