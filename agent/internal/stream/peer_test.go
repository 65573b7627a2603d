//go:build cgo

package stream

import (
	"errors"
	"image"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/bwe"
	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// viewer is a real pion peer: it receives RTP, puts frames together, decodes
// them and answers as a browser does.
type viewer struct {
	t          testing.TB
	codec      encode.Codec
	agent, own *webrtc.PeerConnection
	sender     *webrtc.RTPSender
	track      *Track
	congestion *Congestion
	wait       sync.WaitGroup
	connected  chan struct{}

	mu      sync.Mutex
	drop    func(*rtp.Header) bool // what the network loses
	packets []rtp.Header
	times   []uint32 // RTP time of each frame
	picture *encode.Image
	lost    bool // needs a key frame
	delayID uint8
	plis    int
}

// watch connects a viewer. lost is called for its requests for a key frame.
func watch(t testing.TB, codec encode.Codec, lost func()) *viewer {
	t.Helper()
	v := &viewer{t: t, codec: codec, connected: make(chan struct{})}
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	var err error
	if v.track, err = NewTrack(codec, "screen", "desktop"); err != nil {
		t.Fatal(err)
	}
	api, congestion, err := newAPI(settings, v.track, &lossy{v: v})
	if err != nil {
		t.Fatal(err)
	}
	v.congestion = congestion
	if v.agent, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	media := &webrtc.MediaEngine{}
	if err := RegisterCodecs(media); err != nil {
		t.Fatal(err)
	}
	registry := &interceptor.Registry{}
	if err := webrtc.ConfigureTWCCSender(media, registry); err != nil {
		t.Fatal(err)
	}
	if v.own, err = webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		v.agent.Close()
		v.own.Close()
		v.wait.Wait()
	})
	if _, err := v.own.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	v.own.OnTrack(func(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		for _, e := range receiver.GetParameters().HeaderExtensions {
			if e.URI == playoutDelayURI {
				v.delayID = uint8(e.ID)
			}
		}
		v.wait.Go(func() {
			for {
				if _, _, err := receiver.ReadRTCP(); err != nil {
					return
				}
			}
		})
		v.wait.Go(func() { v.receive(remote) })
	})
	v.own.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			close(v.connected)
		}
	})
	offer, err := v.own.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(v.own)
	if err := v.own.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	if err := v.agent.SetRemoteDescription(*v.own.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	if v.sender, err = v.agent.AddTrack(v.track); err != nil {
		t.Fatal(err)
	}
	v.wait.Go(func() { Feedback(v.sender, lost) })
	answer, err := v.agent.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered = webrtc.GatheringCompletePromise(v.agent)
	if err := v.agent.SetLocalDescription(answer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	if err := v.own.SetRemoteDescription(*v.agent.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-v.connected:
	case <-time.After(20 * time.Second):
		t.Fatal("no connection")
	}
	// Connected is said before either side takes packets: who sends none again loses the first.
	eventually(t, "both sides are ready", func() bool {
		v.track.mu.Lock()
		bound := v.track.bound != ""
		v.track.mu.Unlock()
		receiver := v.own.GetTransceivers()[0].Receiver()
		return bound && v.agent.ConnectionState() == webrtc.PeerConnectionStateConnected && receiver != nil && receiver.Track() != nil
	})
	return v
}

// lossy is the network before a viewer: behind all that the agent's side adds,
// before encryption (a receiver refuses what it decrypted before as a replay).
type lossy struct {
	interceptor.NoOp
	v *viewer
}

func (l *lossy) NewInterceptor(string) (interceptor.Interceptor, error) { return l, nil }

func (l *lossy) BindLocalStream(_ *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		l.v.mu.Lock()
		gone := l.v.drop != nil && l.v.drop(h)
		l.v.mu.Unlock()
		if gone {
			return len(payload), nil
		}
		return w.Write(h, payload, a)
	})
}

