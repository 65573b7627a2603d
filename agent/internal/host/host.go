// Package host is what is known about this machine: what a list shows of it
// (Summary), who sits in front of it (User), everything else (Inventory,
// feature F6) and what tells it from others (MachineID). It is gopsutil's only
// door; what gopsutil does not say is read from files (host_linux.go) or left
// empty. Nothing here runs a program.
//
// Every part is found on its own: one that fails is left empty and the rest is
// returned. Every text is made valid UTF-8 without control characters and cut
// to the bound its field has in agent.proto, and every list to its own, so
// that the result can always be encoded. The texts come from firmware, file
// systems and package lists, and are hostile to whoever shows them.
package host

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	gopsutil "github.com/shirou/gopsutil/v3/host"
	"github.com/shirou/gopsutil/v3/mem"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
)

// machineIDContext keeps the system's machine id, which other programs use as
// a secret of sorts, from leaving the machine.
const machineIDContext = "oriel machine id v1"

// MachineID tells this installation of the operating system from others; it
// outlives the agent. Empty where the system has none.
func MachineID(ctx context.Context) string {
	id, err := gopsutil.HostIDWithContext(ctx)
	if err != nil || id == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(machineIDContext))
	mac.Write([]byte(strings.ToLower(id)))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// Summary is what a list shows of this machine.
func Summary(ctx context.Context) *orielv1.Summary {
	s := &orielv1.Summary{
		HostName:  hostName(),
		Os:        runtime.GOOS,
		OsName:    osName(ctx),
		Arch:      runtime.GOARCH,
		User:      User(ctx),
		Addresses: addresses(),
	}
	bound(s.ProtoReflect())
	return s
}

// User is who is signed in at the screen; empty where nobody is.
func User(ctx context.Context) string {
	if u := screenUser(); u != "" {
		return sanitize.Line(u, orielv1.DefaultMaxLen)
	}
	users, _ := gopsutil.UsersWithContext(ctx)
	for _, u := range users {
		if isScreen(u.Terminal) || isScreen(u.Host) {
			return sanitize.Line(u.User, orielv1.DefaultMaxLen)
		}
	}
	return ""
}

// isScreen tells X displays (":0") and Windows and macOS consoles from the rest.
func isScreen(terminal string) bool {
	return strings.HasPrefix(terminal, ":") || terminal == "console"
}

// Inventory is everything known about this machine.
func Inventory(ctx context.Context, agentVersion string) *orielv1.Inventory {
	volumes := volumes(ctx)
	inv := &orielv1.Inventory{
		TakenAt:  time.Now().UnixMilli(),
		General:  general(ctx, agentVersion, volumes),
		Hardware: hardware(ctx, volumes),
	}
	bound(inv.ProtoReflect())
	return inv
}

func general(ctx context.Context, agentVersion string, volumes []*orielv1.Volume) *orielv1.General {
	g := &orielv1.General{
		Os: runtime.GOOS, OsName: osName(ctx), Arch: runtime.GOARCH,
		HostName: hostName(), Domain: domain(), TimeZone: timeZone(),
		Addresses: addresses(), AgentVersion: agentVersion,
		Cpus: uint32(runtime.NumCPU()), Volumes: volumes,
	}
	_, _, g.OsVersion, _ = gopsutil.PlatformInformationWithContext(ctx)
	g.Kernel, _ = gopsutil.KernelVersionWithContext(ctx)
	if boot, err := gopsutil.BootTimeWithContext(ctx); err == nil {
		g.BootedAt = int64(boot) * 1000
	}
	if system, role, err := gopsutil.VirtualizationWithContext(ctx); err == nil && role == "guest" {
		g.Virtualization = system
	}
	if m, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		g.MemoryTotal, g.MemoryUsed = m.Total, m.Used
	}
	if cpus, err := cpu.InfoWithContext(ctx); err == nil && len(cpus) > 0 {
		g.Cpu = cpus[0].ModelName
	}
	if n, err := cpu.CountsWithContext(ctx, true); err == nil {
		g.Cpus = uint32(n)
	}
	if at := User(ctx); at != "" {
		g.Users = append(g.Users, at)
	}
	users, _ := gopsutil.UsersWithContext(ctx)
	for _, u := range users {
		if !slices.Contains(g.Users, u.User) && u.User != "" {
			g.Users = append(g.Users, u.User)
		}
	}
	return g
}

