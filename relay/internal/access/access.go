// Package access knows people, lets them in, and answers the questions that
// every room asks before it does something: Require for what a person attempts,
// once, and audited; May for what is only asked, in silence; Visible for what a list
// or a live feed may show; Explain for why. What the answers are is decided by package
// rights, of what the database says that somebody may.
//
// # Signing in
//
// A person signs in with an e-mail address and a password. Passwords are
// Argon2id; the same work is done for an account that does not exist, so that
// neither the answer nor its time tells. Hashing is bounded, because each hash
// costs memory: networks take turns (package share).
//
// Tries are counted in the database, before the password is looked at, so that
// several nodes and many connections at once share one limit. A network is
// locked for an account after Limits.Account wrong passwords of it, and for all
// accounts after Limits.Address (IPv6: /64, /56 and /48, see package share).
// No other network is: with the tries of all of them together the next ones
// only slow down. A browser that signed in before shows that with a signed
// cookie, good for one person and their password of then; its tries are its
// own, whatever its network did, and it is served first.
//
// Who signed in holds 32 random bytes in a cookie (HttpOnly, SameSite=Lax:
// links from elsewhere open signed in, requests from elsewhere are refused by
// the server's cross-origin protection); the database holds their SHA-256. A
// sign-in ends after Idle without use, after Absolute in any case, and at once
// when it is signed out.
//
// # The first owner
//
// A relay without an owner makes a token that is good once and for a day. The
// owner's link carries it in the fragment, which no browser sends and no log
// keeps. There is no page that anybody could reach first.
//
// An owner who lost the password gets such a link from the command line of the
// relay, good for an hour: it sets a new one. A new password, however it was
// set, ends all other sign-ins of that person.
package access

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/share"
	"oriel/relay/internal/store"
)

// Faults of people and what they may.
var (
	ErrSignedOut = fault.New(fault.SignedOut, "sign in first")
	ErrForbidden = fault.New(fault.Forbidden, "you are not allowed to do this; ask the relay's owner")
	// ErrNeedsApproval is an ErrForbidden that a second person can lift.
	ErrNeedsApproval = fault.New(fault.NeedsApproval, "this needs the approval of a second person; ask for it, and try again once you have it")
	ErrCredentials   = fault.New(fault.BadCredentials, "the e-mail address or the password is wrong")
	ErrOwnerExists   = fault.New(fault.OwnerExists, "this relay has an owner; sign in")
	ErrOwnerToken    = fault.New(fault.OwnerToken, "this link was used, has expired or was replaced; run `oriel-relay owner link` for a new one")
	ErrRecovery      = fault.New(fault.RecoveryToken, "this link was used, has expired or was replaced; run `oriel-relay owner recover` for a new one")
	ErrBusy          = fault.New(fault.SignInsBusy, "too many people are signing in right now; try again in a moment")
	ErrTries         = fault.New(fault.TooManyTries, "too many tries; wait a while and try again")
)

// ErrNoOwner is the command line's.
var ErrNoOwner = errors.New("this relay has no owner yet; run `oriel-relay owner link`")

// Cookies: of the sign-in, and of the browser that once signed in. Where
// browsers come by https their names begin with SecurePrefix, so that no other
// host of the domain, and nobody on a plain connection, can set them.
const (
	SessionCookie = "oriel_session"
	deviceCookie  = "oriel_device"
	SecurePrefix  = "__Host-" // RFC 6265bis
)

// cookieName is that of one of the above on this relay.
func (a *Access) cookieName(name string) string {
	if a.o.Secure {
		return SecurePrefix + name
	}
	return name
}

// How long the owner's link is good for, and the one to a new password.
const (
	OwnerTokenLifetime    = 24 * time.Hour
	RecoveryTokenLifetime = time.Hour
)

// Options of New. The zero value is right for a relay on plain HTTP.
type Options struct {
	Secure   bool          // cookies over HTTPS only: the public address is https
	Idle     time.Duration // a sign-in ends when unused that long; 0: 7 days
	Absolute time.Duration // and after that long in any case; 0: 30 days
	Proxies  Proxies       // whose X-Forwarded-For is believed
	Limits   Limits
	Hash     HashCost
	Now      func() time.Time // nil: time.Now
	Log      *slog.Logger     // nil: none
	Auditor  Auditor          // nil: none
	Bus      *bus.Bus         // nil: there are no other nodes, and no Run
	// Mailer tells people what happened to their account; nil: nobody is told.
	Mailer *mail.Mailer
}

