package api

import (
	"context"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/rights"
)

// Inventory is everything known of a machine (feature F6).
type Inventory struct {
	TakenAt  time.Time `json:"taken_at"`
	General  General   `json:"general"`
	Hardware Hardware  `json:"hardware"`
}

// General is its first tab.
type General struct {
	OS             string     `json:"os"`
	OSName         string     `json:"os_name"`
	OSVersion      string     `json:"os_version"`
	Kernel         string     `json:"kernel"`
	Arch           string     `json:"arch"`
	HostName       string     `json:"host_name"`
	Domain         string     `json:"domain"`
	Users          []string   `json:"users" nullable:"false"`
	TimeZone       string     `json:"time_zone"`
	BootedAt       *time.Time `json:"booted_at,omitempty"`
	Addresses      []string   `json:"addresses" nullable:"false"`
	AgentVersion   string     `json:"agent_version"`
	CPU            string     `json:"cpu"`
	CPUs           uint32     `json:"cpus" doc:"Logical processors."`
	MemoryTotal    uint64     `json:"memory_total" doc:"Bytes."`
	MemoryUsed     uint64     `json:"memory_used" doc:"Bytes."`
	Volumes        []Volume   `json:"volumes" nullable:"false"`
	Virtualization string     `json:"virtualization"`
}

// Hardware is its second tab.
type Hardware struct {
	System      string      `json:"system" doc:"Vendor and model."`
	Serial      string      `json:"serial"`
	Board       string      `json:"board"`
	BIOS        string      `json:"bios"`
	Processors  []Processor `json:"processors" nullable:"false"`
	MemoryTotal uint64      `json:"memory_total" doc:"Bytes."`
	SwapTotal   uint64      `json:"swap_total" doc:"Bytes."`
	GPUs        []string    `json:"gpus" nullable:"false"`
	Monitors    []Monitor   `json:"monitors" nullable:"false"`
	Disks       []Disk      `json:"disks" nullable:"false"`
	Volumes     []Volume    `json:"volumes" nullable:"false"`
	Adapters    []Adapter   `json:"adapters" nullable:"false"`
	Batteries   []string    `json:"batteries" nullable:"false"`
	Printers    []string    `json:"printers" nullable:"false"`
	Software    []Software  `json:"software" nullable:"false"`
}

// Processor is one socket.
type Processor struct {
	Model string `json:"model"`
	Cores uint32 `json:"cores"`
	MHz   uint32 `json:"mhz"`
}

// Monitor is one screen.
type Monitor struct {
	Name    string `json:"name"`
	Width   uint32 `json:"width"`
	Height  uint32 `json:"height"`
	Primary bool   `json:"primary"`
}

// Disk is one drive.
type Disk struct {
	Name  string `json:"name"`
	Model string `json:"model"`
	Size  uint64 `json:"size" doc:"Bytes."`
}

// Volume is one mounted file system.
type Volume struct {
	Path       string `json:"path"`
	Device     string `json:"device"`
	FileSystem string `json:"file_system"`
	Total      uint64 `json:"total" doc:"Bytes."`
	Used       uint64 `json:"used" doc:"Bytes."`
}

// Adapter is one network interface.
type Adapter struct {
	Name      string   `json:"name"`
	MAC       string   `json:"mac"`
	Addresses []string `json:"addresses" nullable:"false"`
	MTU       uint32   `json:"mtu"`
	Up        bool     `json:"up"`
}

// Software is one installed program.
type Software struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type inventoryOut struct{ Body Inventory }

func (a *API) inventory(ctx context.Context, in *idIn) (*inventoryOut, error) {
	if err := a.require(ctx, rights.See, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	return a.known(ctx, in.ID)
}

func (a *API) refresh(ctx context.Context, in *idIn) (*inventoryOut, error) {
	if err := a.require(ctx, rights.See, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	if err := a.o.Fleet.Refresh(ctx, own(ctx, in.ID)); err != nil {
		return nil, err
	}
	return a.known(ctx, in.ID)
}

// known is the inventory that the computer sent last.
func (a *API) known(ctx context.Context, id string) (*inventoryOut, error) {
	i, err := a.o.Fleet.Inventory(ctx, own(ctx, id))
	if err != nil {
		return nil, err
	}
	return &inventoryOut{inventoryOf(i)}, nil
}

func inventoryOf(i *orielv1.Inventory) Inventory {
	g, h := i.GetGeneral(), i.GetHardware()
	return Inventory{
		TakenAt: when(i.GetTakenAt()),
		General: General{
			OS: g.GetOs(), OSName: g.GetOsName(), OSVersion: g.GetOsVersion(), Kernel: g.GetKernel(), Arch: g.GetArch(),
			HostName: g.GetHostName(), Domain: g.GetDomain(), Users: list(g.GetUsers()), TimeZone: g.GetTimeZone(),
			BootedAt: maybe(g.GetBootedAt()), Addresses: list(g.GetAddresses()), AgentVersion: g.GetAgentVersion(),
			CPU: g.GetCpu(), CPUs: g.GetCpus(), MemoryTotal: g.GetMemoryTotal(), MemoryUsed: g.GetMemoryUsed(),
			Volumes: each(g.GetVolumes(), volumeOf), Virtualization: g.GetVirtualization(),
		},
		Hardware: Hardware{
			System: h.GetSystem(), Serial: h.GetSerial(), Board: h.GetBoard(), BIOS: h.GetBios(),
			Processors: each(h.GetProcessors(), func(p *orielv1.Processor) Processor {
				return Processor{p.GetModel(), p.GetCores(), p.GetMhz()}
			}),
			MemoryTotal: h.GetMemoryTotal(), SwapTotal: h.GetSwapTotal(), GPUs: list(h.GetGpus()),
			Monitors: each(h.GetMonitors(), func(m *orielv1.Monitor) Monitor {
				return Monitor{m.GetName(), m.GetWidth(), m.GetHeight(), m.GetPrimary()}
			}),
			Disks: each(h.GetDisks(), func(d *orielv1.Disk) Disk {
				return Disk{d.GetName(), d.GetModel(), d.GetSize()}
			}),
			Volumes: each(h.GetVolumes(), volumeOf),
			Adapters: each(h.GetAdapters(), func(n *orielv1.Adapter) Adapter {
				return Adapter{n.GetName(), n.GetMac(), list(n.GetAddresses()), n.GetMtu(), n.GetUp()}
			}),
			Batteries: list(h.GetBatteries()), Printers: list(h.GetPrinters()),
			Software: each(h.GetSoftware(), func(s *orielv1.Software) Software {
				return Software{s.GetName(), s.GetVersion()}
			}),
		},
	}
}

func volumeOf(v *orielv1.Volume) Volume {
	return Volume{v.GetPath(), v.GetDevice(), v.GetFileSystem(), v.GetTotal(), v.GetUsed()}
}

func each[P, T any](from []P, fn func(P) T) []T {
	to := make([]T, len(from))
	for i, one := range from {
		to[i] = fn(one)
	}
	return to
}