// receive puts packets into frames and shows them. Packets come in order on
// loopback, but for those that were sent again. What is missing is asked for as a
// browser does, which asks ten times (pion's generator of such requests does not hear
// of what came by RTX).
func (v *viewer) receive(remote *webrtc.TrackRemote) {
	dec, err := decodetest.New(v.codec)
	if err != nil {
		v.t.Error(err)
		return
	}
	defer dec.Close()
	const asks, interval = 10, 20 * time.Millisecond
	held, asked := map[uint16]*rtp.Packet{}, map[uint16]int{}
	var next, newest uint16
	var last time.Time
	ask := func() {
		if time.Since(last) < interval {
			return
		}
		var missing []uint16
		for seq := next; int16(newest-seq) > 0; seq++ {
			if held[seq] == nil && asked[seq] < asks {
				missing = append(missing, seq)
				asked[seq]++
			}
		}
		if last = time.Now(); len(missing) > 0 {
			_ = v.own.WriteRTCP([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: uint32(remote.SSRC()), Nacks: rtcp.NackPairsFromSequenceNumbers(missing)}})
		}
	}
	started := false
	var frame []*rtp.Packet
	for {
		// pion looks for packets that came again only before it waits for others.
		_ = remote.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		p, attributes, err := remote.ReadRTP()
		var late net.Error
		if ask(); errors.As(err, &late) && late.Timeout() {
			continue
		}
		if err != nil {
			return
		}
		if !started {
			next, newest, started = p.SequenceNumber, p.SequenceNumber, true
		}
		// libwebrtc asks for nothing that is before a packet which came again.
		if attributes.Get(webrtc.AttributeRtxSsrc) == nil && int16(p.SequenceNumber-newest) > 0 {
			newest = p.SequenceNumber
		}
		held[p.SequenceNumber] = p
		for {
			p := held[next]
			if p == nil {
				break
			}
			delete(held, next)
			delete(asked, next)
			next++
			if len(p.Payload) == 0 {
				continue
			}
			v.mu.Lock()
			v.packets = append(v.packets, p.Header)
			v.mu.Unlock()
			frame = append(frame, p)
			if p.Marker {
				v.show(dec, frame)
				frame = nil
			}
		}
	}
}

func (v *viewer) show(dec *decodetest.Decoder, frame []*rtp.Packet) {
	var data []byte
	var depacketizer rtp.Depacketizer
	switch v.codec {
	case encode.AV1:
		depacketizer = &codecs.AV1Depacketizer{}
		data = append(data, 0x12, 0) // the temporal delimiter that RTP leaves out
	case encode.VP9:
		depacketizer = &codecs.VP9Packet{}
	case encode.VP8:
		depacketizer = &codecs.VP8Packet{}
	}
	var err error
	for _, p := range frame {
		var part []byte
		if part, err = depacketizer.Unmarshal(p.Payload); err != nil {
			break
		}
		data = append(data, part...)
	}
	var img *encode.Image
	if err == nil {
		img, err = dec.Decode(data)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.times = append(v.times, frame[0].Timestamp)
	if err != nil {
		v.lost = true
		return
	}
	v.lost = false
	v.picture = img
}

// pli says that the picture is lost.
func (v *viewer) pli() {
	v.t.Helper()
	v.mu.Lock()
	v.plis++
	v.mu.Unlock()
	if err := v.own.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(v.sender.GetParameters().Encodings[0].SSRC)}}); err != nil {
		v.t.Fatal(err)
	}
}

func (v *viewer) shown() *encode.Image {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.picture
}

// likeness is the PSNR of what is shown against want; 0 before there is
// anything of that size.
func (v *viewer) likeness(want *encode.Image) float64 {
	got := v.shown()
	if got == nil || got.Size != want.Size {
		return 0
	}
	return decodetest.PSNR(want, got, want.Bounds())
}

// eventually polls until f holds.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func eachCodec(t *testing.T, f func(*testing.T, encode.Codec)) {
	for _, c := range encode.Supported() {
		t.Run(string(c), func(t *testing.T) { f(t, c) })
	}
}

// session subscribes a new viewer to a stream, as agent/internal/session does.
func session(t testing.TB, s *Stream) (*viewer, *Subscription) {
	t.Helper()
	var sub *Subscription
	ready := make(chan struct{})
	v := watch(t, s.Codec(), func() { <-ready; sub.RequestKeyFrame() })
	var err error
	if sub, err = s.Subscribe(v.track); err != nil {
		t.Fatal(err)
	}
	close(ready)
	v.congestion.OnChange(sub.SetTarget)
	t.Cleanup(func() { sub.Close() })
	return v, sub
}

