package host

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"

	orielv1 "oriel/protocol/oriel/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What this machine says of itself by other ways.
func TestThisMachine(t *testing.T) {
	inv := Inventory(t.Context(), "1.2.3")
	b, err := orielv1.Encode(inv)
	if err != nil {
		t.Fatalf("cannot be sent: %v", err)
	}
	t.Logf("%d bytes, %d packages", len(b), len(inv.GetHardware().GetSoftware()))
	g, h := inv.GetGeneral(), inv.GetHardware()
	name, _ := os.Hostname()
	for what, ok := range map[string]bool{
		"taken at":      inv.GetTakenAt() > 0,
		"agent version": g.GetAgentVersion() == "1.2.3",
		"host name":     strings.HasPrefix(name, g.GetHostName()) && g.GetHostName() != "",
		"os":            g.GetOsName() != "" && g.GetOs() == "linux" && g.GetArch() != "",
		"kernel":        strings.TrimSpace(command(t, "uname", "-r")) == g.GetKernel(),
		"cpu":           g.GetCpu() != "" && g.GetCpus() > 0 && len(h.GetProcessors()) > 0 && h.GetProcessors()[0].GetCores() > 0,
		"memory":        g.GetMemoryTotal() > 64<<20 && g.GetMemoryUsed() < g.GetMemoryTotal(),
		"booted":        g.GetBootedAt() > 0 && g.GetBootedAt() < inv.GetTakenAt(),
		"time zone":     g.GetTimeZone() != "" || read("/etc/timezone") == "",
	} {
		if !ok {
			t.Errorf("%s is wrong: %v", what, inv)
		}
	}
	if dpkg, err := exec.LookPath("dpkg-query"); err == nil {
		out := command(t, dpkg, "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n")
		var want []string
		for l := range strings.Lines(out) {
			if f := strings.Fields(l); len(f) == 3 && f[0] == "installed" {
				want = append(want, f[1]+" "+f[2])
			}
		}
		var got []string
		for _, s := range h.GetSoftware() {
			got = append(got, s.GetName()+" "+s.GetVersion())
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("software: %d packages, dpkg-query says %d", len(got), len(want))
		}
	}
	s := Summary(t.Context())
	if _, err := orielv1.Encode(s); err != nil || s.GetHostName() != g.GetHostName() || !slices.Equal(s.GetAddresses(), g.GetAddresses()) {
		t.Errorf("summary: %v, %v", s, err)
	}
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out)
}

func TestMachineIDIsStableAndNotTheSystems(t *testing.T) {
	id := MachineID(t.Context())
	if id != MachineID(t.Context()) || len(id) > 128 {
		t.Fatalf("machine id %q", id)
	}
	if raw := read("/etc/machine-id"); raw != "" && (id == "" || strings.Contains(id, raw)) {
		t.Fatalf("machine id %q gives the system's away", id)
	}
}

func TestDigestMindsWhatMatters(t *testing.T) {
	base := func() *orielv1.Inventory {
		return &orielv1.Inventory{TakenAt: 1,
			General:  &orielv1.General{MemoryUsed: 1, Volumes: []*orielv1.Volume{{Path: "/", Used: 1, Total: 9}}},
			Hardware: &orielv1.Hardware{Software: []*orielv1.Software{{Name: "a", Version: "1"}}, Processors: []*orielv1.Processor{{Mhz: 1}}}}
	}
	for name, c := range map[string]struct {
		change func(*orielv1.Inventory)
		same   bool
	}{
		"time":            {func(i *orielv1.Inventory) { i.TakenAt = 2 }, true},
		"memory in use":   {func(i *orielv1.Inventory) { i.General.MemoryUsed = 2 }, true},
		"disk in use":     {func(i *orielv1.Inventory) { i.General.Volumes[0].Used = 2 }, true},
		"clock of a core": {func(i *orielv1.Inventory) { i.Hardware.Processors[0].Mhz = 2 }, true},
		"disk size":       {func(i *orielv1.Inventory) { i.General.Volumes[0].Total = 2 }, false},
		"update":          {func(i *orielv1.Inventory) { i.Hardware.Software[0].Version = "2" }, false},
		"address":         {func(i *orielv1.Inventory) { i.General.Addresses = []string{"10.0.0.1"} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := base(), base()
			c.change(after)
			if got := Digest(before) == Digest(after); got != c.same {
				t.Fatalf("same digest: %v, want %v", got, c.same)
			}
		})
	}
}