// Limits of wrong passwords in a Window. The zero value is 10 a quarter of an
// hour of an address for one account, and 100 of an address for all: an office
// is one. Slow is added to a try for each that its account had beyond Account,
// from wherever, up to Slowest; 0: 20 ms and a second.
//
// In a Window there are as many requests to sign up as SignUps says, from wherever, and a
// tenth of that from one address; 0: 100. MailsToOne is how many of them send a mail to
// the same e-mail address; 0: 3.
type Limits struct {
	Account, Address int
	SignUps          int
	MailsToOne       int
	Window           time.Duration
	Slow, Slowest    time.Duration
}

// Access is the people of one relay. Its methods may be called from any goroutine.
type Access struct {
	store   *store.Store
	o       Options
	hasher  *hasher
	slow    *share.Queue // tries that wait because their account had many
	key     ed25519.PrivateKey
	devices []byte // key of device cookies

	succession ed25519.PublicKey // nil: none
	rotations  []*orielv1.Rotation

	known *authorities

	mu        sync.Mutex
	listeners []func(Change) // protected by mu
}

// New reads the relay's signing key from the database, or makes it: once, for
// all nodes.
func New(ctx context.Context, s *store.Store, o Options) (*Access, error) {
	setDefault(&o.Idle, 7*24*time.Hour)
	setDefault(&o.Absolute, 30*24*time.Hour)
	setDefault(&o.Limits.Account, 10)
	setDefault(&o.Limits.Address, 100)
	setDefault(&o.Limits.SignUps, 100)
	setDefault(&o.Limits.MailsToOne, 3)
	setDefault(&o.Limits.Window, 15*time.Minute)
	setDefault(&o.Limits.Slow, 20*time.Millisecond)
	setDefault(&o.Limits.Slowest, time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h, err := newHasher(o.Hash, o.Log)
	if err != nil {
		return nil, err
	}
	a := &Access{store: s, o: o, hasher: h, known: newAuthorities(),
		slow: share.NewQueue("slowed sign-ins", slowAtOnce, share.Bound{All: 512, Address: 32}, o.Log)}
	seed, err := a.Secret(ctx, signingKey, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("read the relay's key: %w", err)
	}
	a.key = ed25519.NewKeyFromSeed(seed)
	if a.devices, err = a.Secret(ctx, "device-cookies", 32); err != nil {
		return nil, fmt.Errorf("read the key of device cookies: %w", err)
	}
	return a, a.loadSuccession(ctx)
}

func setDefault[T comparable](p *T, otherwise T) {
	var zero T
	if *p == zero {
		*p = otherwise
	}
}

// PublicKey of the relay, which agents pin.
func (a *Access) PublicKey() ed25519.PublicKey { return a.key.Public().(ed25519.PublicKey) }

// Signer signs with the relay's key.
func (a *Access) Signer() trust.Signer { return trust.Key(a.key) }

// Secret is n random bytes under a name, made once and shared by all nodes
// (the key of TURN credentials is one).
func (a *Access) Secret(ctx context.Context, name string, n int) ([]byte, error) {
	v, err := a.store.Secrets().Obtain(ctx, name, a.now(), func() ([]byte, error) { return random(n), nil })
	if err == nil && len(v) != n {
		err = fmt.Errorf("secret %q has %d bytes, want %d", name, len(v), n)
	}
	return v, err
}

// Places of those who wait for a password to be compared, for metrics.
func (a *Access) Places() map[string]*share.Places {
	return map[string]*share.Places{"passwords": a.hasher.queue.Places(), "slowed": a.slow.Places()}
}

func (a *Access) now() int64 { return a.o.Now().UnixMilli() }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// token is a new secret and what the database keeps of it.
func token() (text string, hash []byte) {
	text = base64.RawURLEncoding.EncodeToString(random(32))
	return text, hashOf(text)
}

func hashOf(text string) []byte {
	h := sha256.Sum256([]byte(text))
	return h[:]
}

// maxToken is more than any token of ours has.
const maxToken = 128

// Client is where a request comes from.
type Client struct {
	Address string // an IP address
	Browser string // the User-Agent as one line of at most 256 bytes
	Device  string // the browser's device cookie, hostile; empty: none
}

// Identity is a signed-in person at one browser.
type Identity struct {
	PersonID, Name, Email, Role string
	SignInID                    string
	KeyID                       string               // of an API key, in the place of a sign-in
	Organization                store.OrganizationID // in which they are at work
	Client
}

// Of names a thing of that id in who's organization, if there is one.
func (who Identity) Of(id string) store.Ref { return who.Organization.Ref(id) }

func (who Identity) claim() claim {
	return claim{signIn: who.SignInID, key: who.KeyID, organization: who.Organization}
}

// CommandLine is whoever may run the relay's command line, at work in an organization.
// It has no sign-in, so that Access lets it do nothing: it asks no question.
func CommandLine(o store.OrganizationID) Identity { return Identity{Organization: o} }

// Actor is who, for the audit, with the sign-in or key that they came with.
func (who Identity) Actor() audit.Actor {
	if who.PersonID == "" && who.Address == "" {
		return audit.Command
	}
	return audit.Person(who.PersonID, who.Name, cmp.Or(who.SignInID, who.KeyID), who.Address)
}

// Identify tells who sends r: whose API key it brings or, where it brings none, whose
// cookie. Errors: ErrSignedOut.
func (a *Access) Identify(r *http.Request) (Identity, error) {
	name, ok := a.tokenOf(r)
	if !ok {
		return Identity{}, ErrSignedOut
	}
	g, err := a.resolve(r.Context(), claim{}, name)
	if err != nil {
		return Identity{}, err
	}
	if client := a.Client(r); !g.admits(client) {
		a.o.Log.Warn("not let in from this address", "person", g.rights.Person, "address", client.Address)
		return Identity{}, notFrom(client)
	}
	if now := a.now(); now-g.seen > time.Minute.Milliseconds() && a.known.touch(g.claim, now) {
		// A sign-in is good whether or not its use can be noted: the disk may be full.
		if err := a.touch(r.Context(), g, now); err != nil && !errors.Is(err, store.ErrNotFound) && r.Context().Err() == nil {
			a.o.Log.Warn("use of a sign-in not noted", "person", g.rights.Person, "error", err)
		}
	}
	return g.identity(a.Client(r)), nil
}

// tokenOf is the kind and hash of the token that r brings.
func (a *Access) tokenOf(r *http.Request) (name string, ok bool) {
	if key, ok := bearer(r); ok {
		return string(keyHash) + string(hashOf(key)), len(key) <= maxToken
	}
	c, err := r.Cookie(a.cookieName(SessionCookie))
	if err != nil || len(c.Value) > maxToken {
		return "", false
	}
	return string(signInHash) + string(hashOf(c.Value)), true
}

// touch notes the use of a sign-in or key.
func (a *Access) touch(ctx context.Context, g authority, now int64) error {
	if g.key != "" {
		return a.store.Keys(g.organization).Touch(ctx, g.key, now)
	}
	return a.store.SignIns().Touch(ctx, []byte(g.token[1:]), now)
}

// over reports whether a sign-in of these times is too old.
func (a *Access) over(created, seen int64) bool {
	oldestMade, oldestSeen := a.oldest()
	return created < oldestMade || seen < oldestSeen
}

// oldest times of making and of last use that a sign-in may have now.
func (a *Access) oldest() (created, seen int64) {
	now := a.o.Now()
	return now.Add(-a.o.Absolute).UnixMilli(), now.Add(-a.o.Idle).UnixMilli()
}

// Sweep forgets what has expired. Called now and then by one who has a clock.
func (a *Access) Sweep(ctx context.Context) error {
	created, seen := a.oldest()
	return errors.Join(a.store.SignIns().Expire(ctx, created, seen), a.store.Tries().Expire(ctx, a.now()), a.store.Confirmations().Expire(ctx, a.now()))
}

// cookie for the browser; an empty value removes it.
func (a *Access) cookie(name, value string, lifetime time.Duration) *http.Cookie {
	c := &http.Cookie{Name: a.cookieName(name), Value: value, Path: "/", HttpOnly: true,
		Secure: a.o.Secure, SameSite: http.SameSiteLaxMode, MaxAge: int(lifetime / time.Second)}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}
