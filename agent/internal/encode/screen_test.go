//go:build cgo

package encode_test

import (
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"oriel/agent/internal/encode"
)

// screen is a desktop drawn by the test: BGRX, as capture delivers it.
type screen struct {
	pix  *bgrx
	rand *rand.Rand
}

// bgrx is a draw.Image in the layout of capture.
type bgrx struct{ image.RGBA }

func (b *bgrx) Set(x, y int, c color.Color) {
	r, g, bl, _ := c.RGBA()
	b.RGBA.SetRGBA(x, y, color.RGBA{uint8(bl >> 8), uint8(g >> 8), uint8(r >> 8), 255})
}

func (b *bgrx) fill(r image.Rectangle, c color.RGBA) {
	draw.Draw(&b.RGBA, r, image.NewUniform(color.RGBA{c.B, c.G, c.R, 255}), image.Point{}, draw.Src)
}

func newScreen(size image.Point) *screen {
	s := &screen{&bgrx{*image.NewRGBA(image.Rectangle{Max: size})}, rand.New(rand.NewPCG(1, 2))}
	s.pix.fill(s.pix.Rect, color.RGBA{250, 250, 248, 255})
	return s
}

func (s *screen) picture() encode.Picture {
	return encode.Picture{Pix: s.pix.Pix, Stride: s.pix.Stride, Size: s.pix.Rect.Size()}
}

var ink = []color.RGBA{{20, 20, 24, 255}, {180, 30, 30, 255}, {20, 80, 190, 255}, {10, 130, 60, 255}}

const letters = "etaoin shrdlucmfwypvbgkjqxz ETAOIN, 0123456789.(){}"

func (s *screen) word(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[s.rand.IntN(len(letters))]
	}
	return string(b)
}

// text writes at the base line p.
func (s *screen) text(p image.Point, t string, c color.RGBA) {
	d := font.Drawer{Dst: s.pix, Src: image.NewUniform(c), Face: basicfont.Face7x13, Dot: fixed.P(p.X, p.Y)}
	d.DrawString(t)
}

// page fills the screen with a dense page of text and some boxes.
func (s *screen) page() {
	size := s.pix.Rect.Size()
	s.pix.fill(s.pix.Rect, color.RGBA{250, 250, 248, 255})
	for y := 14; y < size.Y; y += 15 {
		s.text(image.Pt(6, y), s.word(max(1, size.X/7-4)), ink[s.rand.IntN(len(ink))])
	}
	for range 6 {
		p := image.Pt(s.rand.IntN(size.X), s.rand.IntN(size.Y))
		s.pix.fill(image.Rectangle{p, p.Add(image.Pt(size.X/8+1, size.Y/9+1))}, ink[s.rand.IntN(len(ink))])
	}
}

// change makes one small change, as a desktop does, and returns where.
func (s *screen) change() image.Rectangle {
	size := s.pix.Rect.Size()
	p := image.Pt(s.rand.IntN(size.X), s.rand.IntN(size.Y))
	var r image.Rectangle
	switch s.rand.IntN(4) {
	case 0: // a letter
		r = image.Rectangle{p, p.Add(image.Pt(8, 14))}.Intersect(s.pix.Rect)
		s.pix.fill(r, color.RGBA{250, 250, 248, 255})
		s.text(p.Add(image.Pt(0, 11)), s.word(1), ink[s.rand.IntN(4)])
	case 1: // a line of text
		r = image.Rectangle{p, p.Add(image.Pt(170, 16))}.Intersect(s.pix.Rect)
		s.pix.fill(r, color.RGBA{250, 250, 248, 255})
		s.text(p.Add(image.Pt(0, 12)), s.word(24), ink[s.rand.IntN(4)])
	case 2: // a button
		r = image.Rectangle{p, p.Add(image.Pt(20+s.rand.IntN(90), 10+s.rand.IntN(40)))}.Intersect(s.pix.Rect)
		s.pix.fill(r, ink[s.rand.IntN(4)])
	case 3: // a caret
		r = image.Rectangle{p, p.Add(image.Pt(2, 14))}.Intersect(s.pix.Rect)
		s.pix.fill(r, ink[0])
	}
	// A glyph may end outside of what was cleared: damage is what changed.
	return image.Rectangle{r.Min, r.Max.Add(image.Pt(9, 6))}.Intersect(s.pix.Rect)
}

