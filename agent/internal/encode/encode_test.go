//go:build cgo

package encode_test

import (
	"errors"
	"image"
	"image/color"
	"strings"
	"testing"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// rig is a screen, its Image, an encoder and the decoder on the other side.
type rig struct {
	t   testing.TB
	s   *screen
	img *encode.Image
	enc encode.Encoder
	dec *decodetest.Decoder
	out *encode.Image // what the decoder shows
}

func newRig(t testing.TB, c encode.Codec, size image.Point, cfg encode.Config) *rig {
	t.Helper()
	enc, err := encode.New(c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := decodetest.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { enc.Close(); dec.Close() })
	return &rig{t: t, s: newScreen(size), img: encode.NewImage(cfg.Format, size), enc: enc, dec: dec}
}

// resize changes the screen as a new monitor mode does.
func (r *rig) resize(size image.Point) {
	r.s = newScreen(size)
	r.img = encode.NewImage(r.img.Format, size)
}

// send converts, encodes and decodes one change; it returns every packet.
func (r *rig) send(p encode.Params) []encode.Packet {
	r.t.Helper()
	dirty := p.Dirty
	if len(dirty) == 0 {
		dirty = []image.Rectangle{r.img.Bounds()}
	}
	if err := encode.Convert(r.img, r.s.picture(), dirty); err != nil {
		r.t.Fatal(err)
	}
	all, err := encode.EncodeAll(r.enc, r.img, p)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, pkt := range all {
		if r.out, err = r.dec.Decode(pkt.Data); err != nil {
			r.t.Fatal(err)
		}
	}
	if r.out.Size != r.img.Size {
		r.t.Fatalf("decoded %v, sent %v", r.out.Size, r.img.Size)
	}
	return all
}

func (r *rig) psnr() float64 { return decodetest.PSNR(r.img, r.out, r.img.Bounds()) }

// each runs f on every codec; go test -run /AV1 runs one.
func each(t *testing.T, f func(*testing.T, encode.Codec)) {
	if len(encode.Supported()) != 3 {
		t.Fatalf("supported: %v", encode.Supported())
	}
	for _, c := range encode.Supported() {
		t.Run(string(c), func(t *testing.T) { f(t, c) })
	}
}

func TestPictureArrives(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		r := newRig(t, c, image.Pt(640, 360), encode.Config{})
		r.s.page()
		got := r.send(encode.Params{Quantizer: 12})
		if !got[0].Key {
			t.Error("the first packet is no key frame")
		}
		if p := r.psnr(); p < 38 {
			t.Errorf("key frame: %.1f dB", p)
		}
		for range 10 {
			r.s.scroll(9)
			if got := r.send(encode.Params{Quantizer: 12}); got[0].Key {
				t.Error("a key frame nobody asked for")
			}
			if p := r.psnr(); p < 38 {
				t.Errorf("scrolled: %.1f dB", p)
			}
		}
	})
}

func TestErrorIsWhatTheDecoderShows(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		r := newRig(t, c, image.Pt(322, 182), encode.Config{})
		r.s.page()
		for i := range 12 {
			all := r.send(encode.Params{Quantizer: 50 - 4*i})
			e := all[len(all)-1].Error
			most, _ := decodetest.Furthest(r.img, r.out, r.img.Bounds())
			if e.Max != most {
				t.Errorf("quantizer %d: Error.Max %d, the decoder is off by %d", 50-4*i, e.Max, most)
			}
			if p := r.psnr(); p-e.PSNR() > 0.01 || e.PSNR()-p > 0.01 {
				t.Errorf("quantizer %d: Error.PSNR %.2f, the decoder shows %.2f", 50-4*i, e.PSNR(), p)
			}
			r.s.change()
		}
	})
}

func TestKeyFrameOnDemand(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		r := newRig(t, c, image.Pt(320, 240), encode.Config{})
		r.s.page()
		r.send(encode.Params{Quantizer: 30})
		small := []image.Rectangle{r.s.change()}
		if got := r.send(encode.Params{Quantizer: 30, Dirty: small}); got[0].Key {
			t.Fatal("a key frame nobody asked for")
		}
		// A viewer who joins now knows nothing of what was before.
		joined, err := decodetest.New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer joined.Close()
		got := r.send(encode.Params{Quantizer: 30, Key: true, Dirty: small})
		if !got[0].Key {
			t.Fatal("no key frame on demand")
		}
		first, err := joined.Decode(got[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		if p := decodetest.PSNR(r.img, first, r.img.Bounds()); p < 28 {
			t.Errorf("the joined viewer sees %.1f dB", p)
		}
	})
}

