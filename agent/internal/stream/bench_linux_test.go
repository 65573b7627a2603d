//go:build cgo

package stream

import (
	"image"
	"syscall"
	"testing"
	"time"
)

// BenchmarkCaps is the processor time of the whole process for each change of a 1080p
// screen that changes 30 times a second, by the caps of those who watch it (0: none),
// and what the first of them gets: AV1, 4:2:0, Balanced. "nobody" is what the drawing
// takes. Milliseconds, on two cores of an Intel Xeon that other work kept busy, and
// therefore by the same loop in virtual time, in which no picture waits for a core:
//
//	caps        typing  scrolling  video
//	nobody           0          1      3
//	0                6         15     31
//	0,0              6         14     34
//	0,5              8         20     40
//	0,15            10         25     57
//	0,5,10,15       12         34     66
func BenchmarkCaps(b *testing.B) {
	for _, script := range []struct {
		name   string
		change func(*script, int)
	}{
		{"typing", func(d *script, _ int) { d.key() }},
		{"scrolling", func(d *script, _ int) { d.scroll(18) }},
		{"video", func(d *script, i int) { d.video(image.Rect(320, 180, 960, 540), i) }},
	} {
		for _, viewers := range []struct {
			name string
			caps []int
		}{
			{"nobody", nil}, {"0", []int{0}}, {"0,0", []int{0, 0}}, {"0,5", []int{0, 5}}, {"0,15", []int{0, 15}}, {"0,5,10,15", []int{0, 5, 10, 15}},
		} {
			b.Run(script.name+"/"+viewers.name, func(b *testing.B) {
				d, h := newScript(image.Pt(1920, 1080)), NewHub(Options{})
				first := &counter{}
				for i, fps := range viewers.caps {
					got := &counter{}
					if i == 0 {
						got = first
					}
					defer join(b, h, d, fps, got).Close()
				}
				time.Sleep(2 * time.Second) // until the picture stands, and is exact
				before := first.frames()
				tick := time.NewTicker(time.Second / 30)
				defer tick.Stop()
				start, spent := time.Now(), processor(b)
				for i := 0; b.Loop(); i++ {
					<-tick.C
					script.change(d, i)
				}
				took := time.Since(start).Seconds()
				b.ReportMetric(float64(first.frames()-before)/took, "pictures/s")
				b.ReportMetric((processor(b)-spent).Seconds()*1000/float64(b.N), "ms/change")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// processor is how long the process had one.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
