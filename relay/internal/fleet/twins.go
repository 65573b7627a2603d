package fleet

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
	"oriel/protocol/trust"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/store"
)

// ErrTwoMachines: another machine is connected with this computer's key.
var ErrTwoMachines = fault.New(fault.TwoMachines, "two machines use this computer's identity; the computer's page in the console says what to do")

const (
	// ProveWithin is how long an agent has to show that it is alive.
	ProveWithin = 2 * time.Second
	// renewWithin is how long the token for an identity of its own is good.
	renewWithin = time.Hour
)

// MachineOf is who greets, made plain.
func MachineOf(hello *orielv1.Hello, address string) *orielv1.BusMachine {
	return &orielv1.BusMachine{Instance: hello.GetInstance(), Fingerprint: hello.GetFingerprint(),
		HostName: sanitize.Line(hello.GetSummary().GetHostName(), 256), Address: sanitize.Line(address, 64)}
}

func machineRow(m *orielv1.BusMachine) store.Machine {
	return store.Machine{Instance: hex.EncodeToString(m.GetInstance()), Fingerprint: hex.EncodeToString(m.GetFingerprint()),
		HostName: m.GetHostName(), Address: m.GetAddress()}
}

// Meet looks whether a machine that has proved a computer's key is the one that
// has it. token is not empty when it is to make an identity of its own and to
// enroll with that; nobody else is told so. Errors: ErrTwoMachines when another
// one is connected and alive.
func (f *Fleet) Meet(ctx context.Context, hello *orielv1.Hello, address string) (token string, err error) {
	row, err := f.o.Store.Agents().ByKey(ctx, hello.GetMachineKey())
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Blocked {
		return "", nil // Admit says so
	}
	if err != nil {
		return "", fmt.Errorf("look up machine key: %w", err)
	}
	all, err := f.of(row.Ref()).Twins(ctx, row.ID)
	if err != nil {
		return "", fmt.Errorf("look up twins: %w", err)
	}
	known, me := all[row.ID], machineRow(MachineOf(hello, address))
	if known.Renews != "" && known.Mark(me) == known.Renews {
		return f.renewal(ctx, row)
	}
	other, err := f.alive(ctx, row.ID, hello.GetInstance())
	if other == nil || err != nil {
		return "", err
	}
	now := store.Twins{ComputerID: row.ID, SeenAt: f.now(), First: machineRow(other), Second: me}
	if first, second := known.Marks(); known.Renews != "" {
		keeper := first
		if known.Renews == first {
			keeper = second
		}
		if known.Mark(now.First) == keeper {
			return f.renewal(ctx, row) // who meets the one that keeps it is the other one
		}
	}
	if err := f.of(row.Ref()).SaveTwins(ctx, now); err != nil {
		return "", fmt.Errorf("save twins: %w", err)
	}
	if known.ComputerID == "" {
		f.o.Log.Warn("two machines use one identity", "computer", row.ID, "first", now.First.Address, "second", now.Second.Address)
	}
	f.changed(row.Ref())
	return "", ErrTwoMachines
}

// alive is the machine that is connected with a computer's key and has just proved
// that it is alive; nil where there is none, or only an earlier connection of the
// same run of the agent.
func (f *Fleet) alive(ctx context.Context, computer string, instance []byte) (*orielv1.BusMachine, error) {
	subject, err := bus.Agent(computer)
	if err != nil {
		return nil, store.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, ProveWithin+time.Second)
	defer cancel()
	answer, err := f.o.Bus.Request(ctx, subject, &orielv1.BusMessage{Body: &orielv1.BusMessage_Prove{
		Prove: &orielv1.BusProve{Instance: instance}}})
	switch {
	case errors.Is(err, bus.ErrNobody), errors.Is(err, bus.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return nil, nil // nobody is known to be there
	case err != nil:
		return nil, fmt.Errorf("ask for another machine: %w", err)
	}
	return answer.GetMachine(), nil
}

// renewal is a token with which the second machine of a computer enrolls.
func (f *Fleet) renewal(ctx context.Context, row store.Computer) (string, error) {
	token := trust.NewToken(f.o.RelayKey)
	now := f.o.Now()
	t := store.EnrollmentToken{ID: store.NewID(), TokenKey: token.Public(), CreatedAt: now.UnixMilli(),
		ExpiresAt: now.Add(renewWithin).UnixMilli(), UsesLeft: 1, SplitFrom: row.ID}
	if err := f.o.Store.Tokens(row.Organization).Add(ctx, audit.Relay.Did(audit.TokenMade, "token", t.ID, "split_from", row.ID), t); err != nil {
		return "", fmt.Errorf("token for the second machine: %w", err)
	}
	f.o.Log.Info("the second machine is told to make its own identity", "computer", row.ID, "token", t.ID)
	return token.String(), nil
}

// Split decides that a computer's two machines are two: the one with this mark
// makes its own identity when it connects next. Errors: store.ErrNotFound.
func (f *Fleet) Split(ctx context.Context, by audit.Actor, c store.Ref, mark string) error {
	all, err := f.of(c).Twins(ctx, c.ID)
	if err != nil {
		return fmt.Errorf("look up twins: %w", err)
	}
	t, there := all[c.ID]
	if first, second := t.Marks(); !there || mark != first && mark != second {
		return store.ErrNotFound
	}
	if err := f.of(c).Split(ctx, by.Did(audit.ComputerSplit, "computer", c.ID, "renews", mark), c.ID, mark); err != nil {
		return fmt.Errorf("split twins: %w", err)
	}
	f.o.Log.Info("two machines are to be two computers", "computer", c.ID, "renews", mark)
	// If it is the one who is connected: the next greeting tells it.
	f.drop(c.ID, ErrTwoMachines)
	f.changed(c)
	return nil
}

// Settle decides that only one of a computer's two machines is left. If both
// come again, so does the mark. Errors: store.ErrNotFound.
func (f *Fleet) Settle(ctx context.Context, by audit.Actor, c store.Ref) error {
	if err := f.of(c).DropTwins(ctx, by.Did(audit.ComputerSettled, "computer", c.ID), c.ID); err != nil {
		return fmt.Errorf("forget twins: %w", err)
	}
	f.changed(c)
	return nil
}

func shownTwins(t store.Twins) *orielv1.Twins {
	first, second := t.Marks()
	one := func(m store.Machine, mark string) *orielv1.Twins_Machine {
		return &orielv1.Twins_Machine{Mark: mark, HostName: m.HostName, Address: m.Address, Renews: mark == t.Renews}
	}
	return &orielv1.Twins{SeenAt: t.SeenAt, Machines: []*orielv1.Twins_Machine{one(t.First, first), one(t.Second, second)}}
}
