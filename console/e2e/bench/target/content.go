package main

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/jezek/xgb/xproto"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

const (
	pageHeight = 6000
	step       = 40 // pixels a picture scrolls
	clipLength = 60 // pictures of the video, after which it begins again
)

// scrolled is the first row of the page that picture n of a scroll shows.
func scrolled(n int) int { return n * step % (pageHeight - content.H) }

// truth is the content of picture n of a kind, as it is drawn.
func truth(kind string, n int) *image.RGBA {
	whole := image.NewRGBA(image.Rect(0, 0, content.W, content.H))
	switch kind {
	case "video":
		return clipPicture(n % clipLength)
	case "window":
		draw.Draw(whole, whole.Rect, windowPage(n), image.Pt(content.X, content.Y), draw.Src)
	default:
		draw.Draw(whole, whole.Rect, textPage(), image.Pt(0, scrolled(n)), draw.Src)
	}
	return whole
}

// page gives a picture that is uploaded when it is first asked for.
func (c *canvas) page(name string, make func() *image.RGBA) xproto.Drawable {
	p, ok := c.pages[name]
	if !ok {
		p = c.upload(make())
		c.pages[name] = p
	}
	return p
}

// desk is what lies around the content.
func (c *canvas) desk() {
	p := c.page("desk", func() *image.RGBA {
		return written(c.width, c.height, color.RGBA{0x2e, 0x38, 0x46, 0xff}, color.RGBA{0x98, 0xa8, 0xb8, 0xff}, 3)
	})
	c.copy(p, 0, 0, rect{W: c.width, H: c.height})
	c.drawCode(c.corner, cornerCounter, 0)
}

func (c *canvas) text(row int) { c.copy(c.page("text", textPage), 0, row, content) }

// window covers everything by another page, as a switch to another program does.
func (c *canvas) window(n int) float64 {
	p := c.page(fmt.Sprint("window", n%4), func() *image.RGBA { return windowPage(n) })
	c.copy(p, 0, 0, rect{W: c.width, H: c.height})
	c.drawCode(c.corner, cornerCounter, 0)
	c.code(n, head, tail)
	return c.show(rect{W: c.width, H: c.height})
}

// letter draws the n-th letter of a text that is being typed.
func (c *canvas) letter(n int) rect {
	const w, h, columns, rows = 12, 24, 100, 26
	letters := c.page("letters", func() *image.RGBA {
		m := image.NewRGBA(image.Rect(0, 0, w*26, h))
		draw.Draw(m, m.Rect, image.White, image.Point{}, draw.Src)
		for i := range 26 {
			writeLine(m, i*w, 18, string(rune('a'+i)), color.RGBA{0, 0, 0, 0xff})
		}
		return m
	})
	at := rect{content.X + 40 + (n-1)%columns*w, content.Y + codeHeight + 16 + (n-1)/columns%rows*h, w, h}
	c.copy(letters, n*7%26*w, 0, at)
	return at
}

// loadVideo uploads the video's pictures, once.
func (c *canvas) loadVideo() {
	for i := len(c.clip); i < clipLength; i++ {
		c.clip = append(c.clip, c.upload(clipPicture(i)))
	}
}

func (c *canvas) video(n int) { c.copy(c.clip[n%clipLength], 0, 0, content) }

// change draws a random change of the screen: mostly a rectangle, lines of
// text or an area that moves, sometimes a piece of a photograph.
func (c *canvas) change(seed int) (kind string, r rect) {
	rng := rand.New(rand.NewPCG(uint64(seed), 77))
	within := func(w, h int) rect { // somewhere on the screen
		w, h = min(w, c.width), min(h, c.height)
		return rect{rng.IntN(c.width - w + 1), rng.IntN(c.height - h + 1), w, h}
	}
	size := func(least, most int) int { // small ones are the more frequent
		return least + int(float64(most-least)*math.Pow(rng.Float64(), 2))
	}
	shade := func() color.RGBA {
		return color.RGBA{uint8(rng.IntN(256)), uint8(rng.IntN(256)), uint8(rng.IntN(256)), 0xff}
	}
	switch k := rng.IntN(20); {
	case k < 7:
		r = within(size(1, 800), size(1, 600))
		c.fill(r, rng.Uint32()&0xffffff)
		return "rectangle", r
	case k < 13:
		r = within(size(40, 900), 24*size(1, 8))
		m := image.NewRGBA(image.Rect(0, 0, r.W, r.H))
		paper, ink := shade(), shade()
		draw.Draw(m, m.Rect, image.NewUniform(paper), image.Point{}, draw.Src)
		for y := 18; y < r.H; y += 24 {
			writeLine(m, 4, y, words(rng, r.W/11), ink)
		}
		c.putLarge(m, r)
		return "text", r
	case k < 18:
		r = within(size(20, 700), size(20, 500))
		from := within(r.W, r.H)
		c.copy(c.back, from.X, from.Y, r)
		return "move", r
	}
	r = within(size(16, 400), size(16, 300))
	m := clipPicture(rng.IntN(clipLength)).SubImage(image.Rect(0, 0, r.W, r.H)).(*image.RGBA)
	c.putLarge(m, r)
	return "photograph", r
}