func TestPictureReachesThePeer(t *testing.T) {
	eachCodec(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(641, 403))
		s := New(d, c, Options{})
		defer s.Close()
		v, _ := session(t, s)
		good := 48.0
		eventually(t, "the first picture, refined", func() bool { return v.likeness(d.image(t)) > good })
		for range 20 {
			d.key()
			d.scroll(17)
			want := d.image(t)
			eventually(t, "the changed picture, refined", func() bool { return v.likeness(want) > good })
		}
		d.resize(image.Pt(320, 242))
		eventually(t, "the picture of another size", func() bool { return v.likeness(d.image(t)) > good })
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.delayID == 0 {
			t.Fatal("playout delay was not negotiated")
		}
		for _, p := range v.packets {
			if b := p.GetExtension(v.delayID); string(b) != "\x00\x00\x00" {
				t.Fatalf("playout delay is % x on packet %d", b, p.SequenceNumber)
			}
		}
	})
}

// A first key frame sent before the receiver is ready is lost: the PLI brings
// the picture, also when there is no further change.
func TestLostFirstKeyFrame(t *testing.T) {
	eachCodec(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(640, 400))
		s := New(d, c, Options{})
		defer s.Close()
		var sub *Subscription
		ready := make(chan struct{})
		v := watch(t, c, func() { <-ready; sub.RequestKeyFrame() })
		early := &counter{}
		sub, err := s.Subscribe(early) // everything before the receiver is ready goes nowhere
		if err != nil {
			t.Fatal(err)
		}
		defer func() { sub.Close() }()
		eventually(t, "the first frames settle", func() bool { return early.frames() > 0 && settled(s) })
		late := &relay{to: v.track}
		sub2, err := s.Subscribe(late)
		if err != nil {
			t.Fatal(err)
		}
		sub.Close()
		sub = sub2
		close(ready)
		late.lose(1 << 30)
		eventually(t, "what joined is lost", func() bool { return late.lost() > 0 && settled(s) })
		late.lose(0)
		// A receiver without a picture asks five times a second.
		next := time.Now()
		eventually(t, "the picture after the PLI", func() bool {
			if now := time.Now(); v.shown() == nil && now.After(next) {
				next = now.Add(200 * time.Millisecond)
				v.pli()
			}
			return v.likeness(d.image(t)) > 45
		})
	})
}

// A browser asks for nothing before anything came: the stream sees to it by itself.
func TestNothingCame(t *testing.T) {
	d := newScript(image.Pt(640, 400))
	s := New(d, encode.AV1, Options{})
	defer s.Close()
	v, _ := session(t, s)
	v.mu.Lock()
	v.drop = func(*rtp.Header) bool { return s.Stats().Keys < 3 }
	v.mu.Unlock()
	eventually(t, "the picture", func() bool { return v.likeness(d.image(t)) > 45 })
	if keys := s.Stats().Keys; keys > 4 {
		t.Errorf("%d key frames though something came", keys)
	}
}

// A first key frame that came before there was anybody to take it is missed, though all
// that was sent after it came.
func TestBeginningDidNotCome(t *testing.T) {
	const ssrc = 7
	var a deliveryTracker
	now := time.Unix(1000, 0)
	a.onKeyFrame(100)
	for seq := range uint16(3) {
		a.sentPacket(now, 100+seq)
	}
	a.onRTCP(time.Now(), &rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{SSRC: ssrc, LastSequenceNumber: 102}}}, ssrc)
	a.onResult(bwe.PacketResult{Number: 102, Received: true})
	if a.complete(now.Add(time.Minute)) {
		t.Error("without its beginning it passes for whole")
	}
	if a.onResult(bwe.PacketResult{Number: 100, Received: true}); !a.complete(now.Add(time.Minute)) {
		t.Error("with its beginning it does not pass for whole")
	}
}

