package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oriel/relay/internal/access"
)

// Run by itself, with passwords that cost what they cost in earnest, for figures:
//
//	go test -run SignInAttacked -v ./relay/internal/node -attack 2m -attack-networks 8
var (
	attackFor      = flag.Duration("attack", 0, "attack sign-in that long, with passwords that cost what they do in earnest; 0: until some honest ones are in")
	attackNetworks = flag.Int("attack-networks", 2, "addresses at once that try many accounts, and four times as many that try one")
)

// Limits of access.Limits, and of the tries at once of accounts that are slowed down.
const (
	triesOfAccount = 10
	triesOfAddress = 100
	slowedAtOnce   = 4
)

// attacked is a relay whose sign-in is attacked, and what came of that.
type attacked struct {
	*relay
	next atomic.Int64 // address

	mu       sync.Mutex
	wrong    map[string]map[string]int // passwords compared, by address and account; protected by mu
	answered map[string]int            // by kind of attack and code; protected by mu
}

// from is a browser at an address of loopback that nobody had before.
func (a *attacked) from() (p *person, address string) {
	n := a.next.Add(1)
	address = fmt.Sprintf("127.%d.%d.%d", 10+n/62500, n/250%250, 1+n%250)
	transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext}
	return &person{t: a.t, url: a.node.URL(), client: &http.Client{Transport: transport}}, address
}