// Texts and lists of any kind come out within their bounds.
func FuzzBounded(f *testing.F) {
	f.Add("plain", 3)
	f.Add("a\x00b\nc\xff\u202e"+strings.Repeat("ü", 300), 20000)
	f.Add("\x80"+strings.Repeat("\xf0\x9f\x98\x80", 200), 70)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = min(max(n, 0), 20000)
		inv := &orielv1.Inventory{
			General: &orielv1.General{OsName: s, TimeZone: s, Users: slices.Repeat([]string{s}, min(n, 200)), Volumes: []*orielv1.Volume{{Path: s, FileSystem: s}}},
			Hardware: &orielv1.Hardware{Serial: s, Software: slices.Repeat([]*orielv1.Software{{Name: s, Version: s}}, n),
				Adapters: []*orielv1.Adapter{{Mac: s, Addresses: slices.Repeat([]string{s}, min(n, 100))}}},
		}
		bound(inv.ProtoReflect())
		if err := orielv1.Check(inv); err != nil {
			t.Fatal(err)
		}
		if v := inv.General.OsName; !utf8.ValidString(v) || strings.ContainsAny(v, "\x00\n\r\t\u202e") {
			t.Fatalf("%q", v)
		}
	})
}

func TestFilesOfOtherMachines(t *testing.T) {
	dir := t.TempDir()
	file := func(path, text string) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file("drm/card0/device/vendor", "0x8086\n")
	file("drm/card0/device/device", "0x9a49\n")
	file("drm/card0/device/uevent", "DRIVER=i915\nPCI_ID=8086:9A49\n")
	file("drm/card0-HDMI-A-1/status", "connected\n")
	file("drm/card0-HDMI-A-1/modes", "1920x1080\n1280x720\n")
	file("drm/card0-DP-1/status", "disconnected\n")
	file("pci.ids", "# comment\n1002  AMD\n\t9a49  Wrong\n8086  Intel Corporation\n\t9a48  Other\n\t9a49  TigerLake-LP GT2\n\t\t1028 0a  Sub\n9999  Last\n")
	file("block/sda/size", "1000\n")
	file("block/sda/device/model", "QEMU HARDDISK   \n")
	file("block/loop0/size", "8\n")
	file("power/BAT0/type", "Battery\n")
	file("power/BAT0/model_name", "DELL 1\n")
	file("power/BAT0/capacity", "87\n")
	file("power/BAT0/status", "Discharging\n")
	file("power/AC/type", "Mains\n")
	file("printers.conf", "<DefaultPrinter Laser>\nInfo Office, 2nd floor\n</DefaultPrinter>\n<Printer Ink>\nInfo \n</Printer>\n")
	file("root/lib/apk/db/installed", "P:musl\nV:1.2\n\nP:busybox\nV:1.36\n")
	file("root/var/lib/pacman/local/gtk-update-icon-cache-1:4.12-1/desc", "")
	for what, c := range map[string]struct{ got, want string }{
		"gpus":      {strings.Join(gpus(dir+"/drm", []string{dir + "/none", dir + "/pci.ids"}), "|"), "Intel Corporation TigerLake-LP GT2 (i915)"},
		"no names":  {strings.Join(gpus(dir+"/drm", nil), "|"), "PCI 8086:9a49 (i915)"},
		"monitors":  {monitors(dir + "/drm")[0].String(), (&orielv1.Monitor{Name: "HDMI-A-1", Width: 1920, Height: 1080, Primary: true}).String()},
		"disks":     {disks(dir + "/block")[0].String(), (&orielv1.Disk{Name: "sda", Model: "QEMU HARDDISK", Size: 512000}).String()},
		"batteries": {strings.Join(batteries(dir+"/power"), "|"), "DELL 1 87 % discharging"},
		"printers":  {strings.Join(printers(dir+"/printers.conf"), "|"), "Laser (Office, 2nd floor)|Ink"},
		"software":  {names(software(dir + "/root")), "busybox 1.36|gtk-update-icon-cache 1:4.12-1|musl 1.2"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", what, c.got, c.want)
		}
	}
}

func names(all []*orielv1.Software) string {
	var s []string
	for _, p := range all {
		s = append(s, p.GetName()+" "+p.GetVersion())
	}
	return strings.Join(s, "|")
}

func TestLongLinesArePassedOver(t *testing.T) {
	long := "Package: " + strings.Repeat("x", 200<<10) + "\nPackage: b\nStatus: install ok installed\nVersion: 1\n"
	if got := names(dpkg(bytes.NewReader([]byte(long)))); got != "b 1" {
		t.Fatalf("got %q", got)
	}
}