func TestSizes(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		r := newRig(t, c, image.Pt(64, 64), encode.Config{})
		for _, size := range []image.Point{{64, 64}, {801, 601}, {333, 77}, {1366, 768}, {17, 16}, {64, 64}, {1, 1}, {2, 300}} {
			r.resize(size)
			if size.X > 20 {
				r.s.page()
			}
			if got := r.send(encode.Params{Quantizer: 16}); !got[0].Key {
				t.Errorf("%v: no key frame after a change of size", size)
			}
			r.s.pix.fill(image.Rect(size.X/2, size.Y/2, size.X, size.Y), ink[1])
			r.send(encode.Params{Quantizer: 16, Dirty: []image.Rectangle{image.Rect(size.X/2, size.Y/2, size.X, size.Y)}})
			if p := r.psnr(); p < 34 {
				t.Errorf("%v: %.1f dB", size, p)
			}
		}
	})
}

func TestQuantizerIsObeyed(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		r := newRig(t, c, image.Pt(640, 480), encode.Config{})
		r.s.page()
		var last encode.Packet
		for _, q := range []int{63, 50, 40, 30, 20, 10, 4, 0} {
			got := r.send(encode.Params{Quantizer: q, Key: true})[0]
			if d := got.Quantizer - q; d < -2 || d > 2 {
				t.Errorf("quantizer %d asked, %d used", q, got.Quantizer)
			}
			// Palettes make text cheaper when it is fine: bytes may fall, errors must.
			if q < 63 && got.Error.MSE > last.Error.MSE {
				t.Errorf("quantizer %d: %.1f dB, a coarser one gave %.1f", q, got.Error.PSNR(), last.Error.PSNR())
			}
			if q < 30 && len(got.Data) < len(last.Data) {
				t.Errorf("quantizer %d: %d bytes, a coarser one took %d", q, len(got.Data), len(last.Data))
			}
			last = got
		}
		// The trap: the libraries' own control stays coarse after a new page.
		for i := range 12 {
			r.s.page()
			if got := r.send(encode.Params{Quantizer: 24})[0]; got.Quantizer > 26 {
				t.Fatalf("page %d: quantizer %d, the ceiling is 24", i, got.Quantizer)
			}
		}
	})
}

// Whatever the quantizer does from frame to frame, a library must not end the
// process (libaom 3.6 did at 1) nor a decoder refuse what comes.
func TestAnyQuantizerAtAnyTime(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		r := newRig(t, c, image.Pt(160, 120), encode.Config{})
		r.s.page()
		for _, q := range []int{0, 1, 2, 63} { // the same for long
			for range 20 {
				r.send(encode.Params{Quantizer: q, Dirty: []image.Rectangle{r.s.change()}})
			}
		}
		for i := range 400 {
			p := encode.Params{Quantizer: r.s.rand.IntN(66) - 1, Key: r.s.rand.IntN(25) == 0}
			switch r.s.rand.IntN(4) {
			case 0:
				r.s.page()
			case 1: // as it was: refined
			default:
				p.Dirty = []image.Rectangle{r.s.change()}
			}
			for _, pkt := range r.send(p) {
				if d := pkt.Quantizer - min(max(p.Quantizer, 0), 63); d < -2 || d > 2 {
					t.Fatalf("frame %d: quantizer %d asked, %d used", i, p.Quantizer, pkt.Quantizer)
				}
			}
		}
	})
}

