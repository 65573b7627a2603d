package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/bwe"
	"oriel/agent/internal/encode"
)

// remake makes the lost one of what a packet of parity stands for, as
// draft-ietf-payload-flexible-fec-scheme-03 has it (§6.3). have is what came, by number.
func remake(t *testing.T, fec []byte, have map[uint16][]byte) []byte {
	t.Helper()
	if fec[0]>>6 != 0 || fec[8] != 1 || fec[18]>>7 != 1 {
		t.Fatalf("not the shortest header of one stream: % x", fec[:20])
	}
	base, mask := binary.BigEndian.Uint16(fec[16:]), binary.BigEndian.Uint16(fec[18:])<<1
	first := binary.BigEndian.Uint64(fec) // of the header, with the length where the number is
	rest := slices.Clone(fec[20:])
	lost, missing := uint16(0), 0
	for i := range uint16(15) {
		if mask<<i>>15 == 0 {
			continue
		}
		p, ok := have[base+i]
		if !ok {
			lost = base + i
			missing++
			continue
		}
		head := binary.BigEndian.Uint64(p)
		first ^= head&^(0xffff<<32) | uint64(len(p)-12)<<32
		for j, b := range p[12:] {
			rest[j] ^= b
		}
	}
	if missing != 1 {
		t.Fatalf("%d are missing of those that one packet of parity stands for", missing)
	}
	length := uint16(first >> 32)
	made := binary.BigEndian.AppendUint64(nil, first&^(0xffff<<32|3<<62)|uint64(lost)<<32|2<<62)
	return append(append(made, fec[12:16]...), rest[:length]...)
}

// guarded is a wire that takes parity too, and keeps what leaves.
type guarded struct {
	wire
	left []*rtp.Packet
}

func (*guarded) SSRCForwardErrorCorrection() webrtc.SSRC { return 8 }
func (g *guarded) WriteStream() webrtc.TrackLocalWriter  { return g }
func (g *guarded) HeaderExtensions() []webrtc.RTPHeaderExtensionParameter {
	return []webrtc.RTPHeaderExtensionParameter{{URI: playoutDelayURI, ID: 5}, {URI: transportCC, ID: 4}}
}

func (g *guarded) CodecParameters() []webrtc.RTPCodecParameters {
	return append(g.wire.CodecParameters(), webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeFlexFEC03}, PayloadType: fecPayloadType})
}

func (g *guarded) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	p := &rtp.Packet{Header: h.Clone(), Payload: payload}
	// As the network has it, in zeros as both sides take it for parity.
	if err := p.SetExtension(4, []byte{0, 0}); err != nil {
		return 0, err
	}
	g.left = append(g.left, p)
	return len(payload), nil
}

