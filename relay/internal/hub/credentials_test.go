package hub

import (
	"net/http"
	"testing"
)

func FuzzCredentials(f *testing.F) {
	f.Add(`Oriel key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", token="oriel-x-1"`)
	f.Fuzz(func(t *testing.T, header string) {
		key, token := credentials(&http.Request{Header: http.Header{"Authorization": {header}}})
		if key != nil && len(key) != 32 || key == nil && token != "" || len(token) > 64 {
			t.Fatalf("%q: %x, %q", header, key, token)
		}
	})
}
