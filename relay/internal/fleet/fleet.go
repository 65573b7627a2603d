// Package fleet is the computers: who may enroll and connect as one, what they
// last said of themselves, who is connected, and what a list shows of them.
//
// # Enrollment
//
// An agent proves that it holds a machine key (package hub checks that). A key
// that is known is its computer for ever; there is no other proof, so the same
// machine with a new key becomes a new computer, flagged as maybe the same one
// (its machine id) and never merged by the relay. A key that is not known
// needs an enrollment token (trust.Token): one use is counted together with the
// new computer's row, or neither. The relay keeps SHA-256 of its secret only.
//
// # Presence
//
// A connection is a row in the database, valid while its node's heartbeat is
// (NodeLifetime), by the database's clock. The newest connection of a computer
// counts; the node with an older one is told to close it. A node that starts
// clears what an earlier run of it left; every node buries those that died. A
// node that was buried alive (its database was out of reach for too long)
// notes its connections again. Of its own connections a node believes its
// memory, not the database: with a full disk nobody can note anything. What
// came and went meanwhile is noted when there is room again.
//
// # Two machines with one key
//
// Whoever proves a key while another run of the agent is connected with it, and
// that one answers a Prove (on whichever node it is), is a second machine and is
// not let in (Meet). The computer is marked, and nobody gets a session with it
// until a person says that they are two (Split: the one that is named gets a
// token for an identity of its own at its next greeting), that one of them is
// gone (Settle), or removes it. An agent that names no instance is only told
// apart from one that does.
//
// # Changes
//
// Every change is announced on the bus (fleet.changed) with the computers' ids and
// whose they are; who shows them looks them up again. Agents' text is bounded and made
// plain before it is kept.
//
// Whether a person may is asked of access by whoever speaks for one: the API,
// the hub's tabs, the broker. They name an organization with each computer (store.Ref),
// the person's own; one of another is as one that does not exist.
package fleet

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/blob"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/store"
)

// NodeLifetime is how long after its last heartbeat a node counts as alive.
const NodeLifetime = 12 * time.Second

// Errors that a caller can act on, besides store.ErrNotFound.
var (
	ErrUnauthorized = fault.New(fault.NotEnrolled, "this computer is not enrolled, and brings no enrollment token that is good; make a new token and enroll it")
	ErrBlocked      = fault.New(fault.Blocked, "this computer is blocked")
	ErrOffline      = fault.New(fault.Offline, "this computer is not connected")
	ErrNoAnswer     = fault.New(fault.NoAnswer, "the computer did not answer in time; try again")
	ErrAnswer       = fault.New(fault.Agent, "the computer could not do it; try again, or update its agent")
	ErrUnknownAsk   = fault.New(fault.Unimplemented, "the computer's agent does not know how to do this; update it")
	errRemoved      = fault.New(fault.Removed, "this computer was removed from the relay")
)

// MaxName is the length of a computer's name in bytes.
const MaxName = 256

// Options of New; all are needed but Log, Now and Lifetime.
type Options struct {
	Store    *store.Store
	Bus      *bus.Bus
	Blobs    *blob.Store
	RelayKey ed25519.PublicKey
	Node     string // of this relay process; the same after a restart
	Log      *slog.Logger
	Now      func() time.Time
	Lifetime time.Duration // of this node without a heartbeat; 0: NodeLifetime
}

// Fleet is the computers. Its methods may be called from any goroutine.
type Fleet struct {
	o   Options
	run string // of this node, told from earlier ones

	mu   sync.Mutex
	here map[store.Ref]connection   // protected by mu; connections to this node by computer
	gone map[store.Ref]int64        // protected by mu; when a connection ended that the database still has, by computer
	owed map[store.Ref][]*unwritten // protected by mu; what computers said and the disk had no room for
	full bool                       // protected by mu; the disk had no room for the last heartbeat
}

// New makes a Fleet of what is in the store.
func New(o Options) *Fleet {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Lifetime == 0 {
		o.Lifetime = NodeLifetime
	}
	return &Fleet{o: o, run: store.NodeRun(o.Node), here: make(map[store.Ref]connection),
		gone: make(map[store.Ref]int64), owed: make(map[store.Ref][]*unwritten)}
}

func (f *Fleet) now() int64 { return f.o.Now().UnixMilli() }

// of are the computers of the organization of one of them.
func (f *Fleet) of(c store.Ref) store.Computers { return f.o.Store.Computers(c.Organization) }

// Offered is in words what somebody may on a computer, which is in a group of that path.
type Offered func(computer, groupPath string) []string

// Get is one computer, as nobody in particular sees it. Errors: store.ErrNotFound.
func (f *Fleet) Get(ctx context.Context, c store.Ref) (*orielv1.Computer, error) {
	all, err := f.Lookup(ctx, c.Organization, store.Everything, nil, c.ID)
	if err == nil && len(all) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("computer %.64q: %w", c.ID, err)
	}
	return all[0], nil
}

// Lookup is those of an organization's visible computers with the given ids that exist, or all
// of them without any. Without may nothing is said of what somebody may there.
func (f *Fleet) Lookup(ctx context.Context, o store.OrganizationID, see store.Visibility, may Offered, ids ...string) ([]*orielv1.Computer, error) {
	rows, err := f.o.Store.Computers(o).List(ctx, see, ids...)
	if err != nil {
		return nil, fmt.Errorf("look up computers: %w", err)
	}
	return f.present(ctx, o, rows, may, ids...)
}