// After every packet set nothing may be further off than what the quantizer
// explains: libaom's screen mode leaves blocks as they were, above all their
// chroma.
func TestNoStaleBlocks(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		r := newRig(t, c, image.Pt(480, 320), encode.Config{})
		r.s.page()
		r.send(encode.Params{Quantizer: 8})
		again, wrong := 0, 0
		for i := range 500 {
			dirty := r.s.change()
			got := r.send(encode.Params{Quantizer: 8, Dirty: []image.Rectangle{dirty}})
			if len(got) > 1 {
				again++
			}
			if most, at := decodetest.Furthest(r.img, r.out, r.img.Bounds()); most > 60 {
				if wrong++; wrong < 5 {
					t.Errorf("change %d %v: luma off by %d at %v", i, dirty, most, at)
				}
			}
			if most := decodetest.FurthestChroma(r.img, r.out); most > 60 {
				if wrong++; wrong < 5 {
					t.Errorf("change %d %v: chroma off by %d", i, dirty, most)
				}
			}
		}
		t.Logf("%d of 500 encoded again, %d wrong", again, wrong)
	})
}

// Cells of 16×16 that go from black to white next to ones that go from white to
// black: in CBR libaom left one pair in twelve pictures as it was.
func TestSwappedCells(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		r := newRig(t, c, image.Pt(640, 360), encode.Config{})
		r.s.page()
		r.send(encode.Params{Quantizer: 24})
		where := image.Rect(64, 64, 64+16*16, 64+3*16)
		for i := range 200 {
			for n := range 48 {
				at := where.Min.Add(image.Pt(n%16*16, n/16*16))
				r.s.pix.fill(image.Rectangle{at, at.Add(image.Pt(16, 16))}, []color.RGBA{{0, 0, 0, 255}, {255, 255, 255, 255}}[r.s.rand.IntN(2)])
			}
			if got := r.send(encode.Params{Quantizer: 24, Dirty: []image.Rectangle{where}}); len(got) > 1 {
				t.Errorf("picture %d: encoded again", i)
			}
			if most, at := decodetest.Furthest(r.img, r.out, where); most > 60 {
				t.Errorf("picture %d: luma off by %d at %v", i, most, at)
			}
		}
	})
}

func TestRefinesToLossless(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		r := newRig(t, c, image.Pt(640, 400), encode.Config{})
		r.s.page()
		r.send(encode.Params{Quantizer: 55})
		var last encode.Packet
		for _, q := range []int{40, 28, 16, 8, 4, 0, 0} {
			all := r.send(encode.Params{Quantizer: q})
			last = all[len(all)-1]
			t.Logf("quantizer %d: %d bytes, %.1f dB, worst %.1f, off by %d, rough %v", q, len(last.Data), last.Error.PSNR(), last.Error.Worst, last.Error.Max, last.Error.Rough)
		}
		// VP8 leaves some chroma behind between key frames.
		if p := r.psnr(); p < 50 || c != encode.VP8 && !last.Error.Lossless() {
			t.Errorf("not lossless at the finest: %.1f dB, %+v", p, last.Error)
		}
	})
}

func TestFullChroma(t *testing.T) {
	for _, c := range []encode.Codec{encode.AV1, encode.VP9} {
		t.Run(string(c), func(t *testing.T) {
			r := newRig(t, c, image.Pt(320, 200), encode.Config{Format: encode.I444})
			for y := range 200 { // lines of one pixel: gone in 4:2:0
				r.s.pix.fill(image.Rect(0, y, 320, y+1), []color.RGBA{{200, 0, 0, 255}, {0, 0, 200, 255}}[y%2])
			}
			r.send(encode.Params{Quantizer: 4})
			r.send(encode.Params{Quantizer: 4})
			if d := decodetest.FurthestChroma(r.img, r.out); d > 30 {
				t.Errorf("chroma off by %d", d)
			}
		})
	}
	if _, err := encode.New(encode.VP8, encode.Config{Format: encode.I444}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("VP8 in 4:4:4: %v", err)
	}
}

func TestCloseTwice(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		for _, used := range []bool{false, true} {
			e, err := encode.New(c, encode.Config{})
			if err != nil {
				t.Fatal(err)
			}
			img := encode.NewImage(encode.I420, image.Pt(64, 64))
			if used {
				if _, err := e.Encode(img, encode.Params{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(e.Close(), e.Close()); err != nil {
				t.Error(err)
			}
			if _, err := e.Encode(img, encode.Params{}); !errors.Is(err, encode.ErrClosed) {
				t.Errorf("encode after close: %v", err)
			}
		}
	})
}

func TestUnknownCodec(t *testing.T) {
	_, err := encode.New("H261", encode.Config{})
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "AV1") {
		t.Errorf("got %v", err)
	}
}
