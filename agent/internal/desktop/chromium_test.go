//go:build linux

package desktop

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"oriel/agent/internal/desktop/xvfbtest"
)

// typedPage reports what its text area holds, after every key and input. Pause
// empties it, and tells whether there ever was something to be emptied.
const typedPage = `<!doctype html><meta charset=utf-8><title>typed page</title>
<textarea id=t autofocus style="width:95vw;height:80vh"></textarea>
<script>
const codes = []
let tried = false
t.addEventListener('keydown', e => {
  if (e.code === 'Pause') { tried ||= t.value !== ''; t.value = ''; codes.length = 0 }
  if (e.code) codes.push(e.code)
  send()
})
t.addEventListener('input', e => {
  if (BUSY) { const until = performance.now() + BUSY; while (performance.now() < until); }
  send()
})
let sending = false, again = false
async function send() {
  if (sending) { again = true; return }
  sending = true
  do { again = false; await fetch('/typed', {method: 'POST', body: t.value + '\u0001' + codes.join(' ') + '\u0001' + tried}) } while (again)
  sending = false
}
t.focus(); send()
</script>`

// page is a Chromium on a display that shows typedPage.
type page struct {
	pid         int
	mu          sync.Mutex
	text, codes string
	tried       bool // it takes text, and is empty again
	loaded      bool
}

func (p *page) get() (text, codes string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text, p.codes
}

func (p *page) isTried() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tried
}

func (p *page) isLoaded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.loaded
}

func startChromium(t *testing.T, s *xvfbtest.Server, busy string) *page {
	t.Helper()
	p := new(page)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(w, strings.ReplaceAll(typedPage, "BUSY", busy))
			return
		}
		b, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		p.mu.Lock()
		defer p.mu.Unlock()
		said := strings.Split(string(b), "\x01")
		p.text, p.codes, p.tried = said[0], said[1], said[2] == "true"
		p.loaded = true
	}))
	t.Cleanup(web.Close)
	cmd := s.Command("chromium", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--ozone-platform=x11", "--disable-dev-shm-usage", "--window-position=0,0", "--window-size=900,700",
		"--user-data-dir="+t.TempDir()+"/profile", "--app="+web.URL)
	p.pid = cmd.Process.Pid
	s.Run("xdotool", "windowfocus", "--sync", s.Window("typed page"))
	eventually(t, "the page is loaded", p.isLoaded)
	// A page that just came up hears keys before Chromium's process with the
	// keyboard knows that a text area has the focus, and a character between the
	// two is lost, whoever types it.
	eventually(t, "the page takes text", func() bool {
		s.Run("xdotool", "key", "x", "Pause")
		return p.isTried()
	})
	// Everything before has come when this has.
	s.Run("xdotool", "key", "Pause", "Scroll_Lock")
	eventually(t, "the page is empty", func() bool { _, codes := p.get(); return strings.HasSuffix(codes, "Pause ScrollLock") })
	return p
}

func (p *page) expect(t *testing.T, want string) {
	t.Helper()
	defer func() {
		if text, _ := p.get(); t.Failed() && text != want {
			t.Logf("typed\n%q\narrived as\n%q", want, text)
		}
	}()
	eventually(t, "the text has arrived", func() bool { text, _ := p.get(); return len(text) >= len(want) })
	if got, _ := p.get(); got != want {
		t.Fatalf("typed\n%q\narrived as\n%q", want, got)
	}
}

func TestTextInChromium(t *testing.T) {
	for name, busy := range map[string]string{"idle page": "0", "busy page": "15"} {
		t.Run(name, func(t *testing.T) {
			s := xvfbtest.Start(t, xvfbtest.Options{Layout: "de", Openbox: true})
			d := openX(t, s)
			p := startChromium(t, s, busy)
			var all string
			for _, text := range []string{
				"Hello, Wörld! @€~", "привет, мир ЁЖ ", "漢字仮名交じり文 한국어 ", "😀👍🏽🇩🇪 mixed: aбв漢😀 ñé\n",
				"天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏閏餘成歲律呂調陽雲騰致雨露結為霜金生麗水玉出崑岡劍號巨闕珠稱夜光",
			} {
				if err := d.Text(text); err != nil {
					t.Fatal(err)
				}
				all += text
				p.expect(t, all)
			}
			strokes(t, d, "1c 64 34 S1f")
			p.expect(t, all+"z<ä\"")
			if _, codes := p.get(); !strings.HasSuffix(codes, "KeyY IntlBackslash Quote ShiftLeft Digit2") {
				t.Errorf("codes %q", codes[max(0, len(codes)-80):])
			}
		})
	}
}
