package stream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/encode"
)

func sdp(lines ...string) webrtc.SessionDescription {
	head := "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
	return webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: head + strings.Join(lines, "\r\n") + "\r\n"}
}

func TestChooseCodec(t *testing.T) {
	if len(encode.Supported()) == 0 {
		t.Skip("no encoders in this build")
	}
	const video = "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100"
	for name, c := range map[string]struct {
		offer webrtc.SessionDescription
		want  encode.Codec
	}{
		"a current browser":     {sdp(video, "a=rtpmap:96 VP8/90000", "a=rtpmap:98 VP9/90000", "a=fmtp:98 profile-id=0", "a=rtpmap:99 AV1/90000", "a=fmtp:99 level-idx=5;profile=0;tier=0", "a=rtpmap:100 H264/90000"), encode.AV1},
		"AV1 without a profile": {sdp(video, "a=rtpmap:96 VP8/90000", "a=rtpmap:99 AV1/90000"), encode.AV1},
		"AV1 in 4:4:4 only":     {sdp(video, "a=rtpmap:99 AV1/90000", "a=fmtp:99 level-idx=5;profile=1;tier=0", "a=rtpmap:98 VP9/90000", "a=fmtp:98 profile-id=0"), encode.VP9},
		"VP9 in 10 bits only":   {sdp(video, "a=rtpmap:98 VP9/90000", "a=fmtp:98 profile-id=2", "a=rtpmap:96 VP8/90000"), encode.VP8},
		"both profiles of VP9":  {sdp(video, "a=rtpmap:98 VP9/90000", "a=fmtp:98 profile-id=2", "a=rtpmap:99 vp9/90000", "a=fmtp:99 profile-id=0"), encode.VP9},
		"VP8 in lower case":     {sdp(video, "a=rtpmap:96 vp8/90000"), encode.VP8},
		"nothing of ours":       {sdp(video, "a=rtpmap:100 H264/90000"), ""},
		"sound only":            {sdp("m=audio 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 VP8/90000"), ""},
		"not SDP":               {webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: "\x00"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := ChooseCodec(c.offer)
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestTrackRefusesAnotherCodec(t *testing.T) {
	track, err := NewTrack(encode.VP9, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	if track.WriteFrame(Frame{Codec: encode.AV1, Data: []byte{1}}) == nil {
		t.Error("a frame of another codec was sent")
	}
	if err := track.WriteFrame(Frame{Codec: encode.VP9, Data: []byte{1}}); err != nil {
		t.Errorf("before it is bound: %v", err)
	}
	if _, err := NewTrack("H261", "a", "b"); err == nil {
		t.Error("a track of an unknown codec")
	}
}

// Whatever a picture costs beyond what the model thought, no more is sent than
// the link takes, and where there is room the quantizer is fine.
func TestRateLearns(t *testing.T) {
	const target = 4_000_000
	for _, c := range []encode.Codec{encode.AV1, encode.VP9, encode.VP8} {
		for _, cost := range []float64{0.05, 1, 5, 25} {
			t.Run(fmt.Sprint(c, cost), func(t *testing.T) {
				r, truth := newRate(c), newRate(c)
				began := time.Unix(0, 0)
				now := began
				r.setTarget(now, target)
				sent, q := 0, 0
				for range 200 {
					if next := r.free(now); next.After(now) {
						now = next
					}
					q = r.change(now, 10_000, 1, false, 33*time.Millisecond)
					bits := int(truth.bits(classChange, 10_000*cost, q))
					sent += bits
					r.sent(now, bits)
					r.learn(classChange, 10_000, q, bits)
					now = now.Add(33 * time.Millisecond)
				}
				if rate := float64(sent) / now.Sub(began).Seconds(); rate > 1.1*target {
					t.Errorf("%.0f bits per second on a link of %d", rate, target)
				}
				if fine := truth.bits(classChange, 10_000*cost, 24) < target/40; fine && q != 24 {
					t.Errorf("quantizer %d though the link has room", q)
				}
			})
		}
	}
}
