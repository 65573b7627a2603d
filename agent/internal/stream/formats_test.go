//go:build cgo

package stream

import (
	"image"
	"image/color"
	"image/draw"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// lines fills r with columns of one pixel, red and blue by turns: of the same
// luma in both, nearly, and nothing that 4:2:0 could show.
func (s *script) lines(r image.Rectangle, swap int) {
	s.draw(func(p *image.RGBA) image.Rectangle {
		for x := r.Min.X; x < r.Max.X; x++ {
			ink := color.RGBA{0, 0, 255, 255} // blue, green, red
			if (x+swap)%2 == 0 {
				ink = color.RGBA{255, 0, 0, 255}
			}
			draw.Draw(p, image.Rect(x, r.Min.Y, x+1, r.Max.Y), image.NewUniform(ink), image.Point{}, draw.Src)
		}
		return r
	})
}

// imageIn is the picture in planes of a format.
func (s *script) imageIn(t testing.TB, f encode.Format) *encode.Image {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	img := encode.NewImage(f, s.pic.Rect.Size())
	if err := encode.Convert(img, encode.Picture{Pix: s.pic.Pix, Stride: s.pic.Stride, Size: img.Size}, []image.Rectangle{img.Bounds()}); err != nil {
		t.Fatal(err)
	}
	return img
}

// chromium is what Chromium 156 offers, but for H.264 and error correction.
var chromium = []string{
	"m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100 101 35 36 37 38 45 46 47 48",
	"c=IN IP4 0.0.0.0", "a=mid:0", "a=recvonly", "a=rtcp-mux", "a=ice-ufrag:abcd", "a=ice-pwd:0123456789012345678901", "a=setup:actpass",
	"a=fingerprint:sha-256 " + strings.Repeat("AB:", 31) + "AB",
	"a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96",
	"a=rtpmap:98 VP9/90000", "a=fmtp:98 profile-id=0", "a=rtpmap:99 rtx/90000", "a=fmtp:99 apt=98",
	"a=rtpmap:100 VP9/90000", "a=fmtp:100 profile-id=2", "a=rtpmap:101 rtx/90000", "a=fmtp:101 apt=100",
	"a=rtpmap:35 VP9/90000", "a=fmtp:35 profile-id=1", "a=rtpmap:36 rtx/90000", "a=fmtp:36 apt=35",
	"a=rtpmap:37 VP9/90000", "a=fmtp:37 profile-id=3", "a=rtpmap:38 rtx/90000", "a=fmtp:38 apt=37",
	"a=rtpmap:45 AV1/90000", "a=fmtp:45 level-idx=5;profile=0;tier=0", "a=rtpmap:46 rtx/90000", "a=fmtp:46 apt=45",
	"a=rtpmap:47 AV1/90000", "a=fmtp:47 level-idx=5;profile=1;tier=0", "a=rtpmap:48 rtx/90000", "a=fmtp:48 apt=47",
}

// without leaves out a payload type and its retransmissions.
func without(offer []string, types ...string) (left []string) {
	for _, line := range offer {
		gone := false
		for _, t := range types {
			gone = gone || strings.HasPrefix(line, "a=rtpmap:"+t+" ") || strings.HasPrefix(line, "a=fmtp:"+t+" ")
		}
		if !gone {
			left = append(left, line)
		}
	}
	return left
}

func TestChooseFromChromium(t *testing.T) {
	for name, c := range map[string]struct {
		offer []string
		codec encode.Codec
		full  bool
	}{
		"all of it":               {chromium, encode.AV1, true},
		"AV1 in 4:2:0 only":       {without(chromium, "47", "48"), encode.AV1, false},
		"no AV1":                  {without(chromium, "45", "46", "47", "48"), encode.VP9, true},
		"AV1 in 4:4:4 only":       {without(chromium, "45", "46"), encode.VP9, true},
		"no AV1, VP9 but 4:4:4":   {without(chromium, "45", "46", "47", "48", "35", "36"), encode.VP9, false},
		"VP9 of other bits":       {without(chromium, "45", "46", "47", "48", "98", "99"), encode.VP8, false},
		"4:4:4 of a codec unused": {without(chromium, "47", "48", "98", "99"), encode.AV1, false},
	} {
		t.Run(name, func(t *testing.T) {
			codec, full, err := ChooseCodec(sdp(c.offer...))
			if codec != c.codec || full != c.full || err != nil {
				t.Errorf("%s, 4:4:4 %v, %v", codec, full, err)
			}
		})
	}
}

// answer is what an agent answers to an offer of these lines.
func answer(t *testing.T, codec encode.Codec, offer ...string) string {
	t.Helper()
	track, err := NewTrack(codec, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	api, _, err := NewAPI(webrtc.SettingEngine{}, track)
	if err != nil {
		t.Fatal(err)
	}
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if _, err := pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
		t.Fatal(err)
	}
	if err := pc.SetRemoteDescription(sdp(offer...)); err != nil {
		t.Fatal(err)
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer.SDP
}

// The answer takes 4:2:0 and 4:4:4, each with its retransmissions.
func TestAnswerHasBothFormats(t *testing.T) {
	answer := answer(t, encode.VP9, chromium...)
	for _, line := range []string{"rtpmap:45 AV1/90000", "fmtp:46 apt=45", "fmtp:47 level-idx=5;profile=1;tier=0", "fmtp:48 apt=47",
		"fmtp:98 profile-id=0", "fmtp:99 apt=98", "fmtp:35 profile-id=1", "fmtp:36 apt=35"} {
		if !strings.Contains(answer, "a="+line) {
			t.Errorf("the answer lacks %s:\n%s", line, answer)
		}
	}
	if strings.Contains(answer, "profile-id=2") {
		t.Error("the answer takes a profile that is not ours")
	}
}

// One track carries both formats, each under its payload type, what is sent again
// too, and what the peer decodes is right when they take turns.
func TestFormatsTakeTurnsOnOneTrack(t *testing.T) {
	for _, c := range []encode.Codec{encode.AV1, encode.VP9} {
		t.Run(string(c), func(t *testing.T) {
			d := newScript(image.Pt(320, 240))
			d.lines(image.Rect(40, 40, 104, 104), 0)
			h := NewHub(Options{})
			var sub *Subscription
			v := watch(t, c, func() {})
			media := uint32(v.sender.GetParameters().Encodings[0].SSRC)
			first, again := map[uint8]int{}, map[uint8]int{}
			n := 0
			v.mu.Lock()
			v.drop = func(h *rtp.Header) bool {
				if h.SSRC != media {
					if h.PayloadType != fecPayloadType {
						again[h.PayloadType]++
					}
					return false
				}
				first[h.PayloadType]++
				n++
				return h.Marker && n%3 == 0
			}
			v.mu.Unlock()
			types := map[encode.Format]uint8{}
			for _, p := range payloads {
				if p.codec == c {
					types[p.format] = uint8(p.number)
				}
			}
			for round := range 4 {
				format := []encode.Format{encode.I420, encode.I444}[round%2]
				next, err := h.Subscribe(d, c, format, 0, v.track)
				if err != nil {
					t.Fatal(err)
				}
				if sub != nil {
					sub.Close()
				}
				sub = next
				for range 4 {
					d.key()
					d.lines(image.Rect(40, 40, 104, 104), round)
					want := d.imageIn(t, format)
					eventually(t, "the picture, lossless to the eye", func() bool {
						got := v.shown()
						return got != nil && got.Format == format && decodetest.PSNR(want, got, want.Bounds()) > 45 &&
							decodetest.FurthestChroma(want, got) < 40
					})
				}
			}
			sub.Close()
			v.mu.Lock()
			defer v.mu.Unlock()
			if len(first) != 2 || first[types[encode.I420]] == 0 || first[types[encode.I444]] == 0 {
				t.Errorf("packets by payload type: %v, expected of %v", first, types)
			}
			if len(again) != 2 || again[types[encode.I420]+1] == 0 || again[types[encode.I444]+1] == 0 {
				t.Errorf("packets sent again by payload type: %v", again)
			}
			last := v.times[0]
			for _, at := range v.times[1:] {
				if int32(at-last) <= 0 {
					t.Fatalf("RTP time goes from %d to %d", last, at)
				}
				last = at
			}
		})
	}
}

// A viewer who did not offer 4:4:4 gets none.
func TestTrackKeepsToItsFormats(t *testing.T) {
	v := watch(t, encode.VP8, func() {})
	if v.track.WriteFrame(Frame{Codec: encode.VP8, Format: encode.I444, Data: []byte{1}}) == nil {
		t.Error("a frame of a format that was not negotiated was sent")
	}
}

// Two formats on one desktop: one reader, both right, 4:4:4 in every pixel.
func TestTwoFormatsOneDesktop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newScript(image.Pt(480, 320))
		h := NewHub(Options{})
		links := map[encode.Format]*link{}
		subs := map[encode.Format]*Subscription{}
		for _, f := range []encode.Format{encode.I420, encode.I444} {
			time.Sleep(2 * time.Second) // the second joins a screen that stands still
			links[f] = newLink(t, encode.AV1, 30e6, 0)
			sub, err := h.Subscribe(d, encode.AV1, f, 0, links[f])
			if err != nil {
				t.Fatal(err)
			}
			subs[f] = sub
		}
		if subs[encode.I420].Stream() == subs[encode.I444].Stream() {
			t.Fatal("one stream for two formats")
		}
		time.Sleep(2 * time.Second)
		reads := d.read()
		for i := range 20 {
			d.key()
			if i%5 == 0 {
				d.lines(image.Rect(100, 100, 228, 164), i)
			}
			time.Sleep(500 * time.Millisecond)
			for f, l := range links {
				luma, chroma := l.furthest(d.imageIn(t, f))
				if luma > 16 || chroma > 40 { // red and blue are 150 apart
					t.Errorf("change %d, format %d: luma off by %d, chroma by %d", i, f, luma, chroma)
				}
			}
		}
		if n := d.read() - reads; n > 25 {
			t.Errorf("the screen was read %d times for 24 changes", n)
		}
		src := h.sources[d].source
		images := func() int {
			src.mu.Lock()
			defer src.mu.Unlock()
			return len(src.images)
		}
		if n := images(); n != 2 {
			t.Errorf("%d pictures are kept for two formats", n)
		}
		subs[encode.I444].Close()
		if n := images(); n != 1 {
			t.Errorf("%d pictures are kept for one format", n)
		}
		d.key()
		time.Sleep(time.Second)
		if luma, _ := links[encode.I420].furthest(d.imageIn(t, encode.I420)); luma > 16 {
			t.Errorf("after the other left: luma off by %d", luma)
		}
		subs[encode.I420].Close()
		if len(h.sources) != 0 {
			t.Error("the hub keeps what nobody watches")
		}
	})
}

