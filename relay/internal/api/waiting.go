package api

import (
	"context"
	"net/http"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
)

// WaitingComputer is one that this relay once enrolled and has lost, as after the
// restore of an older back-up.
type WaitingComputer struct {
	ID       string    `json:"id" doc:"That it had, and gets back."`
	HostName string    `json:"host_name"`
	OS       string    `json:"os"`
	OSName   string    `json:"os_name"`
	Address  string    `json:"address" doc:"As the relay sees it."`
	Key      []byte    `json:"key" doc:"The machine key that it proved."`
	Since    time.Time `json:"since"`
	SeenAt   time.Time `json:"seen_at"`
}

type takeBackIn struct {
	KeyIn
	ID string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
}

type waitingIn struct {
	ListIn
	Sort string `query:"sort" enum:"since,-since,seen_at,-seen_at" default:"since"`
}

var waitingList = page.List[WaitingComputer]{
	ID: func(w WaitingComputer) string { return w.ID },
	Keys: map[string]func(WaitingComputer) string{
		"since":   func(w WaitingComputer) string { return inTime(w.Since) },
		"seen_at": func(w WaitingComputer) string { return inTime(w.SeenAt) },
	},
	Text: func(w WaitingComputer) []string { return []string{w.HostName, w.OSName, w.Address} },
}

func waitingOf(w fleet.WaitingComputer) WaitingComputer {
	return WaitingComputer{w.ComputerID, w.HostName, w.OS, w.OSName, w.Address, w.MachineKey, when(w.Since), when(w.SeenAt)}
}

func (a *API) waiting() {
	of := tag("computers")
	operation(a, "GET", "/waiting-computers", "waitingComputers", "List the computers that wait to be taken back. The relay enrolled them once and has lost what it knew, as after the restore of an older back-up.", a.listWaiting, of)
	operation(a, "POST", "/waiting-computers/{id}/take-back", "takeBackComputer", "Take a computer back. It keeps its id, its key and its sessions in the journal.", a.takeBack, of)
	operation(a, "DELETE", "/waiting-computers/{id}", "forgetWaitingComputer", "Have a computer wait no longer. It needs a new token from then on.", a.forgetWaiting, of, status(http.StatusNoContent))
}

func (a *API) listWaiting(ctx context.Context, in *waitingIn) (*listOut[WaitingComputer], error) {
	if err := a.require(ctx, rights.Enroll, access.Organization); err != nil {
		return nil, err
	}
	all, err := a.o.Fleet.Waiting(ctx, organization(ctx))
	if err != nil {
		return nil, err
	}
	return answer(waitingList, each(all, waitingOf), in.request(in.Sort))
}

func (a *API) takeBack(ctx context.Context, in *takeBackIn) (*created[Computer], error) {
	if err := a.require(ctx, rights.Enroll, access.Organization); err != nil {
		return nil, err
	}
	return once(ctx, a, in.Key, nil, func(ctx context.Context) (Computer, error) {
		if err := a.o.Fleet.TakeBack(ctx, actor(ctx), own(ctx, in.ID)); err != nil {
			return Computer{}, err
		}
		return a.computer(ctx, in.ID)
	})
}

func (a *API) forgetWaiting(ctx context.Context, in *idIn) (*struct{}, error) {
	if err := a.require(ctx, rights.Enroll, access.Organization); err != nil {
		return nil, err
	}
	return nil, a.o.Fleet.ForgetWaiting(ctx, actor(ctx), own(ctx, in.ID))
}
