package desktop

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"strings"
	"sync"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// scene draws the demo. Every draw… method draws one part and says where.
type scene struct {
	size  image.Point
	scale float64 // 1 at 1280×720
	img   *image.RGBA
	line  int // height of a line of the page

	clock, card, field, button, page image.Rectangle

	title, label, body, mono, digits font.Face
	sheet                            *image.RGBA // the whole page
	band                             []byte      // for bgr
}

var (
	demoBack   = color.RGBA{0x12, 0x16, 0x20, 0xff}
	demoPanel  = color.RGBA{0x1b, 0x21, 0x2f, 0xff}
	demoInset  = color.RGBA{0x12, 0x17, 0x22, 0xff}
	demoEdge   = color.RGBA{0x2d, 0x37, 0x4b, 0xff}
	demoInk    = color.RGBA{0xe8, 0xec, 0xf4, 0xff}
	demoDim    = color.RGBA{0x93, 0x9f, 0xb5, 0xff}
	demoAccent = color.RGBA{0x4f, 0xc3, 0xa1, 0xff}
	demoPress  = color.RGBA{0x37, 0x9a, 0x7d, 0xff}
	demoPaper  = color.RGBA{0xf7, 0xf8, 0xfa, 0xff}
	demoPrint  = color.RGBA{0x20, 0x27, 0x33, 0xff}
)

// demoFonts are parsed once; they are part of the program and cannot be broken.
var demoFonts = sync.OnceValue(func() (f struct{ regular, bold, mono *opentype.Font }) {
	for _, p := range []struct {
		to   **opentype.Font
		from []byte
	}{{&f.regular, goregular.TTF}, {&f.bold, gobold.TTF}, {&f.mono, gomono.TTF}} {
		parsed, err := opentype.Parse(p.from)
		if err != nil {
			panic("embedded font: " + err.Error())
		}
		*p.to = parsed
	}
	return f
})

func newScene(size image.Point) *scene {
	s := &scene{size: size, img: image.NewRGBA(image.Rectangle{Max: size})}
	s.scale = min(float64(size.X)/1280, float64(size.Y)/720)
	fonts := demoFonts()
	s.title = s.face(fonts.bold, 26)
	s.label = s.face(fonts.bold, 14)
	s.body = s.face(fonts.regular, 15)
	s.mono = s.face(fonts.mono, 17)
	s.digits = s.face(fonts.mono, 40)
	s.line = s.px(22)

	w, h, m, gap := size.X, size.Y, s.px(32), s.px(24)
	top := s.px(104)
	mid := w * 58 / 100
	lower := h - m - s.px(190)
	s.clock = image.Rect(w-m-s.px(230), s.px(24), w-m, s.px(88))
	s.card = image.Rect(m, top, mid, lower-gap)
	low := image.Rect(m, lower, mid, h-m)
	s.field = image.Rect(low.Min.X+s.px(16), low.Min.Y+s.px(42), low.Max.X-s.px(210), low.Max.Y-s.px(16))
	s.button = image.Rect(low.Max.X-s.px(190), low.Min.Y+s.px(42), low.Max.X-s.px(16), low.Min.Y+s.px(98))
	s.page = image.Rect(mid+gap, top, w-m, h-m)
	return s
}

func (s *scene) face(f *opentype.Font, points float64) font.Face {
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: points * s.scale, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic("embedded font: " + err.Error())
	}
	return face
}

func (s *scene) px(v float64) int { return int(math.Round(v * s.scale)) }

func (s *scene) cursorScale() int { return int(math.Round(s.scale)) }

func (s *scene) fill(r image.Rectangle, c color.Color) {
	draw.Draw(s.img, r, image.NewUniform(c), image.Point{}, draw.Src)
}

// panel is a filled rectangle with rounded corners and an edge.
func (s *scene) panel(r image.Rectangle, radius int, fill, edge color.RGBA) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			// Distance to the rectangle that the corners' centres span.
			dx := max(float64(r.Min.X+radius)-float64(x)-0.5, float64(x)+0.5-float64(r.Max.X-radius), 0)
			dy := max(float64(r.Min.Y+radius)-float64(y)-0.5, float64(y)+0.5-float64(r.Max.Y-radius), 0)
			out := math.Hypot(dx, dy) - float64(radius)
			if dx == 0 || dy == 0 {
				out = max(dx, dy) - float64(radius)
			}
			switch {
			case out > 0.5:
			case out > -0.5:
				s.blend(x, y, edge, 0.5-out)
			case out > -1.5:
				s.img.SetRGBA(x, y, edge)
			default:
				s.img.SetRGBA(x, y, fill)
			}
		}
	}
}