// scroll moves the page up by n pixels and writes what appears below.
func (s *screen) scroll(n int) {
	size := s.pix.Rect.Size()
	copy(s.pix.Pix, s.pix.Pix[n*s.pix.Stride:])
	s.pix.fill(image.Rect(0, size.Y-n, size.X, size.Y), color.RGBA{250, 250, 248, 255})
	for y := size.Y - n + 12; y < size.Y; y += 15 {
		s.text(image.Pt(6, y), s.word(size.X/7-4), ink[s.rand.IntN(len(ink))])
	}
}

// video fills r with a moving photograph-like texture.
func (s *screen) video(r image.Rectangle, t int) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := s.pix.Pix[y*s.pix.Stride:]
		for x := r.Min.X; x < r.Max.X; x++ {
			v := wave[(x*3+t*7)&1023] + wave[(y*5-t*4)&1023] + wave[(x+y+t*9)&1023]
			n := int(noise[((y+t)*67+x*31+t*13)&4095])
			row[4*x], row[4*x+1], row[4*x+2] = byte(v/3+n), byte(v/4+40+n), byte(v/5+70+n)
		}
	}
}

var (
	wave  [1024]int
	noise [4096]int8
)

func init() {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range wave {
		wave[i] = (i * i / 700) % 200
	}
	for i := range noise {
		noise[i] = int8(r.IntN(13) - 6)
	}
}

// realpage is a page as it is read: words in lines of differing length, white
// space, a side bar, a picture.
func (s *screen) realpage() {
	size := s.pix.Rect.Size()
	s.pix.fill(s.pix.Rect, color.RGBA{250, 250, 248, 255})
	s.pix.fill(image.Rect(0, 0, size.X/6, size.Y), color.RGBA{235, 238, 243, 255})
	for y := 30; y < size.Y; y += 18 {
		s.text(image.Pt(12, y), s.word(4+s.rand.IntN(14)), ink[0])
		if s.rand.IntN(5) > 0 {
			s.text(image.Pt(size.X/6+20, y), s.word(30+s.rand.IntN(80)), ink[s.rand.IntN(20)/19])
		}
	}
	s.video(image.Rect(size.X*3/4, size.Y/8, size.X*15/16, size.Y/3), s.rand.IntN(99))
}

// mono is the type of prose: antialiased, as on a desktop.
var mono = sync.OnceValue(func() font.Face {
	f, err := opentype.Parse(gomono.TTF)
	if err != nil {
		panic(err)
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: 18, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err)
	}
	return face
})

// prose fills r with lines of text of differing length, 24 pixels apart.
func (s *screen) prose(r image.Rectangle) {
	s.pix.fill(r, color.RGBA{250, 250, 248, 255})
	for y := r.Min.Y; y < r.Max.Y; y += 24 {
		s.proseLine(image.Pt(r.Min.X, y), r)
	}
}

func (s *screen) proseLine(p image.Point, r image.Rectangle) {
	d := font.Drawer{Dst: s.pix, Src: image.NewUniform(ink[0]), Face: mono(), Dot: fixed.P(p.X+20, p.Y+18)}
	d.DrawString(s.word(s.rand.IntN((r.Dx() - 40) / 11)))
}

// scrollPart moves what is in r up by n pixels and writes what appears below.
func (s *screen) scrollPart(r image.Rectangle, n int) {
	draw.Draw(&s.pix.RGBA, r, &s.pix.RGBA, r.Min.Add(image.Pt(0, n)), draw.Src)
	below := image.Rect(r.Min.X, r.Max.Y-n, r.Max.X, r.Max.Y)
	s.pix.fill(below, color.RGBA{250, 250, 248, 255})
	s.proseLine(below.Min, r)
}

// typed writes the i-th letter of a text into r and returns where.
func (s *screen) typed(r image.Rectangle, i int) image.Rectangle {
	at := r.Min.Add(image.Pt(40+i%100*11, 200+i/100%20*24))
	where := image.Rectangle{at, at.Add(image.Pt(11, 24))}
	s.pix.fill(where, color.RGBA{250, 250, 248, 255})
	d := font.Drawer{Dst: s.pix, Src: image.NewUniform(ink[0]), Face: mono(), Dot: fixed.P(at.X, at.Y+18)}
	d.DrawString(string(rune('a' + s.rand.IntN(26))))
	return where
}
