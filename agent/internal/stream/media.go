package stream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	rtcpreport "github.com/pion/interceptor/pkg/report"
	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/encode"
)

// payload is a codec in one format as it is named in SDP.
type payload struct {
	codec   encode.Codec
	format  encode.Format
	number  webrtc.PayloadType // and its retransmissions one above
	fmtp    string
	profile string // in fmtp; "" where the codec has none
}

// payloads, best codec first: 4:2:0 and 4:4:4 in 8 bits are two profiles of AV1
// (main, high) and of VP9.
var payloads = []payload{
	{encode.AV1, encode.I420, 45, "level-idx=5;profile=0;tier=0", "0"},
	{encode.AV1, encode.I444, 47, "level-idx=5;profile=1;tier=0", "1"},
	{encode.VP9, encode.I420, 98, "profile-id=0", "0"},
	{encode.VP9, encode.I444, 100, "profile-id=1", "1"},
	{encode.VP8, encode.I420, 96, "", ""},
}

// payloadOf is which of ours a name and an fmtp line of SDP are; nil: none.
// Without a profile it is 0.
func payloadOf(name, fmtp string) *payload {
	parameter := map[string]string{"AV1": "profile", "VP9": "profile-id"}[strings.ToUpper(name)]
	i := slices.IndexFunc(payloads, func(p payload) bool {
		return strings.EqualFold(string(p.codec), name) && (p.profile == "" || p.profile == value(fmtp, parameter, "0"))
	})
	if i < 0 {
		return nil
	}
	return &payloads[i]
}

var feedback = []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}, {Type: "transport-cc"}}

func (p payload) capability() webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{MimeType: "video/" + string(p.codec), ClockRate: clockRate, SDPFmtpLine: p.fmtp, RTCPFeedback: feedback}
}

// RegisterCodecs makes m speak the video codecs this build encodes, in 4:2:0 and
// where it can in 4:4:4, each with retransmission (RTX), FEC (fec.go), and the
// playout-delay extension.
func RegisterCodecs(m *webrtc.MediaEngine) error {
	for _, f := range payloads {
		if !slices.Contains(encode.Supported(), f.codec) {
			continue
		}
		for _, p := range []webrtc.RTPCodecParameters{
			{RTPCodecCapability: f.capability(), PayloadType: f.number},
			{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeRTX, ClockRate: clockRate, SDPFmtpLine: "apt=" + strconv.Itoa(int(f.number))}, PayloadType: f.number + 1},
		} {
			if err := m.RegisterCodec(p, webrtc.RTPCodecTypeVideo); err != nil {
				return fmt.Errorf("register %s: %w", p.MimeType, err)
			}
		}
	}
	fec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeFlexFEC03, ClockRate: clockRate, SDPFmtpLine: fecRepairWindow}
	if err := m.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: fec, PayloadType: fecPayloadType}, webrtc.RTPCodecTypeVideo); err != nil {
		return fmt.Errorf("register %s: %w", fec.MimeType, err)
	}
	return m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: playoutDelayURI}, webrtc.RTPCodecTypeVideo)
}

// ChooseCodec picks the best codec that an offer can take in 4:2:0: AV1 (main
// profile), VP9 (profile 0), VP8. full is whether it can take 4:4:4 of that codec
// as well (AV1 high profile, VP9 profile 1). Error: the offer has none of them.
func ChooseCodec(offer webrtc.SessionDescription) (codec encode.Codec, full bool, err error) {
	sdp, err := offer.Unmarshal()
	if err != nil {
		return "", false, fmt.Errorf("read the offer: %w", err)
	}
	var names []string
	offered := map[payload]bool{}
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
			if p := payloadOf(name, fmtp[pt]); p != nil {
				offered[*p] = true
			}
		}
	}
	for _, c := range encode.Supported() {
		formats := map[encode.Format]bool{}
		for p := range offered {
			formats[p.format] = formats[p.format] || p.codec == c
		}
		if formats[encode.I420] {
			return c, formats[encode.I444], nil
		}
	}
	slices.Sort(names)
	return "", false, fmt.Errorf("no codec in common: the viewer offers %.200q, this agent has %v; use a current browser", slices.Compact(names), encode.Supported())
}

