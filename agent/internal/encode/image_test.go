package encode

import (
	"image"
	"testing"
)

func TestChangedEnclosesWhatDiffers(t *testing.T) {
	for _, f := range []Format{I420, I444} {
		img, old := NewImage(f, image.Pt(35, 21)), NewImage(f, image.Pt(35, 21))
		if got := img.Changed(old); !got.Empty() {
			t.Errorf("%v: nothing differs, and %v does", f, got)
		}
		img.Y[3*img.StrideY+34]++
		img.Y[7*img.StrideY+5]++
		if got, want := img.Changed(old), image.Rect(5, 3, 35, 8); got != want {
			t.Errorf("%v: %v, not %v", f, got, want)
		}
		c := img.chroma(img.Bounds()).Max
		img.V[(c.Y-1)*img.StrideC]++
		want := image.Rect(0, 3, 35, 21)
		if got := img.Changed(old); got != want {
			t.Errorf("%v: colour alone: %v, not %v", f, got, want)
		}
	}
}
