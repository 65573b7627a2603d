package host

import (
	"crypto/sha256"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
)

// Digest changes when an inventory has changed in something worth sending:
// anything but the time it was taken and how much memory and disk is in use.
func Digest(inv *orielv1.Inventory) [32]byte {
	c := proto.CloneOf(inv)
	c.TakenAt = 0
	if g := c.GetGeneral(); g != nil {
		g.MemoryUsed = 0
		for _, v := range g.GetVolumes() {
			v.Used = 0
		}
	}
	if h := c.GetHardware(); h != nil {
		for _, v := range h.GetVolumes() {
			v.Used = 0
		}
		for _, p := range h.GetProcessors() {
			p.Mhz = 0 // moves with the load
		}
		h.Batteries = nil // their charge does, too
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		return [32]byte{}
	}
	return sha256.Sum256(b)
}
