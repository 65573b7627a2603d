package stream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/encode"
)

// format is a codec as it is named in SDP.
type format struct {
	codec   encode.Codec
	payload webrtc.PayloadType // and its retransmissions one above
	fmtp    string
}

// formats, best first. VP9 is profile 0 (4:2:0 in 8 bits), AV1 the main profile.
var formats = []format{
	{encode.AV1, 45, "level-idx=5;profile=0;tier=0"},
	{encode.VP9, 98, "profile-id=0"},
	{encode.VP8, 96, ""},
}

var feedback = []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}, {Type: "transport-cc"}}

func capability(c encode.Codec) webrtc.RTPCodecCapability {
	i := slices.IndexFunc(formats, func(f format) bool { return f.codec == c })
	return webrtc.RTPCodecCapability{MimeType: "video/" + string(c), ClockRate: clockRate, SDPFmtpLine: formats[i].fmtp, RTCPFeedback: feedback}
}

// RegisterCodecs makes m speak the video codecs this build encodes, each with
// retransmission (RTX), and the playout-delay extension.
func RegisterCodecs(m *webrtc.MediaEngine) error {
	for _, f := range formats {
		if !slices.Contains(encode.Supported(), f.codec) {
			continue
		}
		for _, p := range []webrtc.RTPCodecParameters{
			{RTPCodecCapability: capability(f.codec), PayloadType: f.payload},
			{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeRTX, ClockRate: clockRate, SDPFmtpLine: "apt=" + strconv.Itoa(int(f.payload))}, PayloadType: f.payload + 1},
		} {
			if err := m.RegisterCodec(p, webrtc.RTPCodecTypeVideo); err != nil {
				return fmt.Errorf("register %s: %w", p.MimeType, err)
			}
		}
	}
	return m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: playoutDelayURI}, webrtc.RTPCodecTypeVideo)
}

// ChooseCodec picks the best codec that an offer can take: AV1 (main profile),
// VP9 (profile 0), VP8. Error: the offer has none of them.
func ChooseCodec(offer webrtc.SessionDescription) (encode.Codec, error) {
	sdp, err := offer.Unmarshal()
	if err != nil {
		return "", fmt.Errorf("read the offer: %w", err)
	}
	var names []string
	offered := map[encode.Codec]bool{}
	for _, media := range sdp.MediaDescriptions {
		if media.MediaName.Media != "video" {
			continue
		}
		mapped, fmtp := map[string]string{}, map[string]string{}
		for _, a := range media.Attributes {
			pt, value, _ := strings.Cut(a.Value, " ")
			switch a.Key {
			case "rtpmap":
				mapped[pt], _, _ = strings.Cut(strings.ToUpper(value), "/")
			case "fmtp":
				fmtp[pt] = value
			}
		}
		for pt, name := range mapped {
			names = append(names, name)
			switch name {
			case "AV1":
				offered[encode.AV1] = offered[encode.AV1] || parameter(fmtp[pt], "profile", "0") == "0"
			case "VP9":
				offered[encode.VP9] = offered[encode.VP9] || parameter(fmtp[pt], "profile-id", "0") == "0"
			case "VP8":
				offered[encode.VP8] = true
			}
		}
	}
	for _, c := range encode.Supported() {
		if offered[c] {
			return c, nil
		}
	}
	slices.Sort(names)
	return "", fmt.Errorf("no codec in common: the viewer offers %.200q, this agent has %v; use a current browser", slices.Compact(names), encode.Supported())
}

// parameter reads one of "a=1;b=2".
func parameter(fmtp, name, missing string) string {
	for p := range strings.SplitSeq(fmtp, ";") {
		if k, v, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return missing
}

// Feedback reads what the peer says about a Track's sender until it is closed, as
// pion wants, and calls lost when the viewer needs a key frame. It blocks.
func Feedback(sender *webrtc.RTPSender, lost func()) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		if t, ok := sender.Track().(*Track); ok && t.hear(packets) {
			lost()
		}
	}
}

// NewAPI makes what ONE peer connection with a Track needs: codecs, header
// extensions, NACK and RTX, RTCP reports, transport-wide feedback and the
// congestion estimate, which starts at start bits per second (0: DefaultTarget).
func NewAPI(settings webrtc.SettingEngine, start int) (*webrtc.API, *Congestion, error) {
	return newAPI(settings, start)
}

// newAPI puts wire between everything else and the network.
func newAPI(settings webrtc.SettingEngine, start int, wire ...interceptor.Factory) (*webrtc.API, *Congestion, error) {
	if start < 1 {
		start = DefaultTarget
	}
	media := &webrtc.MediaEngine{}
	if err := RegisterCodecs(media); err != nil {
		return nil, nil, err
	}
	registry := &interceptor.Registry{}
	for _, w := range wire {
		registry.Add(w)
	}
	congestion := newCongestion(start)
	inboxes(&settings.BufferFactory, congestion.hear)
	// The first is nearest to the wire: the estimate must see the numbers that
	// the feedback extension gives, also on packets that are sent again.
	registry.Add(congestion)
	if err := webrtc.ConfigureTWCCHeaderExtensionSender(media, registry); err != nil {
		return nil, nil, fmt.Errorf("transport-wide feedback: %w", err)
	}
	if err := webrtc.ConfigureRTCPReports(registry); err != nil {
		return nil, nil, fmt.Errorf("RTCP reports: %w", err)
	}
	responder, err := nack.NewResponderInterceptor(nack.ResponderSize(2048))
	if err != nil {
		return nil, nil, fmt.Errorf("retransmission: %w", err)
	}
	registry.Add(&resend{room: congestion.room})
	registry.Add(responder)
	return webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(settings)), congestion, nil
}