// frame sends one of so many packets and returns what left.
func (g *guarded) frame(t *testing.T, track *Track, packets int) (media, parity []*rtp.Packet) {
	t.Helper()
	data := make([]byte, (packets-1)*(mtu-13)+100)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	data[0] = 6 << 3 // a frame of one OBU
	g.left = nil
	if err := track.WriteFrame(Frame{Codec: encode.AV1, Data: data, Key: true, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for _, p := range g.left {
		if p.SSRC == 8 {
			parity = append(parity, p)
			continue
		}
		if len(parity) > 0 {
			t.Error("parity left before what it stands for")
		}
		media = append(media, p)
	}
	if len(media) != packets {
		t.Fatalf("a frame of %d packets, not of %d", len(media), packets)
	}
	return media, parity
}

func newGuarded(t *testing.T) (*guarded, *Track) {
	t.Helper()
	track, err := NewTrack(encode.AV1, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	g := &guarded{}
	if _, err := track.Bind(g); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = track.Unbind(g) })
	return g, track
}

// Whichever packet of a frame is lost, it is made from the others and the parity, byte for
// byte, and parity fits where they do.
func TestParityMakesWhatIsLost(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 12, 13, 30, 150} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			g, track := newGuarded(t)
			track.shouldProtect = func(int) bool { return true }
			media, parity := g.frame(t, track, n)
			if want := (n + fecGroupSize - 1) / fecGroupSize; len(parity) != want {
				t.Fatalf("%d packets of parity, not %d", len(parity), want)
			}
			have := map[uint16][]byte{}
			for _, p := range media {
				raw, err := p.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				have[p.SequenceNumber] = raw
			}
			made := 0
			for _, q := range parity {
				if q.PayloadType != fecPayloadType || q.Timestamp != media[0].Timestamp {
					t.Errorf("parity is of type %d at %d", q.PayloadType, q.Timestamp)
				}
				if size := q.MarshalSize() + 16 + 4 + 48; size > 1280 { // SRTP, TURN, UDP and IPv6
					t.Errorf("parity takes %d bytes on the way", size)
				}
				base, mask := binary.BigEndian.Uint16(q.Payload[16:]), binary.BigEndian.Uint16(q.Payload[18:])<<1
				for i := range uint16(15) {
					if mask<<i>>15 == 0 {
						continue
					}
					lost := have[base+i]
					delete(have, base+i)
					if got := remake(t, q.Payload, have); !bytes.Equal(got, lost) {
						t.Errorf("packet %d of %d came out wrong", i, n)
					}
					have[base+i] = lost
					made++
				}
			}
			if made != n {
				t.Errorf("parity stands for %d of %d packets", made, n)
			}
		})
	}
}

// Parity is made where it pays for a frame of so many packets, for who takes it.
func TestParityOnlyWhereItPays(t *testing.T) {
	g, track := newGuarded(t)
	if _, parity := g.frame(t, track, 7); len(parity) > 0 {
		t.Error("there is parity though nobody asked for it")
	}
	pays := false
	track.shouldProtect = func(packets int) bool { return pays && packets == 7 }
	if _, parity := g.frame(t, track, 7); len(parity) > 0 {
		t.Error("there is parity though it does not pay")
	}
	pays = true
	if _, parity := g.frame(t, track, 2); len(parity) > 0 {
		t.Error("there is parity for a frame that it does not pay for")
	}
	_, before := g.frame(t, track, 7)
	if err := track.Unbind(g); err != nil {
		t.Fatal(err)
	}
	if _, err := track.Bind(g); err != nil {
		t.Fatal(err)
	}
	// It is the same stream with the same key, in which no number may come twice.
	if _, after := g.frame(t, track, 7); after[0].SequenceNumber != before[0].SequenceNumber+1 {
		t.Errorf("number %d after %d", after[0].SequenceNumber, before[0].SequenceNumber)
	}
	if err := track.Unbind(g); err != nil {
		t.Fatal(err)
	}
	plain := &wire{c: newCongestion(nil)}
	defer plain.c.Close()
	if _, err := track.Bind(plain); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = track.Unbind(plain) }()
	if track.fec != nil {
		t.Error("there is parity for a viewer who does not take it")
	}
}

// The answer has parity if the offer has, and else not a trace of it.
func TestParityIsNegotiated(t *testing.T) {
	offers := slices.Clone(chromium)
	offers[0] += " 41"
	offers = append(offers, "a=rtpmap:41 flexfec-03/90000", "a=fmtp:41 repair-window=10000000")
	for name, c := range map[string]struct {
		offer []string
		takes bool
	}{"with": {offers, true}, "without": {chromium, false}} {
		t.Run(name, func(t *testing.T) {
			answer := answer(t, encode.AV1, c.offer...)
			for _, part := range []string{"a=rtpmap:41 flexfec-03/90000", "a=ssrc-group:FEC-FR "} {
				if strings.Contains(answer, part) != c.takes {
					t.Errorf("%q in the answer: %v\n%s", part, !c.takes, answer)
				}
			}
		})
	}
}

