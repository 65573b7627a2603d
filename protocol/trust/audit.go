package trust

import (
	"crypto/ed25519"
	"encoding/binary"
)

// AuditSeal is what a relay says of an organization's audit: it goes from the entry
// after Base up to Sequence, and the entries of those numbers have these hashes.
type AuditSeal struct {
	Organization   string
	Base, Sequence int64
	BaseHash, Hash string
	At             int64 // Unix milliseconds
}

func (s AuditSeal) message() []byte {
	number := func(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
	return message("oriel audit v1", []byte(s.Organization), number(s.Base), []byte(s.BaseHash), number(s.Sequence), []byte(s.Hash), number(s.At))
}

// Sign signs the seal with the relay's key.
func (s AuditSeal) Sign(with Signer) ([]byte, error) { return with(s.message()) }

// Verify checks the relay's signature. Errors: ErrSignature.
func (s AuditSeal) Verify(relay ed25519.PublicKey, sig []byte) error {
	return verify(relay, s.message(), sig)
}
