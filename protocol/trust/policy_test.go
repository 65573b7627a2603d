package trust

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
)

// policyVector is the signature of the policy below by key 1: another implementation can
// be held to it.
const policyVector = "7adb46cf4d81755415c0b044d2b9eb5e39762997327203a4a49c91d43ac302603f92e1bd1d17f42ad0c5fe32e6588cbf7f8fce4c329feeb99130742c7d7c910d"

func signedPolicy(t *testing.T, by ed25519.PrivateKey) *orielv1.SignedPolicy {
	t.Helper()
	p, err := SignPolicy(Key(by), &orielv1.ComputerPolicy{ComputerId: "c-1", Version: 7, LimitsScopes: true, Scopes: []orielv1.Scope{orielv1.Scope_SCOPE_VIEW}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Rule: an agent takes no policy but one by the relay that it trusts, for this computer,
// whole, and newer than the one that it keeps.
func TestPoliciesThatAreNotTaken(t *testing.T) {
	renewed, err := SignRenewal(Key(key(1)), &orielv1.Renewal{ComputerId: "c-1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		signed *orielv1.SignedPolicy
		by     *Verifier
		kept   int64
		want   error
	}{
		"the first":                  {signedPolicy(t, key(1)), &Verifier{RelayKey: pub(key(1)), ComputerID: "c-1"}, 0, nil},
		"newer":                      {signedPolicy(t, key(1)), &Verifier{RelayKey: pub(key(1)), ComputerID: "c-1"}, 6, nil},
		"the same":                   {signedPolicy(t, key(1)), &Verifier{RelayKey: pub(key(1)), ComputerID: "c-1"}, 7, ErrOutdated},
		"older":                      {signedPolicy(t, key(1)), &Verifier{RelayKey: pub(key(1)), ComputerID: "c-1"}, 8, ErrOutdated},
		"another relay's":            {signedPolicy(t, key(2)), &Verifier{RelayKey: pub(key(1)), ComputerID: "c-1"}, 0, ErrSignature},
		"another computer's":         {signedPolicy(t, key(1)), &Verifier{RelayKey: pub(key(1)), ComputerID: "c-2"}, 0, ErrComputer},
		"nobody's":                   {&orielv1.SignedPolicy{}, &Verifier{RelayKey: pub(key(1)), ComputerID: "c-1"}, 0, ErrSignature},
		"a signature of other words": {&orielv1.SignedPolicy{Policy: renewed.GetRenewal(), RelaySignature: renewed.GetRelaySignature()}, &Verifier{RelayKey: pub(key(1)), ComputerID: "c-1"}, 0, ErrSignature},
	} {
		p, err := c.by.VerifyPolicy(c.signed, c.kept)
		if !errors.Is(err, c.want) || (err == nil) != (p.GetVersion() == 7) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	cut := signedPolicy(t, key(1))
	cut.Policy = append(cut.Policy, 0)
	if _, err := (&Verifier{RelayKey: pub(key(1)), ComputerID: "c-1"}).VerifyPolicy(cut, 0); !errors.Is(err, ErrSignature) {
		t.Errorf("changed on the way: %v", err)
	}
}

func TestPolicyVector(t *testing.T) {
	if got := hex.EncodeToString(signedPolicy(t, key(1)).GetRelaySignature()); got != policyVector {
		t.Errorf("signed as %s", got)
	}
}
