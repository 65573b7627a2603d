package doctor

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"
)

// processor says whether TLS is enciphered by the processor's AES. Without it
// a relayed session over TLS costs several times the work, and many at once
// lose packets.
func (d *doctor) processor(context.Context) (string, error) {
	var tags string
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-tags" {
				tags = s.Value
			}
		}
	}
	return ciphers(hasAES(), tags)
}

func ciphers(has bool, tags string) (string, error) {
	switch {
	case slices.Contains(strings.Split(tags, ","), "purego"):
		return "", warn("its AES is not in use: this program was built with the tag purego, which takes the assembly out of Go's crypto; build it without")
	case !has:
		return "", warn("it has no AES (%s), or GODEBUG turned it off: relayed sessions over TLS cost several times the work; on a virtual machine pass the host's processor through", runtime.GOARCH)
	}
	return "its AES is in use", nil
}

// hasAES asks for what Go's AES-GCM asks for.
func hasAES() bool {
	switch runtime.GOARCH {
	case "amd64":
		return cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ && cpu.X86.HasSSE41 && cpu.X86.HasSSSE3
	case "arm64":
		return cpu.ARM64.HasAES && cpu.ARM64.HasPMULL
	case "s390x":
		return cpu.S390X.HasAES && cpu.S390X.HasAESCTR && cpu.S390X.HasAESGCM
	}
	return strings.HasPrefix(runtime.GOARCH, "ppc64") // of all that Go runs on
}
