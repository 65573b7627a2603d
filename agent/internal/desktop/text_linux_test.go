package desktop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oriel/agent/internal/desktop/xvfbtest"
)

// openX opens the desktop under test on s.
func openX(t testing.TB, s *xvfbtest.Server) *x11 {
	t.Helper()
	d, err := Open(Options{Display: s.Display})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { d.Close() })
	return d.(*x11)
}

// eventually polls until ok says so.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 15 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// catTerminal is an xterm in which cat writes what is typed to a file.
type catTerminal struct{ file string }

var terminals int

func startCat(t testing.TB, s *xvfbtest.Server) *catTerminal {
	t.Helper()
	c := &catTerminal{file: filepath.Join(t.TempDir(), "typed")}
	terminals++
	title := fmt.Sprintf("cat%d", terminals)
	s.Command("xterm", "-u8", "-title", title, "-geometry", "100x30+0+0", "-e",
		"sh", "-c", "stty -echo -icanon min 1 time 0 -icrnl -ixon -isig -iexten; touch "+c.file+"; exec cat > "+c.file)
	id := s.Window(title)
	s.Run("xdotool", "windowfocus", "--sync", id)
	eventually(t, "cat runs", func() bool { _, err := os.Stat(c.file); return err == nil })
	return c
}

// expect waits until exactly want was typed since the last call.
func (c *catTerminal) expect(t testing.TB, want string) {
	t.Helper()
	want = strings.ReplaceAll(want, "\n", "\r")
	var got string
	deadline := time.Now().Add(20 * time.Second)
	for {
		b, _ := os.ReadFile(c.file)
		got = string(b)
		if len(got) >= len(want) || time.Now().After(deadline) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if got != want {
		t.Fatalf("typed\n%q\narrived as\n%q", want, got)
	}
	os.Truncate(c.file, 0)
}

func TestSmokeText(t *testing.T) {
	s := xvfbtest.Start(t, xvfbtest.Options{Layout: "us"})
	d := openX(t, s)
	c := startCat(t, s)
	var all string
	for _, text := range []string{"Hello, World!\n", "äöüß ÄÖÜ €", "привет мир ЁЖ", "漢字仮名交じり文日本語", "😀👍🏽🇩🇪", strings.Repeat("añ漢😀", 100)} {
		t0 := time.Now()
		if err := d.Text(text); err != nil {
			t.Fatal(err)
		}
		t.Log(len([]rune(text)), time.Since(t0))
		all += text
		c2 := *c
		_ = c2
		deadline := time.Now().Add(5 * time.Second)
		want := strings.ReplaceAll(all, "\n", "\r")
		for {
			b, _ := os.ReadFile(c.file)
			if string(b) == want {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("want %q got %q", want, b)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}
