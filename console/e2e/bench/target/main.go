// Command target is what is on the computer's screen while `make bench-peers`
// measures: pictures that are known to the last pixel and that tell a viewer
// by themselves which picture it sees and when it was drawn.
//
// That is told by a code: two rows of 24 cells of 16×16 pixels, black for 0 and
// white for 1, from the left, the first row first:
//
//	16 bits  counter: of presses, or of pictures
//	20 bits  Unix milliseconds of the drawing, modulo 2^20
//	12 bits  check of the two, see check()
//
// The content is 1280×720 pixels at 64,64. The head code lies in its upper left
// corner, the tail code, where the whole content changes at once, in its lower
// right one: a picture that shows the same counter in both is whole. The corner
// code, constant, lies in the lower right corner of the screen.
//
// Commands are lines on standard input, each answered by one line of JSON with
// the command's number. A screen that is too small for the content can do
// change, show and wipe only.
//
//	NR press              keys and clicks draw a coloured block and count the head code on
//	NR type               keys draw a letter and count the head code on
//	NR still              a page of text
//	NR scroll FIRST COUNT 30 pictures a second of the page going up, then it stands still; COUNT 0: no end
//	NR video FIRST COUNT  30 pictures a second of moving gradients with noise
//	NR window N           the whole screen at once is another page of text
//	NR wipe               the whole screen in one colour
//	NR change SEED FILE   makes a random change out of sight and writes its pixels (BGRX) to FILE
//	NR show               makes that change seen
//	NR truth KIND N FILE  writes the content (RGBX, without codes) of picture N of a kind to FILE
//	NR stats              what was counted since the last command that draws
//
// It ends with its standard input, and with the display.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

const perSecond = 30

// answer is one line to whoever gave the command; fields that say nothing are left out.
type answer struct {
	Nr      int     `json:"nr"`
	Error   string  `json:"error,omitempty"`
	At      float64 `json:"at,omitempty"` // Unix milliseconds of the drawing
	Rect    *rect   `json:"rect,omitempty"`
	Kind    string  `json:"kind,omitempty"`
	Presses int     `json:"presses"`
	Frames  int     `json:"frames"`
	Late    int     `json:"late"` // pictures drawn over 10 ms after their time
}

type target struct {
	*canvas

	mu      sync.Mutex // protects what follows, and the order of drawing
	mode    string
	run     int // a picture loop of an earlier run ends
	count   int // presses
	frames  int
	late    int
	changed rect // drawn by change, for show
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "target:", err)
		os.Exit(1)
	}
}

func run() error {
	conn, err := xgb.NewConn()
	if err != nil {
		return fmt.Errorf("open display: %w", err)
	}
	defer conn.Close()
	c, err := newCanvas(conn)
	if err != nil {
		return err
	}
	t := &target{canvas: c}
	gone := make(chan struct{})
	go t.events(gone)
	commands := make(chan string)
	go func() {
		defer close(commands)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			commands <- in.Text()
		}
	}()
	out := json.NewEncoder(os.Stdout)
	_ = out.Encode(answer{})
	for {
		select {
		case <-gone:
			return nil
		case line, more := <-commands:
			if !more {
				return nil
			}
			_ = out.Encode(t.command(strings.Fields(line)))
		}
	}
}

func (t *target) command(words []string) answer {
	words = append(words, "", "", "", "", "") // what is missing is empty
	nr, _ := strconv.Atoi(words[0])
	number := func(i int) int { n, _ := strconv.Atoi(words[i]); return n }
	t.mu.Lock()
	defer t.mu.Unlock()
	a := answer{Nr: nr}
	err := error(nil)
	switch verb := words[1]; verb {
	case "press", "type", "still", "window", "wipe":
		a.At = t.start(verb, number(2))
	case "scroll", "video":
		t.start(verb, 0)
		go t.play(verb, t.run, number(2), number(3))
	case "change":
		a.Kind, t.changed = t.change(number(2))
		a.Rect = &t.changed
		err = t.save(t.changed, words[3])
	case "show":
		a.At = t.show(t.changed)
	case "truth":
		err = os.WriteFile(words[4], truth(words[2], number(3)).Pix, 0o600)
	case "stats":
	default:
		err = fmt.Errorf("no command %q", verb)
	}
	if err != nil {
		a.Error = err.Error()
	}
	a.Presses, a.Frames, a.Late = t.count, t.frames, t.late
	return a
}

// start draws the first picture of a mode. mu is held.
func (t *target) start(mode string, n int) float64 {
	t.mode = mode
	t.run++
	t.count, t.frames, t.late = 0, 0, 0
	switch mode {
	case "wipe":
		t.fill(rect{W: t.width, H: t.height}, 0x405060)
		return t.show(rect{W: t.width, H: t.height})
	case "window":
		return t.window(n)
	}
	t.desk()
	t.fill(content, 0xffffff)
	switch mode {
	case "press":
		t.fill(block, 0x808080)
	case "still":
		t.text(0)
		t.code(0, head, tail)
		return t.show(rect{W: t.width, H: t.height})
	}
	t.code(0, head)
	return t.show(rect{W: t.width, H: t.height})
}

// play draws pictures first … first+count-1, one each 30th of a second, until another mode begins.
func (t *target) play(kind string, run, first, count int) {
	if kind == "video" {
		t.loadVideo()
	}
	next := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := first; count == 0 || n < first+count; n++ {
		<-timer.C
		t.mu.Lock()
		if t.run != run {
			t.mu.Unlock()
			return
		}
		if time.Since(next) > 10*time.Millisecond {
			t.late++
		}
		if kind == "video" {
			t.video(n)
		} else {
			t.text(scrolled(n))
		}
		t.frames++
		t.code(n, head, tail)
		t.show(content)
		t.mu.Unlock()
		next = next.Add(time.Second / perSecond)
		timer.Reset(time.Until(next))
	}
}

func (t *target) events(gone chan<- struct{}) {
	defer close(gone)
	for {
		ev, err := t.conn.WaitForEvent()
		if ev == nil && err == nil {
			return
		}
		switch ev.(type) {
		case xproto.KeyPressEvent, xproto.ButtonPressEvent:
			t.press()
		case xproto.MapNotifyEvent:
			xproto.SetInputFocus(t.conn, xproto.InputFocusParent, t.win, xproto.TimeCurrentTime)
		}
	}
}

func (t *target) press() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mode != "press" && t.mode != "type" {
		return
	}
	t.count++
	if t.mode == "press" {
		t.fill(block, colours[t.count%len(colours)])
		t.code(t.count, head)
		t.show(rect{content.X, content.Y, codeWidth, block.Y + block.H - content.Y})
		return
	}
	at := t.letter(t.count)
	t.show(at)
	t.code(t.count, head)
	t.show(head)
}
