package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"oriel/agent/internal/policy"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// policy is the set in force: this computer's own policies and the organization's.
func (n *Node) policy() policy.Set {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.o.Policy.With(n.kept)
}

// takePolicy puts the organization's policy in force, if it is the relay's, for this
// computer, and newer than the one that is kept. dispatch calls it, one at a time.
func (n *Node) takePolicy(ask uint64, signed *orielv1.SignedPolicy) {
	n.mu.Lock()
	verifier, had := n.verifier, n.kept // verifier non-nil: welcomed
	n.mu.Unlock()
	said, err := verifier.VerifyPolicy(signed, had.Version)
	if err != nil {
		n.log.Warn("policy refused", "error", err)
		n.fault(ask, trust.CodeOf(err), err.Error())
		return
	}
	next, err := policy.FromRelay(said)
	if err != nil {
		n.log.Error("policy not understood; the one before holds", "version", said.GetVersion(), "error", err)
		n.fault(ask, orielv1.Code_CODE_UNIMPLEMENTED, "this computer's agent cannot keep to the policy: "+err.Error())
		return
	}
	n.keep(next)
	n.log.Info("the organization's policy", "version", next.Version, "policy", policy.Set{next.Policy}.String())
	if ask != 0 {
		n.send(&orielv1.FromAgent{ReplyTo: ask})
	}
}

// keep puts r in force, and then on the disk; if that is full, as soon as it has room.
func (n *Node) keep(r policy.Relay) {
	n.mu.Lock()
	n.kept, n.unsaved = r, true
	n.relend()
	n.mu.Unlock()
	n.desktop.Keep(n.policy())
	n.savePolicy()
}

// savePolicy writes what is not on the disk yet.
func (n *Node) savePolicy() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.unsaved {
		return
	}
	var err error
	if n.kept.Version != 0 {
		err = n.kept.Save(n.id.Dir())
	} else if err = os.Remove(filepath.Join(n.id.Dir(), policy.RelayFile)); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		n.log.Warn("the organization's policy holds, but cannot be saved yet", "error", err)
		return
	}
	n.unsaved = false
}
