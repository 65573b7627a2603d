package main_test

import (
	"bytes"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"oriel/agent/internal/identity"
	"oriel/agent/internal/link/linktest"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// Rule: what a relay's word alone did to a computer's identity, its owner undoes on
// the computer itself, and can forbid.
func TestIdentityIsTakenBackAndKept(t *testing.T) {
	relay := linktest.Start(t)
	dir := dataDir(t)
	if code, out := agent(t, "identity", "--data", dir); code != 1 || !strings.Contains(out, "no agent has run here yet") {
		t.Fatalf("before the first run: exit %d: %s", code, out)
	}
	a := run(t, []string{"ORIEL_TOKEN=" + relay.Token()}, "run", "--relay", relay.URL(), "--data", dir, "--demo")
	first := relay.Agent(1)
	var asked atomic.Int32
	relay.RefuseHello(func(h *orielv1.Hello) *orielv1.Refused {
		if !bytes.Equal(first.Key, h.GetMachineKey()) {
			return nil
		}
		asked.Add(1)
		token := relay.Token()
		sig, err := trust.SignNewIdentity(trust.Key(relay.Key), h.GetMachineKey(), h.GetNonce(), token)
		if err != nil {
			t.Error(err)
		}
		return &orielv1.Refused{Code: orielv1.Code_CODE_TWO_MACHINES, NewIdentity: &orielv1.NewIdentity{Token: token, Signature: sig}}
	})
	first.Close(1013)
	second := relay.Agent(2)
	stop(t, a)

	old, now := identity.Fingerprint(first.Key), identity.Fingerprint(second.Key)
	lists := func(inUse, replaced string) {
		t.Helper()
		code, out := agent(t, "identity", "--data", dir)
		if code != 0 || !strings.Contains(out, "in use    "+inUse) || !strings.Contains(out, "replaced  "+replaced) || strings.Count(out, "\n") != 2 {
			t.Fatalf("exit %d: %s", code, out)
		}
	}
	lists(now, old)
	for _, none := range []string{"0000000000000000", "../machine"} {
		if code, out := agent(t, "identity", "restore", none, "--data", dir); code != 2 || !strings.Contains(out, "no replaced identity") {
			t.Fatalf("exit %d: %s", code, out)
		}
	}
	if code, out := agent(t, "identity", "restore", old, "--data", dir); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	lists(old, now)

	before := asked.Load()
	a = run(t, nil, "run", "--data", dir, "--demo", "--keep-identity")
	relay.Until("asked twice", func() bool { return asked.Load() >= before+2 })
	if code, out := agent(t, "identity", "restore", now, "--data", dir); code != 5 || !strings.Contains(out, "another agent is running") {
		t.Errorf("while it runs: exit %d: %s", code, out)
	}
	stop(t, a)
	lists(old, now)
	if !strings.Contains(a.String(), "policy keeps its identity") {
		t.Errorf("does not say why: %s", a.String())
	}
}

func stop(t *testing.T, a *running) {
	t.Helper()
	a.Process.Signal(syscall.SIGTERM)
	if err := a.Wait(); err != nil {
		t.Fatal(err)
	}
}