// Parity begins soon where packets get lost by chance and a round trip is long, and nowhere
// else; it ends when they do not any more.
func TestWhereParityPays(t *testing.T) {
	for name, c := range map[string]struct {
		rate  float64
		delay time.Duration
		setup func(*simulatedNetwork)
		pays  bool
	}{
		"5 Mbit/s, 40 ms, 1 % loss":   {5e6, 20 * ms, func(w *simulatedNetwork) { w.loss, w.content = 0.01, scrolling }, true},
		"5 Mbit/s, 40 ms, 0.1 % loss": {5e6, 20 * ms, func(w *simulatedNetwork) { w.loss, w.content = 0.001, scrolling }, false},
		"5 Mbit/s, 40 ms, no loss":    {5e6, 20 * ms, func(w *simulatedNetwork) { w.content = video }, false},
		"100 Mbit/s, 10 ms, 1 % loss": {100e6, 5 * ms, func(w *simulatedNetwork) { w.loss, w.content = 0.01, scrolling }, false},
		"1 Mbit/s, 100 ms, no loss":   {1e6, 50 * ms, func(w *simulatedNetwork) { w.content = video }, false},
		"20 and 1 Mbit/s, a full queue": {20e6, 20 * ms, func(w *simulatedNetwork) {
			w.content = video
			w.at(3*time.Second, func() { w.rate = 1e6 })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				w := newSimulatedNetwork(t, c.rate, c.delay, seed)
				c.setup(w)
				began, some := time.Duration(0), 0
				for w.now < 10*time.Second {
					w.run(w.now + 50*ms)
					if w.estimator.ShouldProtect(w.clock(), bwe.MinFECPackets) {
						if some++; some == 1 {
							began = w.now
						}
					}
				}
				if (some > 0) != c.pays || began > 4*time.Second {
					t.Errorf("seed %d: from %v, in %d of 200 moments", seed, began, some)
				}
				w.loss = 0
				if w.run(40 * time.Second); w.estimator.ShouldProtect(w.clock(), bwe.MinFECPackets) {
					t.Errorf("seed %d: still, though nothing gets lost", seed)
				}
			}
		})
	}
}

// What it is for: on a link that loses one packet in a hundred hardly a picture comes late.
func TestParityKeepsPicturesInTime(t *testing.T) {
	run := func(seed uint64, bare bool) (late float64) {
		w := newSimulatedNetwork(t, 5e6, 20*ms, seed)
		w.loss, w.content, w.bare = 0.01, scrolling, bare
		w.run(20 * time.Second)
		all, shown := 0, time.Duration(0)
		for _, f := range w.frames {
			if f.skipped || f.at < 3*time.Second || f.at > 19*time.Second {
				continue
			}
			all++
			before := shown
			if shown = max(shown, f.done); shown-before < time.Second/120 {
				late++ // it comes together with the one before
			}
		}
		return 100 * late / float64(all)
	}
	for seed := range uint64(3) {
		without, with := run(seed, true), run(seed, false)
		t.Logf("seed %d: %.1f %% come together with the one before, without parity %.1f %%", seed, with, without)
		if without < 4 || with > without/4 {
			t.Errorf("seed %d: %.1f %% come together with the one before, without parity %.1f %%", seed, with, without)
		}
	}
}

// Where pictures take all that the link carries, parity is kept free for, and not more.
func TestParityIsKeptFreeFor(t *testing.T) {
	for seed := range uint64(3) {
		run := func(bare bool) (rate int) {
			w := newSimulatedNetwork(t, 5e6, 20*ms, seed)
			w.loss, w.content, w.bare = 0.01, video, bare
			w.run(20 * time.Second)
			return w.estimator.MediaTarget()
		}
		alone, beside := run(true), run(false)
		t.Logf("seed %d: pictures may take %d bit/s, without parity %d", seed, beside, alone)
		if part := float64(beside) / float64(alone); part < 0.8 || part > 0.92 {
			t.Errorf("seed %d: pictures may take %d bit/s, without parity %d", seed, beside, alone)
		}
	}
}

