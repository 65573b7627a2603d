//go:build cgo

package stream

import (
	"image"
	"testing"
	"time"

	"oriel/agent/internal/encode"
)

// BenchmarkStream is from the change of a picture to the frame in the sink, at
// 1080p: reading, converting and encoding, of the frame that shows the change, in
// 4:2:0, in 4:4:4 where the codec has it, and with the presets that differ.
func BenchmarkStream(b *testing.B) {
	for _, kind := range []struct {
		name   string
		codec  encode.Codec
		format encode.Format
		preset Preset
	}{
		{"AV1", encode.AV1, encode.I420, Balanced},
		{"AV1-speed", encode.AV1, encode.I420, Speed},
		{"AV1-sharp", encode.AV1, encode.I444, Sharp},
		{"VP9", encode.VP9, encode.I420, Balanced},
		{"VP9-speed", encode.VP9, encode.I420, Speed},
		{"VP9-sharp", encode.VP9, encode.I444, Sharp},
		{"VP8", encode.VP8, encode.I420, Balanced},
	} {
		for _, script := range []struct {
			name   string
			change func(*script, int)
		}{
			{"typing", func(d *script, _ int) { d.key() }},
			{"scrolling", func(d *script, _ int) { d.scroll(18) }},
			{"video", func(d *script, i int) { d.video(image.Rect(320, 180, 1600, 900), i) }},
		} {
			b.Run(kind.name+"/"+script.name, func(b *testing.B) {
				d := newScript(image.Pt(1920, 1080))
				s := New(d, kind.codec, Options{Format: kind.format, FPS: 1000})
				defer s.Close()
				frames := make(chan Frame, 64)
				sub, err := s.Subscribe(sinkFunc(func(f Frame) error { frames <- f; return nil }))
				if err != nil {
					b.Fatal(err)
				}
				defer sub.Close()
				sub.Prefer(kind.preset, 0)
				sub.SetTarget(MaxTarget)
				<-frames
				var bits, n int
				var captured, converted, encoded, whole time.Duration
				for i := 0; b.Loop(); i++ {
					b.StopTimer()
					at := time.Now()
					script.change(d, i)
					drawn := time.Now()
					b.StartTimer()
					for f := range frames {
						bits += 8 * len(f.Data)
						if !f.At.Before(at) && f.Captured > 0 {
							captured += f.Captured
							converted += f.Converted
							encoded += f.Encoded
							whole += time.Since(drawn)
							n++
							break
						}
					}
				}
				per := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) / 1000 }
				b.ReportMetric(per(captured), "capture-ms")
				b.ReportMetric(per(converted), "convert-ms")
				b.ReportMetric(per(encoded), "encode-ms")
				b.ReportMetric(per(whole), "ms/frame")
				b.ReportMetric(float64(bits)/float64(n)/1000, "kbit/frame")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
