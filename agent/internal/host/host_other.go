//go:build !linux

package host

import (
	"context"
	"net"
	"strings"
	"time"

	gopsutil "github.com/shirou/gopsutil/v3/host"

	orielv1 "oriel/protocol/oriel/v1"
)

func osName(ctx context.Context) string {
	platform, _, version, _ := gopsutil.PlatformInformationWithContext(ctx)
	return strings.TrimSpace(platform + " " + version)
}

// What is below is known by gopsutil or not at all on this system.

func screenUser() string { return "" }

func searchDomain() string { return "" }

func timeZone() string { return time.Local.String() }

func addHardware(*orielv1.Hardware) {}

// builtIn reports whether an adapter has an address that its maker gave it.
func builtIn(a net.Interface) bool { return a.HardwareAddr[0]&2 == 0 }