// Packets that the network loses come again on a stream of their own (RTX).
func TestLostPacketsComeAgain(t *testing.T) {
	d := newScript(image.Pt(640, 400))
	s := New(d, encode.AV1, Options{})
	defer s.Close()
	v, _ := session(t, s)
	eventually(t, "the first picture", func() bool { return v.likeness(d.image(t)) > 45 })
	if !strings.Contains(v.agent.LocalDescription().SDP, "rtx/90000") {
		t.Fatal("RTX was not negotiated")
	}
	v.mu.Lock()
	n, again, tails := 0, 0, 0
	v.drop = func(h *rtp.Header) bool {
		n++
		if h.SSRC != uint32(v.sender.GetParameters().Encodings[0].SSRC) {
			again++
			return false
		} else if h.Marker { // nothing follows that would show that it is missing
			tails++
			return true
		}
		return n%5 == 2
	}
	v.mu.Unlock()
	for range 10 {
		d.page()
		eventually(t, "the picture in spite of loss", func() bool { return v.likeness(d.image(t)) > 45 })
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if n < 20 || again < tails || tails < 10 {
		t.Errorf("%d packets, %d ends of frames lost, %d came again", n, tails, again)
	}
}

// Where the last two packets of a frame get lost, and the first copy too, the rest follows
// though the viewer does not know that there is anything to ask for. Nothing else is sent
// than frames: what has a number among their packets and gets lost holds the next one up.
func TestEndOfAFrameComesAgain(t *testing.T) {
	d := newScript(image.Pt(640, 400))
	s := New(d, encode.AV1, Options{})
	defer s.Close()
	v, _ := session(t, s)
	still := func() bool { return v.likeness(d.image(t)) > 45 && settled(s) }
	eventually(t, "the first picture", still)
	d.page()
	eventually(t, "the second", still)
	ends, copies, empty, taken := 0, 0, 0, 0
	var held []uint16
	v.mu.Lock()
	v.drop = func(h *rtp.Header) bool {
		if h.SSRC != uint32(v.sender.GetParameters().Encodings[0].SSRC) {
			copies++
			return copies == 1
		}
		if h.Padding {
			empty++
		}
		held = append(held, h.SequenceNumber)
		if h.Marker {
			ends++
		}
		if h.Marker || len(held) > 1 && taken < 6 {
			taken++
			return true
		}
		return false
	}
	v.mu.Unlock()
	d.page()
	eventually(t, "the picture whose end was lost", still)
	v.mu.Lock()
	defer v.mu.Unlock()
	if ends == 0 || taken < 3 || copies <= taken || empty > 0 {
		t.Errorf("%d ends of frames, %d packets lost, %d copies, %d packets of no frame", ends, taken, copies, empty)
	}
}

// On a network where nothing gets lost nothing is sent twice.
func TestNothingComesTwice(t *testing.T) {
	d := newScript(image.Pt(640, 400))
	s := New(d, encode.AV1, Options{})
	defer s.Close()
	v, _ := session(t, s)
	still := func() bool { return v.likeness(d.image(t)) > 45 && settled(s) }
	eventually(t, "the first picture", still)
	other := 0
	v.mu.Lock()
	v.drop = func(h *rtp.Header) bool {
		if h.SSRC != uint32(v.sender.GetParameters().Encodings[0].SSRC) || h.Padding {
			other++
		}
		return false
	}
	v.mu.Unlock()
	for range 3 {
		d.page()
		eventually(t, "another page", still)
		time.Sleep(600 * time.Millisecond) // by when a copy would have come
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if other > 1 { // a machine that stands still may keep the viewer from saying what came
		t.Errorf("%d packets besides those of frames", other)
	}
}

// The RTP time of each frame is its own capture time, however irregular.
func TestRTPTimeIsCaptureTime(t *testing.T) {
	d := newScript(image.Pt(320, 200))
	s := New(d, encode.AV1, Options{})
	defer s.Close()
	v := watch(t, encode.AV1, func() {})
	sent := &counter{}
	sub, err := s.Subscribe(sinkFunc(func(f Frame) error {
		if err := v.track.WriteFrame(f); err != nil {
			return err
		}
		return sent.WriteFrame(f)
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	eventually(t, "the first picture", func() bool { return v.likeness(d.image(t)) > 48 })
	for _, wait := range []time.Duration{1, 120, 15, 400, 33, 33, 700} {
		<-time.After(wait * time.Millisecond) // irregular on purpose
		d.key()
		want := d.image(t)
		eventually(t, "the change", func() bool { return v.likeness(want) > 44 })
	}
	received := func() []uint32 {
		v.mu.Lock()
		defer v.mu.Unlock()
		return append([]uint32(nil), v.times...)
	}
	eventually(t, "all frames arrive", func() bool { return len(received()) == sent.frames() })
	frames, times := sent.all(), received()
	if len(frames) < 8 {
		t.Fatalf("%d frames", len(frames))
	}
	for i, f := range frames {
		want := f.At.Sub(frames[0].At).Seconds() * clockRate
		if got := float64(times[i] - times[0]); got < want-1 || got > want+1 {
			t.Errorf("frame %d: %.0f ticks after the first, it was captured %.0f after", i, got, want)
		}
	}
}
