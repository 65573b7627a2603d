//go:build cgo

package session

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/channel"
	orielv1 "oriel/protocol/oriel/v1"
)

const (
	viewing  = orielv1.Scope_SCOPE_VIEW
	typing   = orielv1.Scope_SCOPE_CONTROL
	terminal = orielv1.Scope_SCOPE_TERMINAL
	files    = orielv1.Scope_SCOPE_FILES_READ
)

// kind is a channel for tests; serve is echo where it is nil.
type kind struct {
	label  string
	scopes []orielv1.Scope
	serve  func(context.Context, *channel.Conn) error
	runs   atomic.Int32 // Serve that has not returned
}

func (k *kind) Label() string           { return k.label }
func (k *kind) Scopes() []orielv1.Scope { return k.scopes }

func (k *kind) Serve(ctx context.Context, c *channel.Conn) error {
	k.runs.Add(1)
	defer k.runs.Add(-1)
	if k.serve != nil {
		return k.serve(ctx, c)
	}
	for {
		b, err := c.Read()
		if err != nil {
			return err
		}
		if err := c.Write(b); err != nil {
			return err
		}
	}
}

// line is a channel as the viewer has it.
type line struct {
	t  testing.TB
	dc *webrtc.DataChannel

	mu     sync.Mutex
	got    [][]byte
	end    *orielv1.ChannelEnd
	after  int // messages that came after the end
	closed bool
}

func (v *viewer) dial(label string) *line { return v.dialAs(label, nil) }

func (v *viewer) dialAs(label string, change func(*webrtc.DataChannelInit)) *line {
	v.t.Helper()
	protocol, ordered := channelProtocol, true
	init := &webrtc.DataChannelInit{Protocol: &protocol, Ordered: &ordered}
	if change != nil {
		change(init)
	}
	dc, err := v.pc.CreateDataChannel(label, init)
	if err != nil {
		v.t.Fatal(err)
	}
	l := &line{t: v.t, dc: dc}
	v.listen(dc, l.take, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.closed = true
	})
	return l
}

// take keeps what the agent sent.
func (l *line) take(b []byte, text bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end != nil {
		l.after++
	}
	if !text {
		l.got = append(l.got, bytes.Clone(b))
		return
	}
	l.end = &orielv1.ChannelEnd{}
	raw, err := base64.StdEncoding.DecodeString(string(b))
	if err == nil {
		err = orielv1.Decode(raw, l.end)
	}
	if err != nil {
		l.t.Errorf("%q is no end of a channel: %v", b, err)
	}
}

func (l *line) send(b []byte) {
	l.t.Helper()
	eventually(l.t, "the channel is open", func() bool { return l.dc.ReadyState() == webrtc.DataChannelStateOpen })
	if err := l.dc.Send(b); err != nil {
		l.t.Fatal(err)
	}
}

// echoes reports whether what is sent comes back.
func (l *line) echoes(b []byte) {
	l.t.Helper()
	l.mu.Lock()
	before := len(l.got)
	l.mu.Unlock()
	l.send(b)
	eventually(l.t, "an echo", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.got) > before
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := l.got[before]; !bytes.Equal(got, b) {
		l.t.Errorf("%d bytes for %d", len(got), len(b))
	}
}

// heard reports whether that came, and nothing else.
func (l *line) heard(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.got) == 1 && string(l.got[0]) == what
}

func (l *line) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// ends waits for the close and compares the reason; zero: none was given.
func (l *line) ends(code orielv1.Code, scope orielv1.Scope) {
	l.t.Helper()
	eventually(l.t, "the channel is closed", l.isClosed)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end.GetCode() != code || l.end.GetScope() != scope || (code != 0) != (l.end.GetDetail() != "") || l.after > 0 {
		l.t.Errorf("ended with %v and %d messages after it, expected %v %v", l.end, l.after, code, scope)
	}
}

func (l *line) close() {
	l.t.Helper()
	if err := l.dc.Close(); err != nil {
		l.t.Fatal(err)
	}
	eventually(l.t, "the channel is closed", l.isClosed)
}

// streams is how many channels the agent counts, and how many of them are of kinds.
func (r *rig) streams() (all, kinds int) {
	c := &r.host.session("s1").current().channels
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams, len(c.serving)
}

