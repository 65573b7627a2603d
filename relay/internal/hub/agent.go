package hub

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/protocol/wire"
	"oriel/relay/internal/broker"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/store"
)

// Faults that agents are told.
var (
	errUnnamed    = fault.New(fault.Unnamed, "say who you are")
	errNoHello    = fault.New(fault.NoHello, "the first message must be hello")
	errTooOld     = fault.New(fault.TooOld, "this agent is too old for this relay; update it")
	errOtherHello = fault.New(fault.OtherHello, "hello names another key or nonce than the request")
	errUnproved   = fault.New(fault.Unproved, "the machine key is not proved; if a proxy opens the TLS connection between here and the relay, take it out of the way")
	errToken      = fault.New(fault.UnprovedPass, "the enrollment token is not proved")
	errRenew      = fault.New(fault.NewIdentity, "this machine is to have an identity of its own")
	errUnreached  = fault.New(fault.Unreached, "the computer's connection was lost before it answered")
	errAgentBusy  = fault.New(fault.AgentBusy, "the computer has much to do; try again")
)

// Agent is the handler of /agent/v1.
func (h *Hub) Agent() http.Handler { return http.HandlerFunc(h.serveAgent) }

func (h *Hub) serveAgent(w http.ResponseWriter, r *http.Request) {
	who, err := trust.ParseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		h.refuse(w, errUnnamed.Saying(err.Error()))
		return
	}
	member := trust.ReadMembership(r.Header.Get, h.o.RelayKey, who.Key)
	if h.isDraining() {
		h.refuse(w, errDraining)
		return
	}
	from := h.o.Access.Client(r)
	greeting, g, greeted := h.greet(r.Context(), who.Key, from.IP())
	if g == nil {
		h.refuse(w, errGaveWay)
		return
	}
	defer greeted()
	ctx, cancel := context.WithTimeout(greeting, dbWithin)
	err = h.o.Fleet.Authenticate(ctx, who.Key, who.Token, member)
	cancel()
	if r.Context().Err() != nil {
		return // gone
	}
	if greeting.Err() != nil {
		err = context.Cause(greeting)
	}
	if err != nil {
		h.refuse(w, err)
		return
	}
	conn, err := wire.Upgrade(w, r, h.o.Wire)
	if err != nil {
		return // answered
	}
	defer conn.Close()
	leave, ok := h.enter(conn)
	if !ok {
		_ = conn.CloseWith(wire.CloseGoingAway, "the relay is shutting down; connect again")
		return
	}
	defer leave()
	a := &agent{h: h, conn: conn, id: store.NewID(), address: from.Address, asks: make(map[uint64]func(orielv1.Code, string))}
	hello, err := a.greet(greeting, g, who, member)
	greeted()
	if err != nil {
		h.o.Log.Info("agent not taken in", "address", a.address, "err", err)
		return
	}
	place := h.socket(from.IP(), conn)
	if !place.Decide() {
		_ = conn.CloseWith(wire.CloseTryAgain, errNoPlaces.Error())
		return
	}
	defer place.Leave()
	a.serve(r.Context(), hello)
}

// agent is one agent's connection.
type agent struct {
	h       *Hub
	conn    *wire.Conn
	id      string // of the connection
	address string
	fleet.Record
	keeps   bool                // policies; set before it is served
	begun   atomic.Bool         // it is known to be this computer's connection
	machine *orielv1.BusMachine // who is connected; set before the bus is listened to

	mu   sync.Mutex
	last uint64                                // protected by mu; the newest ask
	asks map[uint64]func(orielv1.Code, string) // protected by mu; what waits for an answer
	owed []func(context.Context) error         // protected by mu; see owe

	instructing sync.Mutex  // held while the agent is told a policy
	told        instruction // protected by instructing
}

