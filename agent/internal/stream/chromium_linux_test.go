//go:build cgo

package stream

import (
	"encoding/json"
	"fmt"
	"image"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/encode"
)

// page watches and sends what it shows, again and again: the pixels of its
// video as red, green, blue, alpha.
const page = `<!doctype html><video autoplay muted playsinline></video><script>
const video = document.querySelector('video'), want = new URL(location).searchParams.get('codec');
const pc = new RTCPeerConnection();
pc.ontrack = e => { e.receiver.jitterBufferTarget = 0; video.srcObject = new MediaStream([e.track]); };
(async () => {
  const t = pc.addTransceiver('video', { direction: 'recvonly' });
  const all = RTCRtpReceiver.getCapabilities('video').codecs;
  t.setCodecPreferences(all.filter(c => ['video/' + want, 'video/rtx', 'video/flexfec-03'].includes(c.mimeType)));
  await pc.setLocalDescription(await pc.createOffer());
  await new Promise(r => { if (pc.iceGatheringState === 'complete') r(); pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && r(); setTimeout(r, 1500); });
  const answer = await (await fetch('/offer', { method: 'POST', body: JSON.stringify(pc.localDescription) })).json();
  await pc.setRemoteDescription(answer);
  const canvas = document.createElement('canvas'), ctx = canvas.getContext('2d', { willReadFrequently: true });
  for (;;) {
    await new Promise(r => setTimeout(r, 100));
    if (!video.videoWidth) continue;
    canvas.width = video.videoWidth; canvas.height = video.videoHeight;
    ctx.drawImage(video, 0, 0);
    let stats = {};
    (await pc.getStats()).forEach(s => { if (s.type === 'inbound-rtp') stats = s; });
    await fetch('/shown?' + new URLSearchParams({ w: canvas.width, h: canvas.height, stats: JSON.stringify(stats) }), { method: 'POST', body: ctx.getImageData(0, 0, canvas.width, canvas.height).data });
  }
})();
</script>`

// report is what Chromium says about its video.
type report struct {
	like float64 // to the desktop, in decibel

	FramesDecoded, KeyFramesDecoded, PliCount, NackCount int
	FecPacketsReceived                                   int
	JitterBufferDelay, JitterBufferEmittedCount          float64
}

// tab is a page of real Chromium that watches a stream.
type tab struct {
	t     *testing.T
	shown chan report
	now   report // the newest
}

// browse opens a page that watches s, which shows d, with the wire between. change, if
// there is one, is called for the track before it is bound.
func browse(t *testing.T, s *Stream, d *script, change func(*Track), wire ...interceptor.Factory) *tab {
	t.Helper()
	b := &tab{t: t, shown: make(chan report)}
	done := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page)
	})
	peers := make(chan func(), 1) // what ends the peer
	mux.HandleFunc("POST /offer", func(w http.ResponseWriter, r *http.Request) {
		var offer webrtc.SessionDescription
		if err := json.NewDecoder(r.Body).Decode(&offer); err != nil {
			t.Error(err)
			return
		}
		c := s.Codec()
		if chosen, full, err := ChooseCodec(offer); chosen != c || full != (c != encode.VP8) {
			t.Errorf("chose %s, 4:4:4 %v, %v", chosen, full, err)
		}
		settings := webrtc.SettingEngine{}
		settings.SetIncludeLoopbackCandidate(true)
		track, err := NewTrack(c, "screen", "desktop")
		if err != nil {
			t.Error(err)
			return
		}
		api, congestion, err := newAPI(settings, track, wire...)
		if err != nil {
			t.Error(err)
			return
		}
		if change != nil {
			change(track)
		}
		pc, err := api.NewPeerConnection(webrtc.Configuration{})
		if err != nil {
			t.Error(err)
			return
		}
		var sub *Subscription
		ready, finished := make(chan struct{}), make(chan struct{})
		peers <- func() {
			pc.Close()
			<-finished
			select {
			case <-ready:
				sub.Close()
			default:
			}
		}
		connected := make(chan struct{})
		pc.OnConnectionStateChange(func(st webrtc.PeerConnectionState) {
			if st == webrtc.PeerConnectionStateConnected {
				close(connected)
			}
		})
		if err := pc.SetRemoteDescription(offer); err != nil {
			t.Error(err)
			return
		}
		sender, err := pc.AddTrack(track)
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			defer close(finished)
			Feedback(sender, func() { <-ready; sub.RequestKeyFrame() })
		}()
		answer, err := pc.CreateAnswer(nil)
		if err != nil {
			t.Error(err)
			return
		}
		gathered := webrtc.GatheringCompletePromise(pc)
		if err := pc.SetLocalDescription(answer); err != nil {
			t.Error(err)
			return
		}
		<-gathered
		go func() {
			<-connected
			var err error
			if sub, err = s.Subscribe(track); err != nil {
				t.Error(err)
			}
			congestion.OnChange(sub.SetTarget)
			close(ready)
		}()
		json.NewEncoder(w).Encode(pc.LocalDescription())
	})
	mux.HandleFunc("POST /shown", func(w http.ResponseWriter, r *http.Request) {
		var size image.Point
		fmt.Sscan(r.FormValue("w")+" "+r.FormValue("h"), &size.X, &size.Y)
		var got report
		json.Unmarshal([]byte(r.FormValue("stats")), &got)
		pix, _ := io.ReadAll(io.LimitReader(r.Body, 1<<24))
		got.like = d.likeRGBA(pix, size)
		select {
		case b.shown <- got:
		case <-done:
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	browser := exec.Command("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--autoplay-policy=no-user-gesture-required", server.URL+"/?codec="+string(s.Codec()))
	browser.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := browser.Start(); err != nil {
		t.Fatalf("chromium is needed for this test: %v", err)
	}
	t.Cleanup(func() {
		close(done)
		syscall.Kill(-browser.Process.Pid, syscall.SIGKILL)
		browser.Wait()
		select {
		case end := <-peers:
			end()
		default:
		}
		server.CloseClientConnections()
	})
	return b
}

// until waits until the page shows what is on the desktop.
func (b *tab) until(what string) {
	b.t.Helper()
	late := time.After(40 * time.Second)
	for {
		select {
		case b.now = <-b.shown:
			if b.now.like > 38 {
				return
			}
		case <-late:
			b.t.Fatalf("never: %s; %+v", what, b.now)
		}
	}
}

// What real Chromium shows is what is on the desktop.
func TestChromiumShowsThePicture(t *testing.T) {
	eachCodec(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(640, 400))
		s := New(d, c, Options{})
		defer s.Close()
		b := browse(t, s, d, nil)
		b.until("the first picture")
		for range 8 {
			d.key()
			d.scroll(17)
			b.until("the changed picture")
		}
		d.resize(image.Pt(482, 300))
		b.until("the picture of another size")
		if c == encode.AV1 {
			// It asks for a key frame when it sees nothing for three seconds. On
			// an idle screen it gets none.
			eventually(t, "the stream settles", func() bool { b.now = <-b.shown; return settled(s) })
			frames, asked := s.Stats().Frames, b.now.PliCount
			eventually(t, "Chromium grows impatient", func() bool { b.now = <-b.shown; return b.now.PliCount > asked })
			for end := time.Now().Add(time.Second); time.Now().Before(end); {
				<-b.shown
			}
			if n := s.Stats().Frames - frames; n > 0 {
				t.Errorf("%d frames of an idle screen", n)
			}
		}
		now := b.now
		t.Logf("%.1f dB; %d frames, %d key frames, %d PLI, %d NACK, %.0f ms in the jitter buffer", now.like, now.FramesDecoded,
			now.KeyFramesDecoded, now.PliCount, now.NackCount, 1000*now.JitterBufferDelay/max(1, now.JitterBufferEmittedCount))
	})
}

