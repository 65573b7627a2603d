package stream

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oriel/agent/internal/bwe"
	"oriel/agent/internal/encode"
)

// What is sent again is the end, where it is not known to have come, and what is lost before
// it that the peer cannot know of.
func TestTail(t *testing.T) {
	came := func(n uint16) bwe.PacketResult { return bwe.PacketResult{Number: n, Received: true} }
	lost := func(n uint16) bwe.PacketResult { return bwe.PacketResult{Number: n} }
	again := func(n uint16) bwe.PacketResult { return bwe.PacketResult{Number: n, RTX: true, Received: true} }
	for name, c := range map[string]struct {
		heard []bwe.PacketResult
		want  []uint16
	}{
		"nothing heard":                       {nil, []uint16{2}},
		"all came":                            {[]bwe.PacketResult{came(65534), came(65535), came(0), came(1), came(2)}, nil},
		"the end came":                        {[]bwe.PacketResult{lost(0), came(2)}, nil}, // the peer knows what it lacks
		"the end, then what was before it":    {[]bwe.PacketResult{came(2), came(1)}, nil},
		"the end did not come":                {[]bwe.PacketResult{came(1)}, []uint16{2}},
		"the end is lost":                     {[]bwe.PacketResult{came(1), lost(2)}, []uint16{2}},
		"the end is lost, and some before it": {[]bwe.PacketResult{came(65535), lost(0), came(1), lost(2)}, []uint16{2}},
		"the last are lost":                   {[]bwe.PacketResult{came(65535), lost(0), lost(1), lost(2)}, []uint16{0, 1, 2}},
		"of these the end came again":         {[]bwe.PacketResult{came(65535), lost(0), lost(1), again(2)}, []uint16{0, 1}},
		"and the others too":                  {[]bwe.PacketResult{came(65535), lost(0), lost(1), again(2), again(0), again(1)}, nil},
		"they were only late":                 {[]bwe.PacketResult{lost(1), lost(2), came(2)}, nil},
		"one came again, then by itself":      {[]bwe.PacketResult{lost(2), again(2), came(2)}, nil},
		"what was never sent":                 {[]bwe.PacketResult{came(3), came(1000)}, []uint16{2}},
		"what was long ago":                   {[]bwe.PacketResult{lost(65000), came(64000)}, []uint16{2}},
	} {
		t.Run(name, func(t *testing.T) {
			var a tailLossProbe
			for _, n := range []uint16{65534, 65535, 0, 1, 2} {
				a.sent(n)
			}
			for _, n := range c.heard {
				a.onResult(n)
			}
			if got, more := a.probe(); !slices.Equal(got, c.want) || more != (len(c.want) > 0) || more == a.acked() {
				t.Errorf("%v is sent again, and more %v", got, more)
			}
		})
	}
	var a tailLossProbe
	if again, more := a.probe(); len(again) > 0 || more {
		t.Error("there is an end before anything was sent")
	}
	for n := range uint16(maxProbes + 2) {
		a.sent(n)
	}
	for range maxProbes {
		a.probe()
	}
	if again, _ := a.probe(); len(again) > 0 {
		t.Error("a peer that says nothing is sent the end for ever")
	}
	if a.sent(100); len(a.lost) > 0 || a.timeout(time.Second) != time.Second {
		t.Error("after another frame it does not begin anew")
	}
}

// The track looks after the end of the last frame, as long as nobody says that it came.
func TestTrackLooksAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, track := newGuarded(t)
		track.feedbackDelay = func() time.Duration { return 100 * time.Millisecond }
		sleep := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		type repeat struct {
			at      time.Duration
			numbers []uint16
		}
		var mu sync.Mutex
		var repeats []repeat
		began := time.Now()
		track.onRetransmit(func(ssrc uint32, numbers []uint16) {
			mu.Lock()
			defer mu.Unlock()
			if ssrc != track.ssrc {
				t.Errorf("asked for packets of %d", ssrc)
			}
			repeats = append(repeats, repeat{time.Since(began), numbers})
		})
		all := func() []repeat {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(repeats)
		}
		g.frame(t, track, 3)
		sleep(time.Second)
		if len(all()) > 0 {
			t.Error("the end of the first frame is sent again")
		}
		for range 5 { // a motion
			g.frame(t, track, 2)
			sleep(50 * time.Millisecond)
		}
		mu.Lock()
		began = time.Now()
		mu.Unlock()
		media, _ := g.frame(t, track, 2)
		end := media[1].SequenceNumber
		sleep(150 * time.Millisecond)
		if len(all()) != 1 || all()[0].at != 100*time.Millisecond || !slices.Equal(all()[0].numbers, []uint16{end}) {
			t.Fatalf("%v; the end is %d", all(), end)
		}
		track.onResults([]bwe.PacketResult{{Number: end - 2, Received: true}, {Number: end - 1}, {Number: end, RTX: true}})
		if len(all()) != 2 || !slices.Equal(all()[1].numbers, []uint16{end}) {
			t.Errorf("the copy that got lost is not sent again: %v", all())
		}
		sleep(200 * time.Millisecond)
		if len(all()) != 3 || all()[2].at != 300*time.Millisecond || !slices.Equal(all()[2].numbers, []uint16{end - 1, end}) {
			t.Errorf("the last two are lost: %v", all())
		}
		track.onResults([]bwe.PacketResult{{Number: end - 1, RTX: true, Received: true}, {Number: end, RTX: true, Received: true}})
		if sleep(time.Minute); len(all()) != 3 {
			t.Errorf("what came is sent again: %v", all())
		}
		g.left = nil
		if err := track.WriteFrame(Frame{Codec: encode.AV1, Data: []byte{6 << 3, 1}, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if sleep(time.Minute); len(all()) != 3+maxProbes || len(g.left) != 1 {
			t.Errorf("%d times, and %d packets beside the copies", len(all()), len(g.left))
		}
	})
}

// A slow link that loses packets never shows a picture more than a second late, though what
// is sent again gets lost too.
func TestSlowLossyLinkStaysWithinASecond(t *testing.T) {
	var worst time.Duration
	for seed := range uint64(100) {
		w := newSimulatedNetwork(t, 300e3, 100*ms, seed)
		w.loss, w.content = 0.02, scrolling
		w.run(4 * time.Second)
		w.frames = nil
		w.run(14 * time.Second)
		worst = max(worst, w.behind())
	}
	if t.Logf("%v behind", worst); worst > time.Second {
		t.Errorf("%v behind", worst)
	}
}
