package journal

import "testing"

func FuzzPlace(f *testing.F) {
	f.Add("MTIzLmFiYw")
	f.Fuzz(func(t *testing.T, cursor string) {
		_, id, err := place(cursor)
		if err == nil && cursor != "" && (id == "" || len(id) > 100) {
			t.Fatalf("%q names %q", cursor, id)
		}
	})
}