// Record is a computer's key and name, for those who speak to it.
type Record struct {
	store.Ref
	Name    string
	Key     ed25519.PublicKey
	Blocked bool

	Capabilities []orielv1.Capability // of its agent, as it last said
}

// Record of one computer. Errors: store.ErrNotFound.
func (f *Fleet) Record(ctx context.Context, c store.Ref) (Record, error) {
	row, err := f.of(c).Get(ctx, c.ID)
	if err != nil {
		return Record{}, fmt.Errorf("computer %.64q: %w", c.ID, err)
	}
	return record(row), nil
}

func record(row store.Computer) Record {
	return Record{Ref: row.Ref(), Name: row.DisplayName(), Key: row.MachineKey, Blocked: row.Blocked,
		Capabilities: orielv1.FromWords[orielv1.Capability](row.Capabilities)}
}

// Opening is what the opening of a session by a person has to know of a computer.
type Opening struct {
	Record
	Online   bool              // as far as this node and the database know
	KnownKey ed25519.PublicKey // as the person's account remembers it, which vouches for nothing; nil: it does not
	Running  int               // sessions of the person that count against one with this computer
	Policies bool              // its organization has some
}

// Opening of a session with one computer. Errors: store.ErrNotFound, ErrBlocked,
// ErrTwoMachines.
func (f *Fleet) Opening(ctx context.Context, c store.Ref, person string) (Opening, error) {
	row, err := f.of(c).Opening(ctx, c.ID, person)
	switch {
	case err != nil:
	case row.Blocked:
		err = ErrBlocked
	case row.TwoMachines:
		err = ErrTwoMachines
	}
	if err != nil {
		return Opening{}, fmt.Errorf("computer %.64q: %w", c.ID, err)
	}
	return Opening{Record: record(row.Computer), Online: f.online(row.Computer), KnownKey: row.KnownKey, Running: int(row.Running), Policies: row.Policies}, nil
}

// Rename gives a computer a name; an empty one gives the host name back.
// Errors: store.ErrNotFound.
func (f *Fleet) Rename(ctx context.Context, by audit.Actor, c store.Ref, name string) error {
	name = sanitize.Line(name, MaxName)
	if err := f.of(c).Rename(ctx, by.Did(audit.ComputerRenamed, "computer", c.ID, "name", name), c.ID, name); err != nil {
		return fmt.Errorf("rename computer: %w", err)
	}
	f.changed(c)
	return nil
}

// Block keeps a computer out, or lets it in again. Errors: store.ErrNotFound.
func (f *Fleet) Block(ctx context.Context, by audit.Actor, c store.Ref, blocked bool) error {
	what := audit.ComputerUnblocked
	if blocked {
		what = audit.ComputerBlocked
	}
	if err := f.of(c).Block(ctx, by.Did(what, "computer", c.ID), c.ID, blocked); err != nil {
		return fmt.Errorf("block computer: %w", err)
	}
	if blocked {
		f.drop(c.ID, ErrBlocked)
	}
	f.changed(c)
	return nil
}

// Remove forgets a computer; its agent is disconnected and needs a new token.
// Errors: store.ErrNotFound.
func (f *Fleet) Remove(ctx context.Context, by audit.Actor, c store.Ref) error {
	if err := f.of(c).Remove(ctx, by.Did(audit.ComputerRemoved, "computer", c.ID), c.ID); err != nil {
		return fmt.Errorf("remove computer: %w", err)
	}
	f.o.Log.Info("computer removed", "computer", c.ID)
	f.drop(c.ID, errRemoved)
	f.announce(&orielv1.BusFleetChanged{Removed: true}, c)
	if err := f.o.Blobs.Delete(ctx, previewKey(c.ID)); err != nil {
		f.o.Log.Warn("preview of a removed computer stays", "computer", c.ID, "err", err)
	}
	return nil
}

func (f *Fleet) drop(id string, why *fault.Fault) {
	f.toAgent(id, &orielv1.BusMessage{Body: &orielv1.BusMessage_AgentDrop{
		AgentDrop: &orielv1.BusAgentDrop{Code: why.Wire(), Detail: why.Error()}}})
}

func (f *Fleet) toAgent(id string, m *orielv1.BusMessage) {
	subject, err := bus.Agent(id)
	if err == nil {
		err = f.o.Bus.Publish(subject, m)
	}
	if err != nil {
		f.o.Log.Warn("agent's node not told", "computer", id, "err", err)
	}
}

func (f *Fleet) changed(all ...store.Ref) { f.announce(&orielv1.BusFleetChanged{}, all...) }

// announce says what became of computers.
func (f *Fleet) announce(what *orielv1.BusFleetChanged, all ...store.Ref) {
	const most = 1000 // as BusFleetChanged allows
	ids := map[store.OrganizationID][]string{}
	for _, c := range all {
		ids[c.Organization] = append(ids[c.Organization], c.ID)
	}
	for organization, ids := range ids {
		for some := range slices.Chunk(ids, most) {
			err := f.o.Bus.Publish(bus.FleetChanged, &orielv1.BusMessage{Body: &orielv1.BusMessage_FleetChanged{
				FleetChanged: &orielv1.BusFleetChanged{Organization: string(organization), ComputerIds: some, Removed: what.Removed, Picture: what.Picture}}})
			if err != nil {
				f.o.Log.Warn("change of the fleet not announced", "computers", len(some), "err", err)
			}
		}
	}
}
