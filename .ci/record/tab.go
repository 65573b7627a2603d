package main

import (
	"fmt"
	"sync"

	"github.com/pion/webrtc/v4"
	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/transcript"
	"oriel/protocol/wire"
)

// tab is a console's tab, as much of one as two sessions need.
type tab struct {
	conn *wire.Conn

	mu  sync.Mutex
	got []*orielv1.ToConsole // protected by mu
	pc  *webrtc.PeerConnection
	set bool                 // protected by mu; pc has its answer
	was []*orielv1.Candidate // protected by mu; came before it
}

func newTab(conn *wire.Conn) *tab {
	t := &tab{conn: conn}
	go func() {
		for {
			m := &orielv1.ToConsole{}
			if conn.Receive(m) != nil {
				return
			}
			t.mu.Lock()
			t.got = append(t.got, m)
			if c := m.GetCandidate(); c != nil {
				t.candidate(c)
			}
			t.mu.Unlock()
		}
	}()
	return t
}

// candidate takes one of the agent's; mu is held.
func (t *tab) candidate(c *orielv1.Candidate) {
	if !t.set {
		t.was = append(t.was, c)
	} else if c.GetCandidate() != "" {
		mid, line := c.GetSdpMid(), uint16(c.GetSdpMLineIndex())
		_ = t.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: c.GetCandidate(), SDPMid: &mid, SDPMLineIndex: &line})
	}
}

func (t *tab) say(m *orielv1.FromConsole) error { return t.conn.Send(m) }