// greet is Challenge, Hello, Welcome; or Refused, and an error.
func (a *agent) greet(ctx context.Context, g *greeting, who trust.Applicant, member trust.Membership) (*orielv1.Hello, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, greetWithin, errTooLong)
	defer cancel()
	// Not waiting for the writer: it may be what hangs.
	defer context.AfterFunc(ctx, func() {
		code := wire.CloseTryAgain
		if errors.Is(context.Cause(ctx), errTooLong) {
			code = wire.ClosePolicy
		}
		_ = a.conn.CloseWith(code, context.Cause(ctx).Error())
	})()

	signed := trust.Hello{RelayNonce: make([]byte, 32), RelayKey: a.h.o.RelayKey}
	_, _ = rand.Read(signed.RelayNonce) // never fails
	bind := a.conn.TLS() != nil
	if bind {
		var err error
		if signed.Exporter, err = a.conn.TLS().ExportKeyingMaterial(trust.ExporterLabel, nil, 32); err != nil {
			return nil, fmt.Errorf("export keying material: %w", err)
		}
	}
	challenge := &orielv1.Challenge{Version: orielv1.Version, Nonce: signed.RelayNonce, RelayKey: signed.RelayKey, BindTls: bind, Rotations: a.h.o.Rotations}
	if who.Token != nil {
		// Who knows this relay by a token only proves nothing before it has.
		var err error
		signed.AgentNonce = who.Nonce
		if challenge.Signature, err = trust.SignChallenge(a.h.o.Signer, signed); err != nil {
			return nil, fmt.Errorf("sign challenge: %w", err)
		}
	}
	_ = a.conn.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Challenge{Challenge: challenge}})
	m := &orielv1.FromAgent{}
	if err := a.conn.Receive(m); err != nil {
		return nil, err
	}
	hello := m.GetHello()
	switch {
	case hello == nil:
		return nil, a.refuse(errNoHello)
	case hello.GetVersion() < 1:
		return nil, a.refuse(errTooOld)
	case !bytes.Equal(hello.GetMachineKey(), who.Key), len(hello.GetNonce()) < 16, who.Token != nil && !bytes.Equal(hello.GetNonce(), who.Nonce):
		return nil, a.refuse(errOtherHello)
	}
	signed.AgentNonce = hello.GetNonce()
	if trust.VerifyHello(who.Key, signed, hello.GetSignature()) != nil {
		return nil, a.refuse(errUnproved)
	}
	if who.Token != nil && trust.VerifyEnrollment(who.Token, signed, who.Key, hello.GetEnrollment()) != nil {
		return nil, a.refuse(errToken)
	}
	if !g.proved() { // what is slow from here is the relay
		return nil, errGaveWay
	}
	a.machine = fleet.MachineOf(hello, a.address)
	a.knowsPolicies(hello)
	if err := a.meet(ctx, who.Key, hello); err != nil {
		return nil, err
	}
	record, enrolled, err := a.h.o.Fleet.Admit(ctx, hello, who.Token, member, a.address)
	if err != nil {
		return nil, a.refuse(err)
	}
	a.Record = record
	now := a.h.o.Now()
	signature, err := trust.SignWelcome(a.h.o.Signer, hello.GetNonce(), a.ID, now)
	if err != nil {
		return nil, fmt.Errorf("sign welcome: %w", err)
	}
	if member, err = trust.SignMembership(a.h.o.Signer, who.Key, a.ID, ""); err != nil {
		return nil, fmt.Errorf("sign membership: %w", err)
	}
	of, err := trust.SignMembership(a.h.o.Signer, who.Key, a.ID, string(a.Organization))
	if err != nil {
		return nil, fmt.Errorf("sign membership: %w", err)
	}
	welcome := &orielv1.Welcome{ComputerId: a.ID, Signature: signature, Now: now.UnixMilli(), Relays: a.h.o.Relays(), Address: a.address,
		Settings: &orielv1.Settings{PreviewSeconds: a.h.o.PreviewSeconds}, Enrolled: enrolled, Membership: member.Signature,
		Organization: of.Organization, OrganizationMembership: of.Signature}
	if a.h.o.Succession != nil {
		welcome.SuccessionKey = a.h.o.Succession
		if welcome.SuccessionSignature, err = trust.SignSuccession(a.h.o.Signer, hello.GetNonce(), a.h.o.Succession); err != nil {
			return nil, fmt.Errorf("sign the succession key: %w", err)
		}
	}
	return hello, a.conn.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Welcome{Welcome: welcome}})
}

// meet refuses a second machine with one key. To the one that is to have its own
// identity it says so.
func (a *agent) meet(ctx context.Context, key ed25519.PublicKey, hello *orielv1.Hello) error {
	token, err := a.h.o.Fleet.Meet(ctx, hello, a.address)
	if err != nil {
		return a.refuse(err)
	}
	if token == "" {
		return nil
	}
	signature, err := trust.SignNewIdentity(a.h.o.Signer, key, hello.GetNonce(), token)
	if err != nil {
		return fmt.Errorf("sign new identity: %w", err)
	}
	return a.refused(&orielv1.Refused{Code: errRenew.Wire(), Detail: errRenew.Error(),
		NewIdentity: &orielv1.NewIdentity{Token: token, Signature: signature}})
}