// robber takes the second packet of each frame of three or more, the only one of others, and
// all that is sent again.
type robber struct {
	interceptor.NoOp
	mu     sync.Mutex
	nth    int // of the frame
	taken  int
	lone   int // of these, the only one of its frame
	parity int // packets that came by
}

func (r *robber) NewInterceptor(string) (interceptor.Interceptor, error) { return r, nil }

func (r *robber) BindLocalStream(info *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	media, fec := info.SSRC, info.SSRCForwardErrorCorrection
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if r.takes(h.SSRC == media, h.SSRC == fec, h) {
			return len(payload), nil
		}
		return w.Write(h, payload, a)
	})
}

func (r *robber) takes(media, parity bool, h *rtp.Header) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case parity:
		r.parity++
		return false
	case !media:
		return true
	}
	r.nth++
	lone := r.nth == 1 && h.Marker
	takes := lone || r.nth == 2 && !h.Marker
	if h.Marker {
		r.nth = 0
	}
	if takes {
		r.taken++
	}
	if lone {
		r.lone++
	}
	return takes
}

// What the network takes of each larger frame, and of each letter, real Chromium makes from
// the parity: nothing is ever sent again.
func TestChromiumMakesWhatIsLost(t *testing.T) {
	eachCodec(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(640, 400))
		s := New(d, c, Options{})
		defer s.Close()
		r := &robber{}
		b := browse(t, s, d, func(track *Track) { track.shouldProtect = func(int) bool { return true } }, r)
		b.until("the first picture")
		for range 12 {
			d.page()
			b.until("another page")
			d.key()
			b.until("a letter")
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.taken-r.lone < 12 || r.lone < 6 || b.now.KeyFramesDecoded > 2 {
			t.Errorf("%d packets were taken, %d alone, %d of parity came; %+v", r.taken, r.lone, r.parity, b.now)
		}
		t.Logf("%d packets taken, %d alone, %d of parity; %+v", r.taken, r.lone, r.parity, b.now)
	})
}

func luma(r, g, b byte) float64 { return 0.299*float64(r) + 0.587*float64(g) + 0.114*float64(b) }

// likeRGBA compares the luma of red, green, blue, alpha with the picture, in
// decibel: chroma is halved on the way.
func (s *script) likeRGBA(pix []byte, size image.Point) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if size != s.pic.Rect.Size() || len(pix) != 4*size.X*size.Y {
		return 0
	}
	var sum float64
	for i := 0; i < len(pix); i += 4 {
		b, g, r := s.pic.Pix[i], s.pic.Pix[i+1], s.pic.Pix[i+2] // the script's order
		d := luma(pix[i], pix[i+1], pix[i+2]) - luma(r, g, b)
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(size.X*size.Y)/max(1, sum))
}
