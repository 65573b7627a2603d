package session

import (
	"image"
	"image/color"
	"testing"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

func TestCursorShape(t *testing.T) {
	pixels := map[color.RGBA][4]byte{ // premultiplied to straight
		{0, 0, 0, 0}:         {0, 0, 0, 0},
		{255, 128, 0, 255}:   {255, 128, 0, 255},
		{64, 32, 0, 128}:     {128, 64, 0, 128},
		{200, 200, 200, 100}: {255, 255, 255, 100}, // no colour can be that bright
		{9, 9, 9, 0}:         {0, 0, 0, 0},
	}
	for from, to := range pixels {
		img := image.NewRGBA(image.Rect(0, 0, 3, 2))
		img.SetRGBA(2, 1, from)
		s := shapeOf(desktop.Cursor{Visible: true, Shape: img, Hot: image.Pt(1, 5)})
		if got := [4]byte(s.GetRgba()[20:]); got != to {
			t.Errorf("%v became %v, expected %v", from, got, to)
		}
		if s.GetWidth() != 3 || s.GetHeight() != 2 || s.GetHotX() != 1 || s.GetHotY() != 1 {
			t.Errorf("shape %dx%d, hot %d,%d", s.GetWidth(), s.GetHeight(), s.GetHotX(), s.GetHotY())
		}
	}
	if s := shapeOf(desktop.Cursor{Visible: true}); s != nil {
		t.Errorf("an unknown shape is %v", s)
	}
	if s := shapeOf(desktop.Cursor{Shape: image.NewRGBA(image.Rect(0, 0, 3, 2))}); s == nil || len(s.GetRgba()) != 0 {
		t.Errorf("a hidden cursor is %v", s)
	}
	big := image.NewRGBA(image.Rect(0, 0, 256, 256))
	big.SetRGBA(255, 255, color.RGBA{1, 2, 3, 255})
	// A part of a larger picture begins somewhere in its memory.
	for _, shape := range []*image.RGBA{big, big.SubImage(image.Rect(200, 200, 256, 256)).(*image.RGBA)} {
		s := shapeOf(desktop.Cursor{Visible: true, Shape: shape, Hot: image.Pt(300, 300)})
		b, err := orielv1.Encode(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_CursorShape{CursorShape: s}})
		if err != nil || len(b) > 262144 || len(s.GetRgba()) != int(s.GetWidth()*s.GetHeight()*4) {
			t.Errorf("%v: %d bytes for %dx%d, %v", shape.Rect, len(b), s.GetWidth(), s.GetHeight(), err)
		}
		if s.GetRgba()[len(s.GetRgba())-1] == 0 && shape != big {
			t.Error("the last pixel is lost")
		}
	}
}
