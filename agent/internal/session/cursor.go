package session

import (
	"image"

	"golang.org/x/image/draw"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

// maxCursor is the largest side of a cursor's shape that is sent: browsers take
// messages of at most 262,144 bytes, which 256×256 pixels would just exceed.
const maxCursor = 250

// shapeOf is what the viewer draws for c, nil where the shape is not known.
// The desktop's colours are premultiplied, the viewer's are not.
func shapeOf(c desktop.Cursor) *orielv1.CursorShape {
	if !c.Visible {
		return &orielv1.CursorShape{}
	}
	if c.Shape == nil || c.Shape.Rect.Empty() {
		return nil
	}
	shape, hot := c.Shape, c.Hot
	if s := shape.Rect.Size(); s.X > maxCursor || s.Y > maxCursor {
		side := max(s.X, s.Y)
		to := image.Rect(0, 0, max(1, s.X*maxCursor/side), max(1, s.Y*maxCursor/side))
		small := image.NewRGBA(to)
		draw.BiLinear.Scale(small, to, shape, shape.Rect, draw.Src, nil)
		shape, hot = small, image.Pt(hot.X*maxCursor/side, hot.Y*maxCursor/side)
	}
	w, h := shape.Rect.Dx(), shape.Rect.Dy()
	out := &orielv1.CursorShape{
		Width: uint32(w), Height: uint32(h),
		HotX: uint32(min(max(hot.X, 0), w-1)), HotY: uint32(min(max(hot.Y, 0), h-1)),
		Rgba: make([]byte, 0, w*h*4),
	}
	for y := range h {
		row := shape.Pix[y*shape.Stride:][:w*4]
		for i := 0; i < len(row); i += 4 {
			a := uint32(row[i+3])
			for _, v := range row[i : i+3] {
				if a == 0 {
					out.Rgba = append(out.Rgba, 0)
					continue
				}
				out.Rgba = append(out.Rgba, uint8(min(255, (uint32(v)*255+a/2)/a)))
			}
			out.Rgba = append(out.Rgba, uint8(a))
		}
	}
	return out
}
