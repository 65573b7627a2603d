// Package audit is the record of who did what to what, and the outbox of it.
//
// # Entries
//
// An Actor (a person at a browser, an agent, the command line, the relay itself)
// did something to an object. The room that makes a change says so with Did, and
// the store writes the entry within the transaction of the change: there is no
// change without its entry, and no entry without its change. Methods of the store
// that change what people decide take the entry, so that none is forgotten. Text
// of others is made plain and cut; details are few and short. Those that say what the
// relay validated are kept whole (store.MaxDetail), and of a change say only what is
// another than before.
//
// A refused attempt changes nothing. Log is access's Auditor: it counts refusals
// and writes them a moment later, the same ones as one entry, so that somebody who
// tries a thousand times does not fill the disk. Wrong passwords, which anybody can
// send from anywhere, are written once a minute and have a budget of entries beyond
// which only their number is told. Of a person who exists their entry names the
// person, and nothing that was typed; of others it names nobody.
//
// # Outbox
//
// Entries of an organization have numbers without gaps, in the order in which they
// were committed. After each commit the number is announced on the bus. Follow
// gives a reader each entry in order from where it was last; where the bus was
// away or the announcement lost, it looks again after Poll. Of several nodes one
// reads for a reader of that name; when it dies another goes on. An entry whose
// handling failed, or whose node died before that was noted, comes again.
//
// # Bounds
//
// A Keeper signs what was written, and sweeps what is older than KeeperOptions.Keep.
package audit

import (
	"slices"

	"oriel/protocol/sanitize"
	"oriel/relay/internal/store"
)

// Entry is one of the audit.
type Entry = store.Entry

// Action is what somebody did.
type Action string

// Actions.
const (
	OwnerLinkMade     Action = "owner_link.made"
	OwnerMade         Action = "owner.made"
	SignedIn          Action = "sign_in.made"
	SignInEnded       Action = "sign_in.ended"
	SignInSwitched    Action = "sign_in.switched"
	SignInRefused     Action = "sign_in.refused" // a wrong password, or too many of them
	PasswordChanged   Action = "password.changed"
	PasswordRecovered Action = "password.recovered"
	RecoveryMade      Action = "recovery.made"
	KeyRemembered     Action = "known_key.saved"
	TokenMade         Action = "token.made"
	TokenRevoked      Action = "token.revoked"
	ComputerEnrolled  Action = "computer.enrolled"
	ComputerRenamed   Action = "computer.renamed"
	ComputerDescribed Action = "computer.described"
	FieldMade         Action = "field.made"
	FieldRenamed      Action = "field.renamed"
	FieldRemoved      Action = "field.removed"
	ComputerBlocked   Action = "computer.blocked"
	ComputerUnblocked Action = "computer.unblocked"
	ComputerRemoved   Action = "computer.removed"
	ComputerSplit     Action = "computer.split"
	ComputerSettled   Action = "computer.settled"
	ComputerTakenBack Action = "computer.taken_back"
	ComputerForgotten Action = "computer.forgotten"
	SessionOpened     Action = "session.opened"
	SessionCarried    Action = "session.carried" // by another sign-in of the same person
	SessionScopes     Action = "session.scopes_changed"
	SessionEnded      Action = "session.ended"
	KeyRotated        Action = "key.rotated"
	SuccessionMade    Action = "succession.made"
	AuditExported     Action = "audit.exported"
	PolicyChanged     Action = "policy.changed"
	PolicyRemoved     Action = "policy.removed"
	Attempt           Action = "attempt" // refused
)

// Actions are all of them.
var Actions = slices.Concat([]Action{
	OwnerLinkMade, OwnerMade, SignedIn, SignInEnded, SignInSwitched, SignInRefused, PasswordChanged, PasswordRecovered, RecoveryMade, KeyRemembered,
	TokenMade, TokenRevoked, ComputerEnrolled, ComputerRenamed, ComputerDescribed, FieldMade, FieldRenamed, FieldRemoved, ComputerBlocked, ComputerUnblocked, ComputerRemoved, ComputerSplit,
	ComputerSettled, ComputerTakenBack, ComputerForgotten, SessionOpened, SessionCarried, SessionScopes, SessionEnded,
	KeyRotated, SuccessionMade, AuditExported, PolicyChanged, PolicyRemoved, Attempt,
}, ofPeople)

// Actor is who does something.
type Actor struct {
	Kind    string // person, agent, command, relay
	ID      string // of the person or the computer
	Name    string
	SignIn  string // of a person
	Address string // where they are; empty: at the relay itself
}

// Actors that are nobody in particular.
var (
	Command = Actor{Kind: "command"} // whoever may run the relay's command line
	Relay   = Actor{Kind: "relay"}   // the relay, by its own rules
)

// Person is somebody at a browser.
func Person(id, name, signIn, address string) Actor {
	return Actor{Kind: "person", ID: id, Name: name, SignIn: signIn, Address: address}
}

// Agent is a computer's, or that of one that becomes a computer.
func Agent(computer, address string) Actor {
	return Actor{Kind: "agent", ID: computer, Address: address}
}

const maxText = 256 // bytes, as the store has it

// Did is the entry that says what a did to an object. Details are pairs of a name
// and a value.
func (a Actor) Did(what Action, kind, id string, details ...string) Entry {
	return a.entry(store.Done, what, kind, id, details)
}

func (a Actor) entry(outcome string, what Action, kind, id string, details []string) Entry {
	line := func(s string) string { return sanitize.Line(s, maxText) }
	e := Entry{ActorKind: a.Kind, ActorID: line(a.ID), ActorName: line(a.Name), SignInID: line(a.SignIn), Address: line(a.Address),
		Action: string(what), ObjectKind: kind, ObjectID: line(id), Outcome: outcome}
	for i := 0; i+1 < len(details); i += 2 {
		e = e.With(details[i], sanitize.Line(details[i+1], store.MaxDetail(details[i])))
	}
	return e
}
