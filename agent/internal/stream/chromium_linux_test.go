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
	"syscall"
	"testing"
	"time"

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
  t.setCodecPreferences(all.filter(c => c.mimeType === 'video/' + want || c.mimeType === 'video/rtx'));
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
	JitterBufferDelay, JitterBufferEmittedCount          float64
}

// What real Chromium shows is what is on the desktop.
func TestChromiumShowsThePicture(t *testing.T) {
	eachCodec(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(640, 400))
		s := New(d, c, Options{})
		defer s.Close()
		var now report // the newest
		shown := make(chan report)
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
			api, congestion, err := NewAPI(settings, track)
			if err != nil {
				t.Error(err)
				return
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
			case shown <- got:
			case <-done:
			}
		})
		server := httptest.NewServer(mux)
		defer server.Close()
		browser := exec.Command("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
			"--autoplay-policy=no-user-gesture-required", server.URL+"/?codec="+string(c))
		browser.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := browser.Start(); err != nil {
			t.Fatalf("chromium is needed for this test: %v", err)
		}
		defer func() {
			close(done)
			syscall.Kill(-browser.Process.Pid, syscall.SIGKILL)
			browser.Wait()
			select {
			case end := <-peers:
				end()
			default:
			}
			server.CloseClientConnections()
		}()
		until := func(what string) {
			t.Helper()
			late := time.After(40 * time.Second)
			for {
				select {
				case now = <-shown:
					if now.like > 38 {
						return
					}
				case <-late:
					t.Fatalf("never: %s; %+v", what, now)
				}
			}
		}
		until("the first picture")
		for range 8 {
			d.key()
			d.scroll(17)
			until("the changed picture")
		}
		d.resize(image.Pt(482, 300))
		until("the picture of another size")
		if c == encode.AV1 {
			// It asks for a key frame when it sees nothing for three seconds. On
			// an idle screen it gets none.
			eventually(t, "the stream settles", func() bool { now = <-shown; return settled(s) })
			frames, asked := s.Stats().Frames, now.PliCount
			eventually(t, "Chromium grows impatient", func() bool { now = <-shown; return now.PliCount > asked })
			for end := time.Now().Add(time.Second); time.Now().Before(end); {
				<-shown
			}
			if n := s.Stats().Frames - frames; n > 0 {
				t.Errorf("%d frames of an idle screen", n)
			}
		}
		t.Logf("%.1f dB; %d frames, %d key frames, %d PLI, %d NACK, %.0f ms in the jitter buffer", now.like, now.FramesDecoded,
			now.KeyFramesDecoded, now.PliCount, now.NackCount, 1000*now.JitterBufferDelay/max(1, now.JitterBufferEmittedCount))
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