// However many watch a format, it is converted once, and only where something
// changed.
func TestOneConversionForEachFormat(t *testing.T) {
	d := newScript(image.Pt(64, 48))
	s := newSource(d)
	var takers []*subscriber
	for _, f := range []encode.Format{encode.I420, encode.I444, encode.I444} {
		take, err := s.attach(f)
		if err != nil {
			t.Fatal(err)
		}
		defer s.detach(take)
		takers = append(takers, take)
	}
	pic := desktop.Picture{Pix: d.pic.Pix, Stride: d.pic.Stride, Size: image.Pt(64, 48), Dirty: []image.Rectangle{image.Rect(0, 0, 8, 8)}, At: time.Now()}
	if err := s.accept(pic); err != nil {
		t.Fatal(err)
	}
	got := make([]*encode.Image, len(takers))
	for i, take := range takers {
		take.snapshot(&got[i])
		if got[i] == nil || got[i].Format != take.format || decodetest.PSNR(d.imageIn(t, take.format), got[i], got[i].Bounds()) < 99 {
			t.Fatalf("taker %d has not the whole first picture", i)
		}
	}
	if len(s.images) != 2 {
		t.Fatalf("%d pictures for two formats", len(s.images))
	}
	// What was not damaged is not looked at again.
	for _, img := range s.images {
		img.Y[40*img.StrideY+40] ^= 0xff
		img.Y[0] ^= 0xff
	}
	if err := s.accept(pic); err != nil {
		t.Fatal(err)
	}
	for f, img := range s.images {
		want := d.imageIn(t, f)
		if img.Y[0] != want.Y[0] || img.Y[40*img.StrideY+40] == want.Y[40*img.StrideY+40] {
			t.Errorf("format %d: converted elsewhere than where it changed", f)
		}
	}
}

// Sharp on a slow link shows fewer pictures, none that does not read well.
func TestSharpStaysSharpOnASlowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newScript(image.Pt(960, 540))
		s := New(d, encode.AV1, Options{Format: encode.I444})
		defer s.Close()
		v := newLink(t, encode.AV1, 1e6, 20*time.Millisecond)
		sub := subscribe(t, s, v, 900_000)
		defer sub.Close()
		sub.Prefer(Sharp, 0)
		time.Sleep(8 * time.Second)
		before := len(v.all())
		for i := range 90 {
			if i%30 == 0 {
				d.page() // another page before the last is shown
			}
			d.scroll(9)
			time.Sleep(33 * time.Millisecond)
		}
		moving := v.all()[before:]
		if len(moving) < 6 {
			t.Errorf("%d frames in 3 s", len(moving))
		}
		for _, a := range moving {
			if !a.frame.Key && a.frame.Quantizer > 36 {
				t.Errorf("a frame in motion at %d", a.frame.Quantizer)
			}
		}
	})
}