// Letters are guarded as soon as one packet got lost by chance, however near the viewer is,
// until none has for a while, and not where frames as small take much of the link.
func TestWhereLettersAreGuarded(t *testing.T) {
	once := func(loss float64) func(*simulatedNetwork) {
		return func(w *simulatedNetwork) {
			w.content, w.loss = scrolling, loss
			w.at(5*time.Second, func() { w.content = typing })
		}
	}
	for name, c := range map[string]struct {
		rate  float64
		delay time.Duration
		setup func(*simulatedNetwork)
		part  float64 // of ten seconds that begin with the letters, at least; 0: never
	}{
		"5 Mbit/s, 40 ms, 1 % loss":    {5e6, 20 * ms, once(0.01), 0.95},
		"100 Mbit/s, 10 ms, 1 % loss":  {100e6, 5 * ms, once(0.01), 0.95},
		"300 kbit/s, 200 ms, 2 % loss": {300e3, 100 * ms, once(0.02), 0.7},
		"5 Mbit/s, no loss":            {5e6, 20 * ms, once(0), 0},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				w := newSimulatedNetwork(t, c.rate, c.delay, seed)
				c.setup(w)
				guarded, most := 0, 0.0
				for w.now < 15*time.Second {
					w.run(w.now + 50*ms)
					if w.now > 5*time.Second && w.estimator.ShouldProtect(w.clock(), 1) {
						guarded++
					}
					most = max(most, w.estimator.State().FEC)
				}
				if part := float64(guarded) / 200; part < c.part || c.part == 0 && part > 0 {
					t.Errorf("seed %d: guarded for %.2f of the time", seed, part)
				}
				if most > 0.2+0.1 {
					t.Errorf("seed %d: %.2f of the link is parity", seed, most)
				}
				w.loss = 0
				if w.run(120 * time.Second); w.estimator.ShouldProtect(w.clock(), 1) {
					t.Errorf("seed %d: still, though nothing gets lost", seed)
				}
			}
		})
	}
	w := newSimulatedNetwork(t, 1e6, 20*ms, 1)
	w.loss, w.content = 0.01, func(time.Duration) (float64, float64) { return 8_000, 8_000 } // thirty a second, a packet each
	guarded := 0
	for w.now < 20*time.Second {
		w.run(w.now + 50*ms)
		if w.estimator.State().FEC > 0.25 {
			t.Fatalf("%.2f of the link is parity of what moves", w.estimator.State().FEC)
		}
		if w.estimator.ShouldProtect(w.clock(), 1) {
			guarded++
		}
	}
	if guarded == 0 || guarded > 390 {
		t.Errorf("what moves in frames as small is guarded in %d of 400 moments", guarded)
	}
}

// What that is for: hardly a letter waits until the viewer has noticed that it is missing.
func TestLettersComeInTime(t *testing.T) {
	run := func(seed uint64, bare bool) (late, letters int) {
		w := newSimulatedNetwork(t, 5e6, 20*ms, seed)
		w.loss, w.bare, w.content = 0.01, bare, scrolling
		w.at(5*time.Second, func() { w.content = typing })
		w.run(300 * time.Second)
		for _, f := range w.frames {
			if f.at < 5*time.Second || f.at > 299*time.Second {
				continue
			}
			letters++
			if f.done-f.at > 60*ms { // three times what it takes
				late++
			}
		}
		return late, letters
	}
	var without, with, letters int
	for seed := range uint64(5) {
		late, n := run(seed, true)
		without, letters = without+late, letters+n
		late, _ = run(seed, false)
		with += late
	}
	t.Logf("%d of %d letters are late, without parity %d", with, letters, without)
	if letters < 7000 || without < letters/200 || with > without/10 {
		t.Errorf("%d of %d letters are late, without parity %d", with, letters, without)
	}
}
