//go:build linux

package desktop

import (
	"syscall"
	"testing"
	"time"

	"oriel/agent/internal/desktop/xvfbtest"
)

// A program that does not come to its events for a while must still find every
// code bound to what it was pressed for.
func TestTextWaitsForALateProgram(t *testing.T) {
	const text = "天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏閏餘成歲律呂調陽雲騰致雨露結為霜"
	late := func(t *testing.T, d *x11, pid int) {
		t.Helper()
		syscall.Kill(pid, syscall.SIGSTOP)
		defer syscall.Kill(pid, syscall.SIGCONT)
		typed := make(chan error, 1)
		go func() { typed <- d.Text(text) }()
		since := time.Now()
		eventually(t, "more time than programs get that we know nothing of", func() bool { return time.Since(since) > 5*reuseAfter })
		select {
		case err := <-typed:
			t.Errorf("it was not waited for (%v)", err)
		default:
		}
		syscall.Kill(pid, syscall.SIGCONT)
		if err := <-typed; err != nil {
			t.Fatal(err)
		}
	}
	t.Run("that answers pings", func(t *testing.T) {
		s := xvfbtest.Start(t, xvfbtest.Options{Layout: "us", Openbox: true})
		d := openX(t, s)
		p := startChromium(t, s, "0")
		late(t, d, p.pid)
		if d.input.text.pinger.serial == 0 {
			t.Error("it was not asked")
		}
		p.expect(t, text)
	})
	t.Run("that does not", func(t *testing.T) {
		t.Parallel()
		s := xvfbtest.Start(t, xvfbtest.Options{Layout: "us"})
		d := openX(t, s)
		c := startTerminal(t, s)
		late(t, d, c.pid)
		c.expect(t, text)
	})
}