// refuse tells the agent why it is not taken in.
func (a *agent) refuse(err error) error {
	why := fault.Of(err)
	if why == fault.ErrInternal {
		a.h.o.Log.Error("agent not taken in", "err", err)
	}
	return a.refused(&orielv1.Refused{Code: why.Wire(), Detail: why.Error(), Final: why.Final()})
}

func (a *agent) refused(r *orielv1.Refused) error {
	_ = a.conn.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Refused{Refused: r}})
	_ = a.conn.CloseWith(wire.ClosePolicy, "refused")
	return fmt.Errorf("refused: %s", r.GetDetail())
}

// serve is the life of a greeted agent.
func (a *agent) serve(ctx context.Context, hello *orielv1.Hello) {
	h := a.h
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	subject, err := bus.Agent(a.ID)
	if err != nil {
		h.o.Log.Error("agent", "err", err)
		return
	}
	sub, err := h.o.Bus.Subscribe(subject, func(m *orielv1.BusMessage, reply bus.Reply) { a.fromBus(m, reply) })
	if err != nil {
		h.o.Log.Error("agent", "computer", a.ID, "err", err)
		_ = a.conn.CloseWith(wire.CloseTryAgain, "the relay is not ready; try again")
		return
	}
	h.mu.Lock()
	h.agents[a] = true
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.agents, a)
		h.mu.Unlock()
		sub.Close()
		a.forgetAsks()
		if broke(a.conn.Err()) {
			h.o.Broker.AgentLost(a.ID)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbWithin)
		defer cancel()
		if err := h.o.Fleet.Disconnected(ctx, a.Ref, a.id); err != nil {
			h.o.Log.Warn("agent", "computer", a.ID, "err", err)
		}
		h.o.Log.Info("agent gone", "computer", a.ID, "why", reason(a.conn.Err()))
	}()
	if err := a.begin(ctx, hello); err != nil {
		h.o.Log.Error("agent", "computer", a.ID, "err", err)
		_ = a.conn.CloseWith(wire.CloseTryAgain, "the relay is not ready; try again")
		return
	}
	h.o.Log.Info("agent connected", "computer", a.ID, "address", a.address)
	limit := rate.NewLimiter(AgentRate, burst)
	previews := rate.NewLimiter(rate.Every(5*time.Second), 3)
	for {
		m := &orielv1.FromAgent{}
		if a.conn.Receive(m) != nil {
			return
		}
		if !limit.Allow() {
			_ = a.conn.CloseWith(wire.ClosePolicy, "too many messages")
			return
		}
		if m.GetPreview() != nil && !previews.Allow() {
			continue
		}
		if err := a.dispatch(ctx, m); err != nil {
			h.o.Log.Warn("from agent", "computer", a.ID, "err", err)
		}
	}
}

func (a *agent) begin(life context.Context, hello *orielv1.Hello) error {
	ctx, cancel := context.WithTimeout(life, dbWithin)
	defer cancel()
	if s := hello.GetStatus(); s != nil {
		if err := a.h.o.Fleet.SaveStatus(ctx, a.Ref, s); err != nil {
			return err
		}
	}
	if err := a.instruct(ctx); err != nil {
		return err
	}
	if err := a.h.o.Fleet.Connected(ctx, a.Ref, a.id); err != nil {
		return err
	}
	a.begun.Store(true)
	a.replaced() // a newer one may have said so before it counted here
	at := a.h.o.Now()
	settle := func(ctx context.Context) error {
		return a.h.o.Broker.AgentConnected(ctx, a.Ref, hello.GetSessions(), at)
	}
	err := settle(ctx)
	if store.DiskFull(err) {
		a.owe(life, settle)
		return nil
	}
	return err
}

// What waits for room on the disk: how much of one agent at most, and how
// often it is tried.
const (
	maxOwed  = 1024
	oweEvery = 5 * time.Second
)

// owe has fn run when the full disk that it met has room again, after whatever
// is owed already, unless the connection ends before; then the agent says all
// of it anew.
func (a *agent) owe(ctx context.Context, fn func(context.Context) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.owed) == maxOwed {
		return
	}
	if a.owed = append(a.owed, fn); len(a.owed) == 1 {
		a.h.wait.Go(func() { a.settle(ctx) })
	}
}