// putLarge draws a picture of any size at a place.
func (c *canvas) putLarge(m *image.RGBA, at rect) {
	rows := max(1, 200_000/(4*at.W))
	for y := 0; y < at.H; y += rows {
		c.put(c.back, m.SubImage(image.Rect(0, y, at.W, min(at.H, y+rows))).(*image.RGBA), at.X, at.Y+y)
	}
}

// textPage is what is scrolled through: dark letters on white.
var textPage = sync.OnceValue(func() *image.RGBA {
	return written(content.W, pageHeight, color.RGBA{0xff, 0xff, 0xff, 0xff}, color.RGBA{0x1c, 0x1c, 0x1c, 0xff}, 5)
})

// windowPage is another window over the whole screen.
func windowPage(n int) *image.RGBA {
	paper := []color.RGBA{{0xf4, 0xf4, 0xf4, 0xff}, {0x20, 0x20, 0x20, 0xff}}[n%2]
	ink := []color.RGBA{{0x10, 0x10, 0x10, 0xff}, {0xe0, 0xe0, 0xe0, 0xff}}[n%2]
	return written(1920, 1080, paper, ink, uint64(100+n%4))
}

// written is a page of smooth letters: words and lines of changing length, gaps between paragraphs.
func written(w, h int, paper, ink color.RGBA, seed uint64) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(m, m.Rect, image.NewUniform(paper), image.Point{}, draw.Src)
	rng := rand.New(rand.NewPCG(seed, 1))
	for y := 26; y < h; y += 24 {
		if rng.IntN(9) == 0 {
			continue
		}
		writeLine(m, 16, y, words(rng, (w-32)/11*(30+rng.IntN(71))/100), ink)
	}
	return m
}

func words(rng *rand.Rand, letters int) string {
	line := make([]byte, 0, letters)
	for left := 0; len(line) < letters; left-- {
		if left == 0 {
			left = 3 + rng.IntN(7)
			line = append(line, ' ')
			continue
		}
		line = append(line, byte('a'+rng.IntN(26)))
	}
	return string(line)
}

var face = sync.OnceValue(func() font.Face {
	parsed, err := opentype.Parse(gomono.TTF)
	if err != nil {
		panic(err) // it is compiled in
	}
	f, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: 18, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err)
	}
	return f
})

func writeLine(m *image.RGBA, x, y int, line string, ink color.RGBA) {
	d := font.Drawer{Dst: m, Src: image.NewUniform(ink), Face: face(), Dot: fixed.P(x, y)}
	d.DrawString(line)
}

// clipPicture is picture i of the video: waves of colour that wander, a light
// that circles, and grain of ±4, so that no pixel stays as it is.
func clipPicture(i int) *image.RGBA {
	w, h := content.W, content.H
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	turn := 2 * math.Pi * float64(i) / clipLength
	var across, down [3][]int
	for k := range 3 {
		f := float64(k)
		across[k], down[k] = make([]int, w), make([]int, h)
		for x := range w {
			across[k][x] = int(48 * math.Sin(float64(x)*(0.005+0.002*f)+turn*(f+1)))
		}
		for y := range h {
			down[k][y] = int(48 * math.Cos(float64(y)*(0.005+0.003*f)-turn*(f+1)))
		}
	}
	lightX, lightY := 640+380*math.Cos(2*turn), 360+200*math.Sin(3*turn)
	grain := uint32(i)*2246822519 + 374761393
	for y := range h {
		line := m.Pix[y*m.Stride:][:4*w]
		dy := float64(y) - lightY
		for x := range w {
			dx := float64(x) - lightX
			light := max(0, int(80*(1-(dx*dx+dy*dy)/16900)))
			grain ^= grain << 13
			grain ^= grain >> 17
			grain ^= grain << 5
			base := 124 + light + int(grain%9) - 4
			for k := range 3 {
				line[4*x+k] = uint8(min(max(base+across[k][x]+down[k][y], 0), 255))
			}
			line[4*x+3] = 0xff
		}
	}
	return m
}
