package fleet_test

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/relaytest"
)

// Rule: the limits of a preview are one constant: what an agent may make is what
// the relay keeps, and nothing larger.
func TestPreviewLimits(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	id := relaytest.NewMachine("pc").Connect(t, n, n.Token(t, 1)).Welcome.GetComputerId()
	picture := func(w, h, padding int) *orielv1.Preview {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, w, h)), nil); err != nil {
			t.Fatal(err)
		}
		return &orielv1.Preview{Type: "image/jpeg", Data: append(b.Bytes(), make([]byte, padding)...)}
	}
	full := orielv1.MaxPreviewBytes - len(picture(10, 10, 0).GetData())
	for _, tc := range []struct {
		name    string
		preview *orielv1.Preview
		want    error
	}{
		{"the largest", picture(orielv1.MaxPreviewSide, orielv1.MaxPreviewSide, 0), nil},
		{"too wide", picture(orielv1.MaxPreviewSide+1, 1, 0), fleet.ErrPreview},
		{"too high", picture(1, orielv1.MaxPreviewSide+1, 0), fleet.ErrPreview},
		{"as high as was once let in", picture(orielv1.MaxPreviewSide, 2160, 0), fleet.ErrPreview},
		{"the most bytes", picture(10, 10, full), nil},
		{"a byte more", picture(10, 10, full+1), fleet.ErrPreview},
	} {
		if err := n.Fleet.SavePreview(t.Context(), relaytest.Own(id), tc.preview); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}
