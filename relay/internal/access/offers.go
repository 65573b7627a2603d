package access

import (
	"context"
	"errors"
	"strings"

	"oriel/relay/internal/rights"
)

// Offers are on which computers somebody may do what, for a page to offer what they may
// there. The zero Offers are none.
type Offers struct {
	all []offer
	key string
}

type offer struct {
	word string
	on   Visibility
}

// On is in words what they may on a computer, which is in a group of that path.
func (o Offers) On(computer, groupPath string) []string {
	var words []string
	for _, one := range o.all {
		if one.on.Includes(computer, groupPath) {
			words = append(words, one.word)
		}
	}
	return words
}

// Key is the same for those who may the same.
func (o Offers) Key() string { return o.key }

// OnGroups reports whether it matters which computers are in a group.
func (o Offers) OnGroups() bool {
	for _, one := range o.all {
		if len(one.on.Groups) > 0 {
			return true
		}
	}
	return false
}

// Offers of who. Nobody is told that it was asked. Errors: ErrSignedOut; who may nothing
// is offered nothing.
func (a *Access) Offers(ctx context.Context, who Identity) (Offers, error) {
	g, err := a.of(ctx, who)
	if errors.Is(err, ErrForbidden) {
		return Offers{}, nil
	}
	if err != nil {
		return Offers{}, err
	}
	now := a.o.Now()
	var o Offers
	var key strings.Builder
	for what := range rights.OnComputer.Each() {
		v := g.rights.Visible(what, now)
		one := offer{what.String(), Visibility{All: v.All, Groups: v.Groups, Computers: v.Computers}}
		if one.on.None() {
			continue
		}
		o.all = append(o.all, one)
		key.WriteString(one.word + "=" + one.on.Key() + "\n")
	}
	o.key = key.String()
	return o, nil
}