func (a *agent) settle(ctx context.Context) {
	tick := time.NewTicker(oweEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for {
			a.mu.Lock()
			fn := a.owed[0]
			a.mu.Unlock()
			within, cancel := context.WithTimeout(ctx, dbWithin)
			err := fn(within)
			cancel()
			if store.DiskFull(err) {
				break
			}
			if err != nil && ctx.Err() == nil {
				a.h.o.Log.Warn("agent", "computer", a.ID, "err", err)
			}
			a.mu.Lock()
			a.owed = a.owed[1:]
			done := len(a.owed) == 0
			a.mu.Unlock()
			if done {
				return
			}
		}
	}
}

// dispatch hands a message to the room it is for.
func (a *agent) dispatch(life context.Context, m *orielv1.FromAgent) error {
	ctx, cancel := context.WithTimeout(life, dbWithin)
	defer cancel()
	var err error
	code, detail := orielv1.Code_CODE_UNSPECIFIED, ""
	switch body := m.GetBody().(type) {
	case *orielv1.FromAgent_Inventory:
		if err = a.h.o.Fleet.SaveInventory(ctx, a.Ref, body.Inventory); err != nil {
			why := fault.Of(err)
			code, detail = why.Wire(), why.Error()
		}
	case *orielv1.FromAgent_Preview:
		err = a.h.o.Fleet.SavePreview(ctx, a.Ref, body.Preview)
	case *orielv1.FromAgent_Status:
		err = a.h.o.Fleet.SaveStatus(ctx, a.Ref, body.Status)
	case *orielv1.FromAgent_Fault:
		code, detail = body.Fault.GetCode(), body.Fault.GetDetail()
		if code == orielv1.Code_CODE_UNSPECIFIED {
			code = fault.ErrInternal.Wire()
		}
	case *orielv1.FromAgent_AskClock:
		err = a.tellTime(body.AskClock.GetNonce())
	case nil, *orielv1.FromAgent_Hello: // newer than this relay, or out of place
	default:
		err = a.h.o.Broker.FromAgent(ctx, a.Ref, m, a.send)
		if m.GetSessionEnded() != nil && store.DiskFull(err) { // said once a connection
			a.owe(life, func(ctx context.Context) error { return a.h.o.Broker.FromAgent(ctx, a.Ref, m, a.send) })
		}
	}
	a.answered(m.GetReplyTo(), code, detail)
	return err
}

// tellTime answers an agent's ping.
func (a *agent) tellTime(nonce []byte) error {
	now := a.h.o.Now()
	signature, err := trust.SignClock(a.h.o.Signer, nonce, a.ID, now)
	if err != nil {
		return fmt.Errorf("sign the time: %w", err)
	}
	a.send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Clock{Clock: &orielv1.Clock{Nonce: nonce, Now: now.UnixMilli(), Signature: signature}}})
	return nil
}

func (a *agent) send(m *orielv1.ToAgent) { _ = a.conn.Send(m) }

// fromBus takes what other rooms and nodes have for this agent.
func (a *agent) fromBus(m *orielv1.BusMessage, reply bus.Reply) {
	switch body := m.GetBody().(type) {
	case *orielv1.BusMessage_Ask:
		a.ask(body.Ask, func(code orielv1.Code, detail string) {
			reply(&orielv1.BusMessage{Body: &orielv1.BusMessage_Receipt{Receipt: &orielv1.BusReceipt{Code: code, Detail: detail}}})
		})
	case *orielv1.BusMessage_Prove:
		a.prove(body.Prove.GetInstance(), reply)
	case *orielv1.BusMessage_AgentReplaced:
		if body.AgentReplaced.GetConnection() != a.id && a.begun.Load() {
			a.h.wait.Go(a.replaced)
		}
	case *orielv1.BusMessage_AgentDrop:
		a.h.wait.Go(func() { a.drop(body.AgentDrop) })
	}
}

