//go:build cgo

package encode_test

import (
	"image"
	"testing"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// Every encoder, also one that was opened twice because the size changed, gives
// back what it took from C.
func TestNoLeak(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		use := func() {
			e, err := encode.New(c, encode.Config{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			for _, side := range []int{320, 256} {
				if _, err := e.Encode(encode.NewImage(encode.I420, image.Pt(side, side)), encode.Params{Quantizer: 30}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 3 {
			use()
		}
		before := decodetest.HeapInUse()
		for range 20 {
			use()
		}
		if left := decodetest.HeapInUse() - before; left > 64<<10 {
			t.Errorf("20 encoders left %d kB behind", left>>10)
		}
	})
}
