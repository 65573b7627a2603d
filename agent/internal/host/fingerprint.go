package host

import (
	"context"
	"crypto/sha256"
	"net"
	"slices"
)

// fingerprintContext keeps hardware addresses from leaving the machine.
const fingerprintContext = "oriel machine fingerprint v1\x00"

// Fingerprint tells this machine from a copy of its disk in another one: a hash
// over MachineID and the built-in network adapters' addresses. Nil where one of
// them is not known. It changes with an adapter.
func Fingerprint(ctx context.Context) []byte {
	id := MachineID(ctx)
	var macs []string
	all, _ := net.Interfaces()
	for _, a := range all {
		if len(a.HardwareAddr) == 6 && a.Flags&net.FlagLoopback == 0 && builtIn(a) {
			macs = append(macs, a.HardwareAddr.String())
		}
	}
	if id == "" || len(macs) == 0 {
		return nil
	}
	slices.Sort(macs)
	h := sha256.New()
	h.Write([]byte(fingerprintContext + id))
	for _, mac := range slices.Compact(macs) {
		h.Write([]byte("\x00" + mac))
	}
	return h.Sum(nil)
}