// try is one request that ends with ctx; code is the problem's, "" where there is none.
func (p *person) try(ctx context.Context, method, path, key string, body any) (code string, took time.Duration, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return "", 0, err
	}
	r, err := http.NewRequestWithContext(ctx, method, p.url+"/api/v1"+path, bytes.NewReader(b))
	if err != nil {
		return "", 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if p.device != nil {
		r.AddCookie(p.device)
	}
	began := time.Now()
	res, err := p.client.Do(r)
	if err != nil {
		return "", 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	took = time.Since(began)
	var problem struct{ Code string }
	if res.StatusCode >= 400 && err == nil {
		err = json.Unmarshal(text, &problem)
	}
	for _, c := range res.Cookies() {
		if !strings.HasSuffix(c.Name, access.SessionCookie) {
			p.device = c
		}
	}
	return problem.Code, took, err
}

// attack tries accounts until ctx ends, from one address until that is locked, then from
// the next: who attacks may have as many as they like.
func (a *attacked) attack(ctx context.Context, kind string, atOnce int, account func() string) {
	for ctx.Err() == nil {
		p, address := a.from()
		locked, lock := context.WithCancel(ctx)
		var tries sync.WaitGroup
		for range atOnce {
			tries.Go(func() {
				for locked.Err() == nil {
					login := account()
					code, _, err := p.try(locked, "POST", "/sign-in", "", object{"login": login, "password": "a wrong password"})
					if err != nil {
						continue // ended, with ctx
					}
					a.note(kind, code, address, login)
					if code == "too_many_tries" {
						lock()
					}
				}
			})
		}
		tries.Wait()
		lock()
		p.client.CloseIdleConnections()
	}
}

// invent asks with API keys that nobody has, until ctx ends.
func (a *attacked) invent(ctx context.Context) {
	p, address := a.from()
	defer p.client.CloseIdleConnections()
	for ctx.Err() == nil {
		if code, _, err := p.try(ctx, "GET", "/me", access.KeyPrefix+rand.Text(), nil); err == nil {
			a.note("keys", code, address, "")
		}
	}
}

func (a *attacked) note(kind, code, address, login string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered[kind+" "+code]++
	if code == "bad_credentials" {
		if a.wrong[address] == nil {
			a.wrong[address] = map[string]int{}
		}
		a.wrong[address][login]++
	}
}

func (a *attacked) count(answer string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.answered[answer]
}

// joins makes a member with a password by an invitation.
func (a *attacked) joins(owner *person, email string) {
	var invited struct{ Link string }
	owner.do("POST", "/api/v1/member-invitations", object{"email": email, "name": "M", "role": "viewer"}, &invited, 201)
	_, token, _ := strings.Cut(invited.Link, "#")
	p, _ := a.from()
	defer p.client.CloseIdleConnections()
	p.do("POST", "/api/v1/join", object{"token": token, "name": "M", "password": "correct horse battery"}, nil, 200)
}

// times of honest sign-ins.
type times struct {
	who string
	all []time.Duration
}

// signsIn is an honest sign-in, which has to succeed.
func (a *attacked) signsIn(p *person, email string, into *times) {
	code, took, err := p.try(a.t.Context(), "POST", "/sign-in", "", object{"login": email, "password": "correct horse battery"})
	if err != nil || code != "" {
		a.t.Errorf("%s: %s %v", into.who, code, err)
	}
	into.all = append(into.all, took)
}

func (t *times) String() string {
	slices.Sort(t.all)
	at := func(percent int) time.Duration { return t.all[(len(t.all)-1)*percent/100].Round(time.Millisecond) }
	return fmt.Sprintf("%-58s %5d times, p50 %s, p99 %s, max %s", t.who, len(t.all), at(50), at(99), at(100))
}

// heap is what is in use after a collection.
func heap() (mebibytes uint64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc >> 20
}

// Rule: sign-in attacked at full speed, of accounts that exist and do not, of one account from ever new addresses and of many
// from one, and with invented API keys: no address compares more than its share of passwords, for one account and for all, an
// account that many attack compares only so many in a time, whoever they are, and honest people at other addresses are let in.
func TestSignInAttacked(t *testing.T) {
	hash := cheap
	if *attackFor > 0 {
		hash = access.HashCost{}
	}
	a := &attacked{relay: startHashing(t, settings(t), hash), wrong: map[string]map[string]int{}, answered: map[string]int{}}
	owner := a.owner()
	members := make([]string, 12)
	for i := range members {
		members[i] = fmt.Sprintf("member%d@example.com", i)
		a.joins(owner, members[i])
	}
	victim, honest := members[0], members[8:]
	known := &times{who: "the attacked account, in a browser that it knows"}
	anew := &times{who: "the attacked account, in a browser that is new"}
	other := &times{who: "another account, in a browser that is new"}
	browser, _ := a.from()
	a.signsIn(browser, victim, &times{})
	before := heap()

	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	var attackers sync.WaitGroup
	for i := range *attackNetworks {
		attackers.Go(func() {
			n := 0
			var mu sync.Mutex
			a.attack(ctx, "many accounts", 16, func() string {
				mu.Lock()
				defer mu.Unlock()
				if n++; n%16 == 0 {
					return members[1+n/16%7]
				}
				return rand.Text() + "@example.com"
			})
		})
		for range 2 {
			attackers.Go(func() { a.attack(ctx, "one account", 2, func() string { return victim }) })
			attackers.Go(func() { a.attack(ctx, "no account", 2, func() string { return "nobody@example.com" }) })
		}
		if i%4 == 0 {
			attackers.Go(func() { a.invent(ctx) })
		}
	}
	for _, kind := range []string{"many accounts", "one account", "no account"} {
		if *attackFor == 0 { // in earnest a hundred passwords of each address take a while
			until(t, kind+" reaches a limit", func() bool { return a.count(kind+" too_many_tries") > 0 })
		}
	}
	peak := uint64(0)
	for i := 0; i < 12 || time.Since(began) < *attackFor; i++ {
		a.signsIn(browser, victim, known)
		p, _ := a.from()
		a.signsIn(p, honest[i%len(honest)], other)
		p.client.CloseIdleConnections()
		if i%16 == 0 {
			p, _ := a.from()
			a.signsIn(p, victim, anew)
			p.client.CloseIdleConnections()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc>>20)
	}
	cancel()
	attackers.Wait()
	elapsed := time.Since(began)

	all := map[string]int{}
	hashes, most, mostOfOne := 0, 0, 0
	for address, accounts := range a.wrong {
		sum := 0
		for account, n := range accounts {
			if n > triesOfAccount {
				t.Errorf("%s compared %d passwords of %s", address, n, account)
			}
			sum, mostOfOne = sum+n, max(mostOfOne, n)
			all[account] += n
		}
		if sum > triesOfAddress {
			t.Errorf("%s compared %d passwords", address, sum)
		}
		hashes, most = hashes+sum, max(most, sum)
	}
	// Each try beyond an account's share waited, a few at once; the last ones may have been answered only just.
	var waited time.Duration
	for _, n := range all {
		for beyond := 1; beyond <= n-triesOfAccount; beyond++ {
			waited += min(time.Duration(beyond)*20*time.Millisecond, time.Second)
		}
	}
	if waited > slowedAtOnce*elapsed {
		t.Errorf("in %s accounts under attack waited %s in all: more than %d passed at once", elapsed, waited, slowedAtOnce)
	}
	for answer, n := range a.answered {
		code := answer[strings.LastIndex(answer, " ")+1:]
		if keys := strings.HasPrefix(answer, "keys "); keys && code != "unauthorized" || !keys && !slices.Contains([]string{"bad_credentials", "too_many_tries", "busy"}, code) {
			t.Errorf("%d times: %s", n, answer)
		}
	}
	info, err := os.Stat(strings.TrimPrefix(a.database, "sqlite:"))
	must(t, err)
	t.Logf("%s, %d addresses used; answers: %v", elapsed.Round(time.Second), a.next.Load(), a.answered)
	t.Logf("passwords compared for attackers: %d, %.1f a second; of one address %d at most (%d), for one account %d (%d); of %s %d, of nobody %d",
		hashes, float64(hashes)/elapsed.Seconds(), most, triesOfAddress, mostOfOne, triesOfAccount, victim, all[victim], all["nobody@example.com"])
	for _, one := range []*times{known, other, anew} {
		t.Log(one)
	}
	t.Logf("heap with the attackers' own, MiB: %d before, %d at most, %d after; database %d KiB", before, peak, heap(), info.Size()>>10)
}
