//go:build cgo

package encode_test

import (
	"fmt"
	"image"
	"testing"

	"oriel/agent/internal/encode"
)

// hd is what the benchmarks measure on.
var hd = image.Pt(1920, 1080)

// part is where scripts scroll and play: 1280×720 of the screen.
var part = image.Rect(64, 64, 64+1280, 64+720)

// scripts are what a desktop does; each call changes the screen.
var scripts = []struct {
	name      string
	quantizer int
	change    func(*screen, int) image.Rectangle
}{
	{"typing", 8, func(s *screen, i int) image.Rectangle { return s.typed(part, i) }},
	{"scrolling", 24, func(s *screen, _ int) image.Rectangle { s.scrollPart(part, 40); return part }},
	{"video", 32, func(s *screen, i int) image.Rectangle { s.video(part, i); return part }},
}

// BenchmarkEncode has each script on a page that was refined before, as it is
// when somebody begins to type or scroll.
func BenchmarkEncode(b *testing.B) {
	type kind struct {
		codec  encode.Codec
		format encode.Format
		name   string
	}
	for _, k := range []kind{{encode.AV1, encode.I420, "AV1"}, {encode.AV1, encode.I444, "AV1-444"}, {encode.VP9, encode.I420, "VP9"}, {encode.VP8, encode.I420, "VP8"}} {
		for _, script := range scripts {
			b.Run(k.name+"/"+script.name, func(b *testing.B) {
				enc, err := encode.New(k.codec, encode.Config{Format: k.format})
				if err != nil {
					b.Fatal(err)
				}
				defer enc.Close()
				s := newScreen(hd)
				s.prose(s.pix.Rect)
				img, before := encode.NewImage(k.format, hd), encode.NewImage(k.format, hd)
				encodeOne := func(p encode.Params) []encode.Packet {
					all, err := encode.EncodeAll(enc, img, p)
					if err != nil {
						b.Fatal(err)
					}
					return all
				}
				convert(b, img, s, s.pix.Rect)
				for _, q := range []int{24, 8, 2} {
					encodeOne(encode.Params{Quantizer: q, Again: true})
				}
				var bits, packets int
				var quality float64
				for i := 0; b.Loop(); i++ {
					b.StopTimer()
					dirty := []image.Rectangle{script.change(s, i)}
					before.Copy(img, dirty)
					convert(b, img, s, dirty[0])
					_, moved := img.Fresh(before, dirty)
					b.StartTimer()
					all := encodeOne(encode.Params{Quantizer: script.quantizer, Moved: moved, Dirty: dirty})
					for _, p := range all {
						bits += 8 * len(p.Data)
					}
					packets += len(all)
					quality += all[len(all)-1].Error.PSNR()
				}
				n := float64(b.N)
				b.ReportMetric(float64(b.Elapsed().Microseconds())/n/1000, "ms/frame")
				b.ReportMetric(float64(bits)/n/1000, "kbit/frame")
				b.ReportMetric(float64(packets)/n, "packets/frame")
				b.ReportMetric(quality/n, "dB")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkFirst is the key frame of a page, as it is and soft.
func BenchmarkFirst(b *testing.B) {
	for _, c := range encode.Supported() {
		for _, p := range []encode.Params{{Quantizer: 40}, {Quantizer: 60}, {Quantizer: 56, Soft: 3}, {Quantizer: 56, Soft: 4}} {
			b.Run(fmt.Sprintf("%s/q%d-soft%d", c, p.Quantizer, p.Soft), func(b *testing.B) {
				enc, err := encode.New(c, encode.Config{})
				if err != nil {
					b.Fatal(err)
				}
				defer enc.Close()
				s := newScreen(hd)
				s.prose(s.pix.Rect)
				img := encode.NewImage(encode.I420, hd)
				convert(b, img, s, s.pix.Rect)
				p.Key = true
				var pkt encode.Packet
				for b.Loop() {
					if pkt, err = enc.Encode(img, p); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(pkt.Data))/1000, "kB")
				b.ReportMetric(pkt.Error.PSNR(), "dB")
			})
		}
	}
}

func convert(tb testing.TB, img *encode.Image, s *screen, r image.Rectangle) {
	if err := encode.Convert(img, s.picture(), []image.Rectangle{r}); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkConvert shows what libyuv saves over a loop in Go.
func BenchmarkConvert(b *testing.B) {
	s := newScreen(hd)
	s.prose(s.pix.Rect)
	img := encode.NewImage(encode.I420, hd)
	for _, c := range []struct {
		name string
		rect image.Rectangle
		f    func(image.Rectangle)
	}{
		{"libyuv/whole", s.pix.Rect, func(r image.Rectangle) { convert(b, img, s, r) }},
		{"libyuv/400x200", image.Rect(100, 100, 500, 300), func(r image.Rectangle) { convert(b, img, s, r) }},
		{"go/whole", s.pix.Rect, func(r image.Rectangle) { plainConvert(img, s.picture(), r) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.f(c.rect)
			}
		})
	}
}

// plainConvert is the same conversion as a loop: the benchmark's reference, and
// what the converter is tested against.
func plainConvert(img *encode.Image, p encode.Picture, r image.Rectangle) {
	at := func(x, y int) (b, g, r int) {
		x, y = min(x, p.Size.X-1), min(y, p.Size.Y-1)
		o := y*p.Stride + 4*x
		return int(p.Pix[o]), int(p.Pix[o+1]), int(p.Pix[o+2])
	}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			b, g, r := at(x, y)
			img.Y[y*img.StrideY+x] = byte((66*r + 129*g + 25*b + 128 + 16*256) >> 8)
		}
	}
	for y := r.Min.Y / 2; y < (r.Max.Y+1)/2; y++ {
		for x := r.Min.X / 2; x < (r.Max.X+1)/2; x++ {
			var b, g, r int
			for i := range 4 {
				b1, g1, r1 := at(2*x+i&1, 2*y+i>>1)
				b, g, r = b+b1, g+g1, r+r1
			}
			b, g, r = b/4, g/4, r/4
			img.U[y*img.StrideC+x] = byte((112*b - 74*g - 38*r + 128 + 128*256) >> 8)
			img.V[y*img.StrideC+x] = byte((112*r - 94*g - 18*b + 128 + 128*256) >> 8)
		}
	}
}