// value reads one of "a=1;b=2".
func value(fmtp, name, missing string) string {
	for p := range strings.SplitSeq(fmtp, ";") {
		if k, v, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return missing
}

// # Key frames
//
// The first picture of a stream, one for a viewer who joins, one for a PLI, one
// for a new size: no others. The first must fit the link: it may take a sixth of
// a second of it, is soft (encode.Params.Soft) when it would be much larger, by the
// model before it is encoded or by what came out, and is refined after. Where the link is
// not known it is soft unless it fits for sure: to find out costs as long as the picture. Requests
// are merged and answered at once when the last key frame is long past, else when
// it has had the time to arrive; an answer to a loss is at most half the size of
// what was lost. A browser also asks for one when it has seen nothing for three
// seconds; Feedback answers that only where something did get lost (delivery.go),
// or an idle screen would be sent for ever, and on a slow link become soft again.
// Before anything came it asks for nothing: then Track does.

// Feedback reads what the peer says about a Track's sender until it is closed, as
// pion wants, and calls lost when the viewer needs a key frame, or says nothing. It blocks.
func Feedback(sender *webrtc.RTPSender, lost func()) {
	if t, ok := sender.Track().(*Track); ok {
		t.onLost(lost)
		defer t.onLost(nil)
	}
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		if t, ok := sender.Track().(*Track); ok && t.onRTCP(packets) {
			lost()
		}
	}
}

// NewAPI makes what ONE peer connection needs that sends track (nil: none):
// codecs, header extensions, NACK and RTX, RTCP reports, transport-wide feedback
// and the congestion estimate.
func NewAPI(settings webrtc.SettingEngine, track *Track) (*webrtc.API, *Congestion, error) {
	return newAPI(settings, track)
}

// reportEvery is longer than pion's second: each report is two thirds of what an idle
// session sends in a second, RFC 3550 (§6.2) asks for one in five, and nobody waits for it.
const reportEvery = 5 * time.Second

// newAPI puts wire between everything else and the network.
func newAPI(settings webrtc.SettingEngine, track *Track, wire ...interceptor.Factory) (*webrtc.API, *Congestion, error) {
	media := &webrtc.MediaEngine{}
	if err := RegisterCodecs(media); err != nil {
		return nil, nil, err
	}
	registry := &interceptor.Registry{}
	for _, w := range wire {
		registry.Add(w)
	}
	congestion := newCongestion(track)
	setRTCPBuffers(&settings.BufferFactory, congestion.onFeedback)
	// The first is nearest to the wire: the estimate must see the numbers that
	// the feedback extension gives, also on packets that are sent again.
	registry.Add(congestion)
	if err := webrtc.ConfigureTWCCHeaderExtensionSender(media, registry); err != nil {
		return nil, nil, fmt.Errorf("transport-wide feedback: %w", err)
	}
	// We take no media, so there is nothing to report about; what we say of ours is for
	// playing sound beside it.
	reports, err := rtcpreport.NewSenderInterceptor(rtcpreport.SenderInterval(reportEvery))
	if err != nil {
		return nil, nil, fmt.Errorf("RTCP reports: %w", err)
	}
	registry.Add(reports)
	responder, err := nack.NewResponderInterceptor(nack.ResponderSize(rtxHistory))
	if err != nil {
		return nil, nil, fmt.Errorf("retransmission: %w", err)
	}
	registry.Add(&rtxGate{allow: congestion.allowRTX, track: track})
	registry.Add(&rtxResponder{responder, track})
	return webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(settings)), congestion, nil
}
