package trust

import (
	"fmt"

	orielv1 "oriel/protocol/oriel/v1"
)

// SignPolicy serializes and signs p with the relay's key.
func SignPolicy(s Signer, p *orielv1.ComputerPolicy) (*orielv1.SignedPolicy, error) {
	b, err := orielv1.Encode(p)
	if err != nil {
		return nil, fmt.Errorf("sign policy: %w", err)
	}
	sig, err := s(message("oriel policy v1", b))
	if err != nil {
		return nil, fmt.Errorf("sign policy: %w", err)
	}
	return &orielv1.SignedPolicy{Policy: b, RelaySignature: sig}, nil
}

// VerifyPolicy checks that p is the relay's, for this computer, and newer than that
// version, which the agent keeps. Errors: ErrSignature, ErrMalformed, ErrComputer,
// ErrOutdated.
func (v *Verifier) VerifyPolicy(p *orielv1.SignedPolicy, kept int64) (*orielv1.ComputerPolicy, error) {
	if err := verify(v.RelayKey, message("oriel policy v1", p.GetPolicy()), p.GetRelaySignature()); err != nil {
		return nil, err
	}
	policy := &orielv1.ComputerPolicy{}
	if err := orielv1.Decode(p.GetPolicy(), policy); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch {
	case policy.GetComputerId() != v.ComputerID:
		return nil, ErrComputer
	case policy.GetVersion() <= kept:
		return nil, ErrOutdated
	}
	return policy, nil
}