func (s *scene) blend(x, y int, c color.RGBA, a float64) {
	was := s.img.RGBAAt(x, y)
	mix := func(from, to uint8) uint8 { return uint8(float64(from) + (float64(to)-float64(from))*a + 0.5) }
	s.img.SetRGBA(x, y, color.RGBA{mix(was.R, c.R), mix(was.G, c.G), mix(was.B, c.B), 255})
}

func write(img *image.RGBA, face font.Face, x, y int, c color.Color, text string) int {
	d := font.Drawer{Dst: img, Src: image.NewUniform(c), Face: face, Dot: fixed.P(x, y)}
	d.DrawString(text)
	return d.Dot.X.Round()
}

func (s *scene) drawAll() {
	for y := range s.size.Y {
		t := float64(y) / float64(s.size.Y)
		c := color.RGBA{uint8(18 + 8*t), uint8(22 + 10*t), uint8(32 + 18*t), 255}
		s.fill(image.Rect(0, y, s.size.X, y+1), c)
	}
	m := s.px(32)
	logo := image.Rect(m, s.px(34), m+s.px(40), s.px(74))
	s.panel(logo, s.px(10), demoAccent, demoAccent)
	s.panel(logo.Inset(s.px(9)), s.px(11), demoBack, demoBack)
	x := m + s.px(56)
	write(s.img, s.title, x, s.px(58), demoInk, "Oriel demo desktop")
	write(s.img, s.body, x, s.px(80), demoDim, "Drawn by the agent itself. Type, click and scroll: it answers like a real one.")

	s.panel(image.Rect(s.card.Min.X, s.card.Min.Y, s.card.Max.X, s.card.Max.Y), s.px(12), demoPanel, demoEdge)
	s.drawCard()
	low := image.Rect(s.card.Min.X, s.field.Min.Y-s.px(42), s.card.Max.X, s.field.Max.Y+s.px(16))
	s.panel(low, s.px(12), demoPanel, demoEdge)
	write(s.img, s.label, s.field.Min.X, low.Min.Y+s.px(28), demoDim, "TYPE HERE")
	write(s.img, s.label, s.button.Min.X, low.Min.Y+s.px(28), demoDim, "CLICK HERE")
	write(s.img, s.body, s.button.Min.X, s.button.Max.Y+s.px(28), demoDim, "Wheel, Page Up and")
	write(s.img, s.body, s.button.Min.X, s.button.Max.Y+s.px(48), demoDim, "Page Down scroll the")
	write(s.img, s.body, s.button.Min.X, s.button.Max.Y+s.px(68), demoDim, "page on the right.")
	s.panel(s.page, s.px(12), demoPanel, demoEdge)
}

// drawCard: what shows at a glance whether colours, sharpness and text arrive.
func (s *scene) drawCard() {
	in := s.card.Inset(s.px(18))
	write(s.img, s.label, in.Min.X, in.Min.Y+s.px(10), demoDim, fmt.Sprintf("TEST CARD  %d × %d", s.size.X, s.size.Y))
	in.Min.Y += s.px(24)
	h, w := in.Dy(), in.Dx()

	bars := []color.RGBA{{0xf2, 0xf2, 0xf2, 255}, {0xe9, 0xd1, 0x3c, 255}, {0x3c, 0xc8, 0xd6, 255}, {0x46, 0xb9, 0x5a, 255},
		{0xc4, 0x4c, 0xb8, 255}, {0xd9, 0x4a, 0x4a, 255}, {0x3f, 0x66, 0xd8, 255}}
	for i, c := range bars {
		s.fill(image.Rect(in.Min.X+w*i/len(bars), in.Min.Y, in.Min.X+w*(i+1)/len(bars), in.Min.Y+h*38/100), c)
	}
	y0, y1 := in.Min.Y+h*40/100, in.Min.Y+h*50/100
	for i := range 16 {
		v := uint8(i * 17)
		s.fill(image.Rect(in.Min.X+w*i/16, y0, in.Min.X+w*(i+1)/16, y1), color.RGBA{v, v, v, 255})
	}
	// Gratings of one, two and three pixels, upright and lying.
	y0, y1 = in.Min.Y+h*52/100, in.Min.Y+h*68/100
	for i := range 6 {
		cell := image.Rect(in.Min.X+w*i/6, y0, in.Min.X+w*(i+1)/6-s.px(6), y1)
		step := i%3 + 1
		for y := cell.Min.Y; y < cell.Max.Y; y++ {
			for x := cell.Min.X; x < cell.Max.X; x++ {
				at := x - cell.Min.X
				if i >= 3 {
					at = y - cell.Min.Y
				}
				c := demoInset
				if at/step%2 == 0 {
					c = demoInk
				}
				s.img.SetRGBA(x, y, c)
			}
		}
	}
	y := in.Min.Y + h*70/100 + s.px(16)
	for _, text := range []string{
		"The quick brown fox jumps over the lazy dog. 0123456789",
		"Zwölf Boxkämpfer jagen Viktor über den Sylter Deich.",
		"Съешь ещё этих мягких французских булок, да выпей чаю.",
	} {
		if y > in.Max.Y {
			break
		}
		write(s.img, s.body, in.Min.X, y, demoInk, text)
		y += s.line
	}
}