func hardware(ctx context.Context, volumes []*orielv1.Volume) *orielv1.Hardware {
	h := &orielv1.Hardware{Volumes: volumes, Processors: processors(ctx), Adapters: adapters()}
	if m, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		h.MemoryTotal = m.Total
	}
	if m, err := mem.SwapMemoryWithContext(ctx); err == nil {
		h.SwapTotal = m.Total
	}
	addHardware(h)
	return h
}

// processors counts the cores of each socket.
func processors(ctx context.Context) []*orielv1.Processor {
	infos, err := cpu.InfoWithContext(ctx)
	if err != nil {
		return nil
	}
	type socket struct {
		p     *orielv1.Processor
		cores map[string]bool
	}
	var order []string
	sockets := map[string]*socket{}
	for _, i := range infos {
		s := sockets[i.PhysicalID]
		if s == nil {
			s = &socket{&orielv1.Processor{Model: i.ModelName, Mhz: uint32(max(i.Mhz, 0))}, map[string]bool{}}
			sockets[i.PhysicalID] = s
			order = append(order, i.PhysicalID)
		}
		if i.CoreID == "" { // one entry for the whole socket
			s.p.Cores += uint32(max(i.Cores, 0))
			continue
		}
		s.cores[i.CoreID] = true
	}
	var all []*orielv1.Processor
	for _, id := range order {
		s := sockets[id]
		s.p.Cores += uint32(len(s.cores))
		all = append(all, s.p)
	}
	return all
}

// volumes are the mounted file systems that hold data, each device once.
func volumes(ctx context.Context) []*orielv1.Volume {
	partitions, _ := disk.PartitionsWithContext(ctx, false)
	var all []*orielv1.Volume
	seen := map[string]bool{}
	for _, p := range partitions {
		if seen[p.Device] || strings.HasPrefix(p.Device, "/dev/loop") || !worthUsage(p.Fstype) {
			continue
		}
		seen[p.Device] = true
		v := &orielv1.Volume{Path: p.Mountpoint, Device: p.Device, FileSystem: p.Fstype}
		if u, err := disk.UsageWithContext(ctx, p.Mountpoint); err == nil {
			v.Total, v.Used = u.Total, u.Used
		}
		all = append(all, v)
	}
	return all
}

// worthUsage leaves out what has no size of its own, and network file systems,
// which may hang when their server is away.
func worthUsage(fs string) bool {
	switch fs {
	case "squashfs", "iso9660", "udf", "overlay", "nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "ceph", "glusterfs", "autofs":
		return false
	}
	return true
}

// addresses are those by which others may reach this machine, IPv4 first.
func addresses() []string {
	interfaces, _ := net.Interfaces()
	var four, six []string
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		for _, ip := range ips(i) {
			switch {
			case ip.IsLoopback(), ip.IsLinkLocalUnicast():
			case ip.To4() != nil:
				four = append(four, ip.String())
			default:
				six = append(six, ip.String())
			}
		}
	}
	return append(four, six...)
}

func ips(i net.Interface) []net.IP {
	addrs, _ := i.Addrs()
	var all []net.IP
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			all = append(all, n.IP)
		}
	}
	return all
}

func adapters() []*orielv1.Adapter {
	interfaces, _ := net.Interfaces()
	var all []*orielv1.Adapter
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback != 0 {
			continue
		}
		a := &orielv1.Adapter{Name: i.Name, Mac: i.HardwareAddr.String(), Mtu: uint32(max(i.MTU, 0)), Up: i.Flags&net.FlagUp != 0}
		for _, ip := range ips(i) {
			a.Addresses = append(a.Addresses, ip.String())
		}
		all = append(all, a)
	}
	return all
}

func hostName() string {
	name, _ := os.Hostname()
	short, _, _ := strings.Cut(name, ".")
	return short
}

func domain() string {
	name, _ := os.Hostname()
	_, d, _ := strings.Cut(name, ".")
	if d == "" {
		d = searchDomain()
	}
	return d
}