// Rule: a channel opens where the grant has its scopes, all of them, and is shut with a
// reason where not; the session goes on either way.
func TestChannelOpensByScope(t *testing.T) {
	shell := &kind{label: "terminal", scopes: []orielv1.Scope{terminal, typing}}
	r := start(t, Options{Channels: []channel.Channel{shell}}, on(newFakeDesktop(t)))
	v := r.ready(look{scopes: []orielv1.Scope{viewing, typing, terminal, files}})
	ready := v.last(func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil }).GetReady()
	if got := ready.GetScopes(); len(got) != 3 || got[2] != terminal {
		t.Errorf("in force: %v", got)
	}
	l := v.dial("terminal")
	for _, n := range []int{0, 1, channel.MaxMessage} {
		l.echoes(bytes.Repeat([]byte{7}, n))
	}
	l.close()
	eventually(t, "its Serve has returned", func() bool { return shell.runs.Load() == 0 })
	for _, have := range [][]orielv1.Scope{{viewing}, {viewing, typing}, {viewing, terminal}} {
		v = r.ready(look{scopes: have, attempt: v.attempt + 1})
		lacks := terminal
		if len(have) == 2 && have[1] == terminal {
			lacks = typing
		}
		v.dial("terminal").ends(orielv1.Code_CODE_SCOPE, lacks)
		v.sync()
	}
	if shell.runs.Load() != 0 {
		t.Error("it was served without its scopes")
	}
}

// Rule: a channel ends when one of its scopes is taken away, whatever it is doing; other
// channels go on.
func TestChannelEndsWithItsScope(t *testing.T) {
	free := make(chan struct{})
	stuck := &kind{label: "stuck", scopes: []orielv1.Scope{terminal},
		serve: func(context.Context, *channel.Conn) error { <-free; return nil }}
	shell := &kind{label: "terminal", scopes: []orielv1.Scope{terminal}}
	copying := &kind{label: "files", scopes: []orielv1.Scope{files}}
	r := start(t, Options{Channels: []channel.Channel{stuck, shell, copying}}, on(newFakeDesktop(t)))
	defer close(free)
	v := r.ready(look{scopes: []orielv1.Scope{viewing, typing, terminal, files}})
	a, b, c := v.dial("stuck"), v.dial("terminal"), v.dial("files")
	a.send([]byte("x"))
	b.echoes([]byte("x"))
	c.echoes([]byte("x"))
	eventually(t, "all are served", func() bool { return stuck.runs.Load() == 1 })
	peer := r.host.session("s1").current()
	peer.grant([]orielv1.Scope{viewing, files})
	a.ends(orielv1.Code_CODE_SCOPE, terminal)
	b.ends(orielv1.Code_CODE_SCOPE, terminal)
	c.echoes([]byte("y"))
	v.dial("terminal").ends(orielv1.Code_CODE_SCOPE, terminal)
	peer.grant([]orielv1.Scope{viewing, files, terminal})
	v.dial("terminal").echoes([]byte("z"))
}

// Rule: what no agent knows, or what may lose data, is shut with a reason and costs
// nothing, whatever its label is.
func FuzzChannelLabel(f *testing.F) {
	f.Add("", "oriel.v1", false)
	f.Add("terminal", "oriel.v1", true)
	f.Add("terminal", "", false)
	f.Add("Terminal", "oriel.v1", false)
	f.Add("terminal\x00", "oriel.v1", false)
	f.Add("control", "oriel.v1", false)
	f.Add("pointer", "oriel.v1", true)
	f.Add("../../etc/passwd", "oriel.v1", false)
	f.Add("\xff\xfe\n%s<script>", "\r\n", false)
	f.Add(strings.Repeat("terminal", 500), "oriel.v1", false)
	shell := &kind{label: "terminal"}
	r := start(f, Options{Channels: []channel.Channel{shell}}, on(newFakeDesktop(f)))
	v := r.ready(look{})
	f.Fuzz(func(t *testing.T, label, protocol string, lossy bool) {
		if len(label)+len(protocol) > 8000 {
			return // pion reads no longer opening, and takes no more channels then
		}
		v.t = t
		l := v.dialAs(label, func(i *webrtc.DataChannelInit) {
			i.Protocol = &protocol
			if lossy {
				i.MaxRetransmits = new(uint16)
			}
		})
		switch {
		case label != "terminal" || protocol != channelProtocol:
			l.ends(orielv1.Code_CODE_UNIMPLEMENTED, 0)
		case lossy:
			l.ends(orielv1.Code_CODE_INVALID, 0)
		default:
			l.echoes([]byte(label))
			l.close()
		}
		v.sync()
		if r.ended("s1") != nil {
			t.Fatal(r.ended("s1"))
		}
	})
}