func (s *scene) drawClock(t time.Time) image.Rectangle {
	// The header's background is a gradient: take it from the left of the clock.
	for y := s.clock.Min.Y; y < s.clock.Max.Y; y++ {
		s.fill(image.Rect(s.clock.Min.X, y, s.clock.Max.X, y+1), s.img.RGBAAt(0, y))
	}
	text := t.Format("15:04:05")
	w := font.MeasureString(s.digits, text).Ceil()
	write(s.img, s.digits, s.clock.Max.X-w, s.clock.Min.Y+s.px(38), demoInk, text)
	day := t.Format("Monday, 2 January 2006")
	w = font.MeasureString(s.body, day).Ceil()
	write(s.img, s.body, s.clock.Max.X-w, s.clock.Min.Y+s.px(58), demoDim, day)
	return s.clock
}

func (s *scene) drawButton(clicks int, pressed bool) image.Rectangle {
	c := demoAccent
	if pressed {
		c = demoPress
	}
	s.fill(s.button, demoPanel)
	s.panel(s.button, s.px(10), c, c)
	text := fmt.Sprintf("Clicked %d times", clicks)
	if clicks == 1 {
		text = "Clicked once"
	}
	w := font.MeasureString(s.label, text).Ceil()
	write(s.img, s.label, s.button.Min.X+(s.button.Dx()-w)/2, s.button.Min.Y+s.button.Dy()/2+s.px(5), demoBack, text)
	return s.button
}

// drawField shows the last lines of the text, wrapped, and the caret.
func (s *scene) drawField(text []rune, caret int) image.Rectangle {
	s.fill(s.field, demoPanel)
	s.panel(s.field, s.px(8), demoInset, demoAccent)
	in := s.field.Inset(s.px(12))
	line := s.px(24)
	type row struct {
		from, to int
		x        []int // where each character begins, and the end
	}
	rows := []row{{x: []int{0}}}
	x := fixed.Int26_6(0)
	for i, r := range text {
		last := &rows[len(rows)-1]
		if r == '\n' {
			rows = append(rows, row{from: i + 1, to: i + 1, x: []int{0}})
			x = 0
			continue
		}
		w := s.advance(r)
		if (x + w).Ceil() > in.Dx() {
			rows = append(rows, row{from: i, to: i, x: []int{0}})
			last = &rows[len(rows)-1]
			x = 0
		}
		x += w
		last.to = i + 1
		last.x = append(last.x, x.Round())
	}
	first, fit := 0, max(in.Dy()/line, 1)
	for i, r := range rows {
		if caret >= r.from && caret <= r.to && i >= fit {
			first = i - fit + 1
		}
	}
	if len(text) == 0 {
		write(s.img, s.mono, in.Min.X+s.px(8), in.Min.Y+s.px(16), color.RGBA{0x5a, 0x66, 0x7d, 0xff}, "any Latin or Cyrillic text")
	}
	clip, _ := s.img.SubImage(s.field.Inset(2)).(*image.RGBA)
	placed := false
	for i := first; i < len(rows) && i < first+fit; i++ {
		r := rows[i]
		y := in.Min.Y + (i-first)*line
		for k := r.from; k < r.to; k++ {
			if text[k] != '\t' {
				write(clip, s.mono, in.Min.X+r.x[k-r.from], y+s.px(16), demoInk, string(text[k]))
			}
		}
		// At a wrap the caret is at the end of the upper row.
		if caret >= r.from && caret <= r.to && !placed {
			placed = true
			x := in.Min.X + r.x[caret-r.from]
			s.fill(image.Rect(x, y, x+max(s.px(2), 1), y+s.px(20)), demoAccent)
		}
	}
	return s.field
}