// prove answers with this machine if it is another run of the agent than the one
// that greets, and alive.
func (a *agent) prove(instance []byte, reply bus.Reply) {
	if bytes.Equal(instance, a.machine.GetInstance()) {
		reply(&orielv1.BusMessage{Body: &orielv1.BusMessage_Receipt{Receipt: &orielv1.BusReceipt{}}})
		return
	}
	var once sync.Once
	answer := func(code orielv1.Code) {
		once.Do(func() {
			m := &orielv1.BusMessage{Body: &orielv1.BusMessage_Machine{Machine: a.machine}}
			if code == orielv1.Code_CODE_UNAVAILABLE || code == orielv1.Code_CODE_BUSY { // it did not answer itself
				m.Body = &orielv1.BusMessage_Receipt{Receipt: &orielv1.BusReceipt{Code: code}}
			}
			reply(m)
		})
	}
	late := time.AfterFunc(fleet.ProveWithin, func() { answer(errUnreached.Wire()) })
	a.ask(&orielv1.BusAsk{Wait: true, Message: &orielv1.ToAgent{Body: &orielv1.ToAgent_Prove{Prove: &orielv1.Prove{}}}},
		func(code orielv1.Code, _ string) { late.Stop(); answer(code) })
}

// replaced closes this connection if the computer has a newer one. The word on
// the bus may be that of an older one, which was slow: the database knows.
func (a *agent) replaced() {
	ctx, cancel := context.WithTimeout(context.Background(), dbWithin)
	defer cancel()
	if yes, err := a.h.o.Fleet.Replaced(ctx, a.Ref, a.id); err != nil {
		a.h.o.Log.Warn("agent", "computer", a.ID, "err", err)
	} else if yes {
		_ = a.conn.CloseWith(wire.CloseSuperseded, "this computer connected anew")
	}
}

// drop disconnects a computer that was removed or blocked, or to tell it something
// at its next greeting.
func (a *agent) drop(d *orielv1.BusAgentDrop) {
	ctx, cancel := context.WithTimeout(context.Background(), dbWithin)
	defer cancel()
	final := d.GetCode() != orielv1.Code_CODE_TWO_MACHINES
	why := broker.ErrGone.Wire()
	if !final {
		why = orielv1.Code_CODE_UNSPECIFIED
	}
	if err := a.h.o.Broker.EndComputer(ctx, a.Ref, why, d.GetDetail(), a.send); err != nil {
		a.h.o.Log.Warn("sessions of a computer that is dropped", "computer", a.ID, "err", err)
	}
	_ = a.refused(&orielv1.Refused{Code: d.GetCode(), Detail: d.GetDetail(), Final: final})
}

// maxAsks that wait for this agent's answer.
const maxAsks = 64

func (a *agent) ask(ask *orielv1.BusAsk, done func(orielv1.Code, string)) {
	switch {
	case a.conn.Err() != nil:
		done(errUnreached.Wire(), errUnreached.Error())
		return
	case ask.GetMessage() == nil:
		done(0, "")
		return
	case !ask.GetWait():
		a.sendAsked(ask.GetMessage(), done)
		return
	}
	a.mu.Lock()
	if len(a.asks) >= maxAsks {
		a.mu.Unlock()
		done(errAgentBusy.Wire(), errAgentBusy.Error())
		return
	}
	a.last++
	id := a.last
	late := time.AfterFunc(time.Minute, func() { a.answered(id, errUnreached.Wire(), errUnreached.Error()) })
	a.asks[id] = func(code orielv1.Code, detail string) { late.Stop(); done(code, detail) }
	a.mu.Unlock()
	m := proto.CloneOf(ask.GetMessage())
	m.Id = id
	if err := a.conn.Send(m); err != nil {
		a.answered(id, errUnreached.Wire(), errUnreached.Error())
	}
}

func (a *agent) sendAsked(m *orielv1.ToAgent, done func(orielv1.Code, string)) {
	if err := a.conn.Send(m); err != nil {
		done(errUnreached.Wire(), errUnreached.Error())
		return
	}
	done(0, "")
}

func (a *agent) answered(id uint64, code orielv1.Code, detail string) {
	a.mu.Lock()
	done := a.asks[id]
	delete(a.asks, id)
	a.mu.Unlock()
	if done != nil {
		done(code, detail)
	}
}

func (a *agent) forgetAsks() {
	a.mu.Lock()
	all := a.asks
	a.asks = make(map[uint64]func(orielv1.Code, string))
	a.mu.Unlock()
	for _, done := range all {
		done(errUnreached.Wire(), errUnreached.Error())
	}
}

// broke reports whether a connection ended although neither side closed it.
func broke(err error) bool {
	var closed *wire.CloseError
	return err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, wire.ErrClosed) && !errors.As(err, &closed)
}

// reason is why a connection ended, as a log may hold it.
func reason(err error) string {
	var closed *wire.CloseError
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return "closed"
	case errors.As(err, &closed):
		return fmt.Sprintf("closed (%d)", closed.Code) // its text is the peer's
	}
	return err.Error()
}