// Rule: the bound is on channels that are open, not on those that ever were.
func TestBoundOnOpenChannels(t *testing.T) {
	shell := &kind{label: "terminal"}
	r := start(t, Options{Channels: []channel.Channel{shell}}, on(newFakeDesktop(t)))
	v := r.ready(look{})
	v.move(1, 1)
	eventually(t, "the session's own are open", func() bool { all, _ := r.streams(); return all == 2 })

	var open []*line
	for range maxChannels {
		l := v.dial("terminal")
		l.echoes([]byte("x"))
		open = append(open, l)
	}
	v.dial("terminal").ends(orielv1.Code_CODE_BUSY, 0)
	open[3].close()
	eventually(t, "there is a place", func() bool { _, n := r.streams(); return n == maxChannels-1 })
	open[3] = v.dial("terminal")
	open[3].echoes([]byte("y"))
	v.dial("terminal").ends(orielv1.Code_CODE_BUSY, 0)

	for ever := len(open); ever < 1000; ever += maxChannels {
		for _, l := range open {
			_ = l.dc.Close()
		}
		eventually(t, "all places are free", func() bool { _, n := r.streams(); return n == 0 })
		for i := range open {
			l := v.dial("terminal")
			l.send([]byte("z"))
			open[i] = l
		}
		eventually(t, "all echo", func() bool {
			return !slices.ContainsFunc(open, func(l *line) bool { return !l.heard("z") })
		})
	}
	for _, l := range open {
		l.close()
	}
	eventually(t, "nothing is left", func() bool {
		all, kinds := r.streams()
		return all == 2 && kinds == 0 && shell.runs.Load() == 0
	})
	v.sync()
	for _, kept := range r.host.session("s1").current().pc.GetStats() {
		if s, ok := kept.(webrtc.DataChannelStats); ok {
			t.Errorf("pion keeps %q, %v", s.Label, s.State)
		}
	}
}

// Rule: a viewer that sends more than a channel takes loses that channel, and nothing
// else waits for it meanwhile.
func TestFloodedChannelEndsAlone(t *testing.T) {
	deaf := &kind{label: "deaf", serve: func(ctx context.Context, _ *channel.Conn) error { <-ctx.Done(); return nil }}
	shell := &kind{label: "terminal"}
	r := start(t, Options{Channels: []channel.Channel{deaf, shell}}, on(newFakeDesktop(t)))
	v := r.ready(look{})
	l, other := v.dial("deaf"), v.dial("terminal")
	other.echoes([]byte("before"))
	eventually(t, "the channel is open", func() bool { return l.dc.ReadyState() == webrtc.DataChannelStateOpen })
	b := make([]byte, 16<<10)
	for sent := 0; sent < 8<<20 && !l.isClosed(); sent += len(b) {
		eventually(t, "room for more", func() bool { return l.dc.BufferedAmount() < 1<<20 || l.isClosed() })
		_ = l.dc.Send(b) // fails once the agent has closed it
	}
	l.ends(orielv1.Code_CODE_BUSY, 0)
	other.echoes([]byte("after"))
	v.sync()
	if r.ended("s1") != nil {
		t.Error(r.ended("s1"))
	}
}

// Rule: a channel that pours waits for the viewer, has a bounded amount under way, and
// leaves room for control.
func TestPouringChannelWaits(t *testing.T) {
	pour := &kind{label: "pour", serve: func(_ context.Context, c *channel.Conn) error {
		for {
			if err := c.Write(make([]byte, 16<<10)); err != nil {
				return err
			}
		}
	}}
	r := start(t, Options{Channels: []channel.Channel{pour}, timing: timing{lost: 300 * time.Millisecond}}, on(newFakeDesktop(t)))
	v := r.ready(look{})
	var amount func() uint64
	v.dial("pour")
	l := v.dial("pour")
	eventually(t, "plenty has come", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.got) > 200
	})
	v.sync()
	l.close()
	eventually(t, "its Serve has returned", func() bool { return pour.runs.Load() == 1 })

	// And where the viewer takes nothing any more.
	peer := r.host.session("s1").current()
	c := &peer.channels
	c.mu.Lock()
	for o := range c.serving {
		amount = o.dc.BufferedAmount
	}
	c.mu.Unlock()
	if err := v.pc.SCTP().Transport().ICETransport().Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it waits", func() bool { return amount() > channel.MaxRoom/2 })
	if n := amount(); n > channel.MaxRoom {
		t.Errorf("%d bytes under way", n)
	}
	r.expectEnd("s1", orielv1.EndReason_END_REASON_NETWORK, orielv1.Code_CODE_UNAVAILABLE)
	eventually(t, "its Serve has returned", func() bool { return pour.runs.Load() == 0 })
}