func (t *tab) wait(what string, is func(*orielv1.ToConsole) bool) (found *orielv1.ToConsole, err error) {
	err = until(what, func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, m := range t.got {
			if is(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found, err
}

// sessions is all that is recorded of a tab.
func (t *tab) sessions(p *proxy) error {
	if err := t.say(&orielv1.FromConsole{Body: &orielv1.FromConsole_Watch{Watch: &orielv1.Watch{Computers: true, Journal: true,
		Topics: []orielv1.Topic{orielv1.Topic_TOPIC_COMPUTERS, orielv1.Topic_TOPIC_JOURNAL}}}}); err != nil {
		return err
	}
	var id string
	if _, err := t.wait("the computer is online", func(m *orielv1.ToConsole) bool {
		for _, c := range append(m.GetComputers().GetComputers(), m.GetComputer()) {
			if c.GetStatus() == orielv1.Computer_STATUS_ONLINE {
				id = c.GetId()
			}
		}
		return id != ""
	}); err != nil {
		return err
	}
	if err := t.say(&orielv1.FromConsole{Body: &orielv1.FromConsole_PrepareSession{PrepareSession: &orielv1.PrepareSession{ComputerId: id}}}); err != nil {
		return err
	}
	for i, name := range []string{transcript.Control, transcript.View} {
		if err := t.session(p, id, name, uint32(i+1)); err != nil {
			return fmt.Errorf("session %s: %w", name, err)
		}
	}
	return nil
}

// session opens one, types a little, and ends it.
func (t *tab) session(p *proxy, computer, name string, attempt uint32) error {
	var engine webrtc.SettingEngine
	engine.SetIncludeLoopbackCandidate(true)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	defer pc.GracefulClose()
	t.mu.Lock()
	t.pc, t.set, t.was = pc, false, nil
	t.mu.Unlock()

	said := make(map[string]bool)
	var mu sync.Mutex
	channels := make(map[string]*webrtc.DataChannel)
	protocol, no, none := "oriel.v1", false, uint16(0)
	for _, label := range []string{"control", "pointer", "again"} {
		init := &webrtc.DataChannelInit{Protocol: &protocol}
		if label != "control" {
			init.Ordered, init.MaxRetransmits = &no, &none
		}
		dc, err := pc.CreateDataChannel(label, init)
		if err != nil {
			return err
		}
		dc.OnMessage(func(raw webrtc.DataChannelMessage) {
			m := &orielv1.FromDesktop{}
			_ = proto.Unmarshal(raw.Data, m)
			f := transcript.Of("agent", label, m, raw.Data)
			p.keep(name, f)
			mu.Lock()
			said[f.Body] = true
			mu.Unlock()
		})
		channels[label] = dc
	}
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		return err
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	open := &orielv1.OpenSession{Attempt: attempt, ComputerId: computer, Mode: orielv1.Mode_MODE_CONTROL, Sdp: pc.LocalDescription().SDP,
		Wanted: []orielv1.Scope{orielv1.Scope_SCOPE_VIEW, orielv1.Scope_SCOPE_CONTROL}}
	if name == transcript.View { // in the words of before and of today
		open.Mode, open.Wanted = orielv1.Mode_MODE_VIEW, open.Wanted[:1]
	}
	if err := t.say(&orielv1.FromConsole{Body: &orielv1.FromConsole_OpenSession{OpenSession: open}}); err != nil {
		return err
	}
	// Before the answer, as browsers trickle: a last, empty one.
	if err := t.say(&orielv1.FromConsole{Body: &orielv1.FromConsole_Candidate{Candidate: &orielv1.Candidate{Attempt: attempt}}}); err != nil {
		return err
	}
	m, err := t.wait("answer", func(m *orielv1.ToConsole) bool { return m.GetAnswer().GetAttempt() == attempt })
	if err != nil {
		return err
	}
	answer := m.GetAnswer()
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.GetSdp()}); err != nil {
		return err
	}
	t.mu.Lock()
	t.set = true
	for _, c := range t.was {
		t.candidate(c)
	}
	t.mu.Unlock()
	hears := func(body string) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return said[body] }
	}
	if err := until("ready", hears("ready")); err != nil {
		return err
	}
	send := func(label string, m proto.Message) error {
		b, err := proto.Marshal(m)
		if err != nil {
			return err
		}
		p.keep(name, transcript.Of("tab", label, m, b))
		return channels[label].Send(b)
	}
	for _, m := range []*orielv1.ToDesktop{
		{Body: &orielv1.ToDesktop_Stream{Stream: &orielv1.StreamSettings{Preset: orielv1.Preset_PRESET_SHARP}}},
		{Body: &orielv1.ToDesktop_Ping{Ping: &orielv1.Ping{Id: 1}}},
		{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: 4, Down: true}}},
		{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: 4}}},
		{Body: &orielv1.ToDesktop_Button{Button: &orielv1.PointerButton{Button: 0, Down: true, X: 32768, Y: 32768, Seq: 1}}},
		{Body: &orielv1.ToDesktop_Button{Button: &orielv1.PointerButton{Button: 0, X: 32768, Y: 32768, Seq: 2}}},
		{Body: &orielv1.ToDesktop_Wheel{Wheel: &orielv1.Wheel{Dy: 120, X: 32768, Y: 32768}}},
		{Body: &orielv1.ToDesktop_Text{Text: &orielv1.Text{Text: "ä"}}},
		{Body: &orielv1.ToDesktop_Seen{Seen: &orielv1.Seen{Frames: 1, WaitUs: 3000, DecodeUs: 2000, ShownUs: 12000}}},
		{Body: &orielv1.ToDesktop_ReleaseAll{ReleaseAll: &orielv1.ReleaseAll{}}},
	} {
		if err := send("control", m); err != nil {
			return err
		}
	}
	if err := send("pointer", &orielv1.PointerMove{Seq: 3, X: 100, Y: 200}); err != nil {
		return err
	}
	wanted := []string{"pong", "stats"}
	if name == transcript.View {
		wanted = []string{"pong", "denied", "stats"}
	}
	for _, body := range wanted {
		if err := until(body, hears(body)); err != nil {
			return err
		}
	}
	id := answer.GetSessionId()
	if name == transcript.View {
		err = send("control", &orielv1.ToDesktop{Body: &orielv1.ToDesktop_Leave{Leave: &orielv1.Leave{}}})
	} else {
		err = t.say(&orielv1.FromConsole{Body: &orielv1.FromConsole_CloseSession{CloseSession: &orielv1.CloseSession{SessionId: id}}})
	}
	if err != nil {
		return err
	}
	_, err = t.wait("ended", func(m *orielv1.ToConsole) bool { return m.GetSessionEnded().GetSessionId() == id })
	return err
}