func (s *scene) advance(r rune) fixed.Int26_6 {
	if r == '\t' {
		r = ' '
		w, _ := s.mono.GlyphAdvance(r)
		return 4 * w
	}
	w, ok := s.mono.GlyphAdvance(r)
	if !ok {
		w, _ = s.mono.GlyphAdvance('M')
	}
	return w
}

// pageText is what there is to scroll.
var pageText = strings.Split(strings.TrimSpace(`
# A page to scroll
This page is here so that you can see how scrolling
feels over your connection. Turn the wheel.

# What you are looking at
The agent on the other machine drew this picture, found
out which parts of it had changed, encoded only those
and sent them straight to your browser.

Nothing is sent while nothing changes. The clock above
changes once a second, and only the clock is sent then.

# Try this
Type into the field: letters, Umlaute, Кириллица.
Hold a key. Press the button, fast. Move the pointer
over the field and over the button: its shape changes.
The pointer is drawn by your browser, so that it never
lags, however far away the machine is.

# What a real machine adds
Its screen, its windows, its clipboard and its files.
Every key reaches it as the key it is: what appears is
decided by the layout of the remote machine.

# Sharp text
A screen is not a film. Letters must stay letters, also
while they move. What stands still is refined until it
cannot be told from the original.

# Slow links
If the link is slow, you get fewer pictures, never old
ones. There is no queue anywhere: the newest wins.

# Safe
The relay introduces the two sides and then steps back.
It sees neither the picture nor the keys. The agent asks
for a signed grant before it shows anything and keeps to
what it says.

# Goodbye
When you close the tab, every key and button that you
held is let go. The machine is as you left it.
`), "\n")

func (s *scene) pageSheet() *image.RGBA {
	if s.sheet != nil {
		return s.sheet
	}
	m := s.px(24)
	w := s.page.Dx() - 2*s.px(12)
	height := 2*m + len(pageText)*s.line + s.px(60)
	sheet := image.NewRGBA(image.Rect(0, 0, w, max(height, s.page.Dy())))
	draw.Draw(sheet, sheet.Rect, image.NewUniform(demoPaper), image.Point{}, draw.Src)
	y := m + s.line
	for _, text := range pageText {
		if head, ok := strings.CutPrefix(text, "# "); ok {
			write(sheet, s.label, m, y, demoPress, head)
			draw.Draw(sheet, image.Rect(m, y+s.px(6), w-m-s.px(10), y+s.px(6)+1), image.NewUniform(color.RGBA{0xd8, 0xdd, 0xe4, 255}), image.Point{}, draw.Src)
		} else {
			write(sheet, s.body, m, y, demoPrint, text)
		}
		y += s.line
	}
	s.sheet = sheet
	return sheet
}

// pageEnd is how far the page can be scrolled.
func (s *scene) pageEnd() int { return s.pageSheet().Rect.Dy() - s.pageWindow().Dy() }

func (s *scene) pageWindow() image.Rectangle { return s.page.Inset(s.px(12)) }

func (s *scene) drawPage(scroll int) image.Rectangle {
	sheet, window := s.pageSheet(), s.pageWindow()
	draw.Draw(s.img, window, sheet, image.Pt(0, scroll), draw.Src)
	if end := s.pageEnd(); end > 0 {
		track := window.Dy() - s.px(8)
		thumb := max(track*window.Dy()/sheet.Rect.Dy(), s.px(24))
		y := window.Min.Y + s.px(4) + (track-thumb)*scroll/end
		s.fill(image.Rect(window.Max.X-s.px(10), y, window.Max.X-s.px(4), y+thumb), color.RGBA{0xb4, 0xbc, 0xc8, 255})
	}
	return window
}

// bgr is a rectangle of the drawing in the layout of a Picture.
func (s *scene) bgr(r image.Rectangle) view {
	if n := area(r) * 4; cap(s.band) < n {
		s.band = make([]byte, n)
	}
	v := view{pix: s.band[:area(r)*4], stride: r.Dx() * 4, at: r}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		swapRB(v.row(r.Min.X, r.Max.X, y), s.img.Pix[s.img.PixOffset(r.Min.X, y):])
	}
	return v
}