// Rule: a channel that fails ends alone, and the viewer learns as much as it should.
func TestFailingChannelEndsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(context.Context, *channel.Conn) error
		code  orielv1.Code
	}{
		"done":  {func(context.Context, *channel.Conn) error { return nil }, 0},
		"panic": {func(context.Context, *channel.Conn) error { panic("oh") }, orielv1.Code_CODE_INTERNAL},
		"error": {func(context.Context, *channel.Conn) error { return errors.New("open /root/secret: no") }, orielv1.Code_CODE_INTERNAL},
		"fault": {func(context.Context, *channel.Conn) error {
			return &channel.Fault{Code: orielv1.Code_CODE_NOT_FOUND, Detail: "there is no \xff such file" + strings.Repeat("é", 2000)}
		}, orielv1.Code_CODE_NOT_FOUND},
	} {
		t.Run(name, func(t *testing.T) {
			k := &kind{label: "k", serve: c.serve}
			r := start(t, Options{Channels: []channel.Channel{k}}, on(newFakeDesktop(t)))
			v := r.ready(look{})
			l := v.dial("k")
			l.ends(c.code, 0)
			if strings.Contains(l.end.GetDetail(), "secret") {
				t.Errorf("the viewer is told %q", l.end.GetDetail())
			}
			v.sync()
		})
	}
}

// Rule: no channel outlives its peer connection, however that ends.
func TestChannelsEndWithTheirConnection(t *testing.T) {
	for name, out := range map[string]func(*rig, *viewer){
		"leave":     func(_ *rig, v *viewer) { v.leave() },
		"replaced":  func(r *rig, _ *viewer) { r.ready(look{attempt: 2}) },
		"abandoned": func(_ *rig, v *viewer) { v.close() },
		"host":      func(r *rig, _ *viewer) { r.host.Close(orielv1.EndReason_END_REASON_AGENT_STOPPED) },
	} {
		t.Run(name, func(t *testing.T) {
			shell := &kind{label: "terminal"}
			r := start(t, Options{Channels: []channel.Channel{shell}, timing: timing{lost: 300 * time.Millisecond}}, on(newFakeDesktop(t)))
			v := r.ready(look{})
			for range 5 {
				v.dial("terminal").echoes([]byte("x"))
			}
			out(r, v)
			eventually(t, "every Serve has returned", func() bool { return shell.runs.Load() == 0 })
		})
	}
}

// Rule: no two kinds have one label, and none takes one of the session's own.
func TestRegistryRefusesLabels(t *testing.T) {
	for _, labels := range [][]string{{""}, {"control"}, {"pointer"}, {"again"}, {"a", "a"}, {strings.Repeat("a", maxLabel+1)}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q were taken", labels)
				}
			}()
			var all []channel.Channel
			for _, l := range labels {
				all = append(all, &kind{label: l})
			}
			newRegistry(all)
		}()
	}
}

// Rule: a channel has a place, and counts, only once it is open: one that never opens
// holds nobody's.
func TestAChannelThatDoesNotOpenHasNoPlace(t *testing.T) {
	r := start(t, Options{Channels: []channel.Channel{&kind{label: "files", scopes: []orielv1.Scope{files}}}}, on(newFakeDesktop(t)))
	r.ready(look{scopes: []orielv1.Scope{viewing, files}})
	eventually(t, "the session's own are open", func() bool { all, _ := r.streams(); return all == 2 })
	elsewhere, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = elsewhere.Close() }()
	protocol := channelProtocol
	dc, err := elsewhere.CreateDataChannel("files", &webrtc.DataChannelInit{Protocol: &protocol})
	if err != nil {
		t.Fatal(err)
	}
	r.host.session("s1").current().channel(dc)
	if all, kinds := r.streams(); all != 2 || kinds != 0 {
		t.Errorf("%d channels, %d of kinds", all, kinds)
	}
}

// Rule: a viewer may have as many channels open as the console's contract says.
func TestAsManyChannelsAsTheViewerOpens(t *testing.T) {
	b, err := os.ReadFile("../../../protocol/testdata/channels.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct{ MaxChannels int }
	if err := json.Unmarshal(b, &want); err != nil || want.MaxChannels != maxChannels {
		t.Errorf("%d, want %d (%v)", maxChannels, want.MaxChannels, err)
	}
}
