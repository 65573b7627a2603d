package host

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	orielv1 "oriel/protocol/oriel/v1"
)

// maxFile is how much of any one file is read: dpkg's list is the largest.
const maxFile = 64 << 20

// read is a small file as one trimmed text, empty where there is none.
func read(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 64<<10))
	return strings.TrimSpace(string(b))
}

// osName is what the system calls itself (os-release(5)).
func osName(context.Context) string {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		for l := range strings.Lines(read(path)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(l), "PRETTY_NAME="); ok {
				if name, err := strconv.Unquote(v); err == nil {
					return name
				}
				return strings.Trim(v, `'"`)
			}
		}
	}
	return "Linux"
}

// screenUser asks logind's files: the active session of a person at a seat.
// Where there is no logind, an agent that a person started on their display
// knows that person.
func screenUser() string {
	files, _ := filepath.Glob("/run/systemd/sessions/*")
	for _, f := range files {
		session := variables(f)
		if session["ACTIVE"] == "1" && session["CLASS"] == "user" && session["SEAT"] != "" && session["REMOTE"] != "1" {
			return session["USER"]
		}
	}
	if os.Geteuid() != 0 && os.Getenv("DISPLAY") != "" {
		return os.Getenv("USER")
	}
	return ""
}

// variables reads NAME=value lines.
func variables(path string) map[string]string {
	all := map[string]string{}
	for l := range strings.Lines(read(path)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(l), "="); ok {
			all[name] = value
		}
	}
	return all
}

func searchDomain() string {
	for l := range strings.Lines(read("/etc/resolv.conf")) {
		f := strings.Fields(l)
		if len(f) >= 2 && (f[0] == "domain" || f[0] == "search") && f[1] != "." {
			return f[1]
		}
	}
	return ""
}

func timeZone() string {
	if tz := os.Getenv("TZ"); tz != "" {
		return strings.TrimPrefix(tz, ":")
	}
	if target, err := filepath.EvalSymlinks("/etc/localtime"); err == nil {
		if _, zone, ok := strings.Cut(target, "zoneinfo/"); ok {
			return zone
		}
	}
	return read("/etc/timezone")
}

func addHardware(h *orielv1.Hardware) {
	dmi := func(names ...string) string {
		var words []string
		for _, n := range names {
			if w := read("/sys/class/dmi/id/" + n); w != "" && !slices.Contains(placeholders, strings.ToLower(w)) {
				words = append(words, w)
			}
		}
		return strings.Join(words, " ")
	}
	h.Board = dmi("board_vendor", "board_name", "board_version")
	h.Bios = dmi("bios_vendor", "bios_version", "bios_date")
	h.System = dmi("sys_vendor", "product_name", "product_version")
	if h.System == "" {
		h.System = strings.Trim(read("/proc/device-tree/model"), "\x00")
	}
	h.Serial = dmi("product_serial")
	h.Gpus = gpus("/sys/class/drm", pciNames)
	h.Disks = disks("/sys/block")
	h.Monitors = monitors("/sys/class/drm")
	h.Batteries = batteries("/sys/class/power_supply")
	h.Printers = printers("/etc/cups/printers.conf")
	h.Software = software("/")
}

// placeholders are what firmware says when it has nothing to say.
var placeholders = []string{"to be filled by o.e.m.", "default string", "system product name", "system manufacturer",
	"system version", "system serial number", "not specified", "not applicable", "none", "n/a", "0", "o.e.m."}

// pciNames are the usual places of the list of PCI ids.
var pciNames = []string{"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids", "/usr/share/pci.ids"}

// gpus are the graphics cards below dir (/sys/class/drm), named from the first
// list of ids that exists, else by their numbers.
func gpus(dir string, lists []string) []string {
	var all []string
	cards, _ := filepath.Glob(filepath.Join(dir, "card*"))
	for _, card := range cards {
		if strings.Contains(filepath.Base(card), "-") {
			continue // an output of a card
		}
		vendor := strings.TrimPrefix(read(filepath.Join(card, "device/vendor")), "0x")
		device := strings.TrimPrefix(read(filepath.Join(card, "device/device")), "0x")
		driver := variables(filepath.Join(card, "device/uevent"))["DRIVER"]
		name := pciName(lists, vendor, device)
		switch {
		case name == "" && vendor != "":
			name = "PCI " + vendor + ":" + device
		case name == "":
			name = driver
		}
		if driver != "" && name != driver {
			name += " (" + driver + ")"
		}
		if name != "" {
			all = append(all, name)
		}
	}
	return all
}

// pciName looks a device up in a pci.ids file: a vendor's line begins with its
// number, its devices follow, each behind one tab.
func pciName(lists []string, vendor, device string) string {
	if len(vendor) != 4 {
		return ""
	}
	for _, path := range lists {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		defer f.Close()
		found := ""
		lines := bufio.NewScanner(io.LimitReader(f, maxFile))
		for lines.Scan() {
			l := lines.Text()
			switch {
			case strings.HasPrefix(l, vendor+"  "):
				found = l[6:]
			case found != "" && strings.HasPrefix(l, "\t"+device+"  "):
				return found + " " + l[7:]
			case found != "" && !strings.HasPrefix(l, "\t") && !strings.HasPrefix(l, "#"):
				return found
			}
		}
		return found
	}
	return ""
}

// disks are the block devices below dir (/sys/block) that hold data.
func disks(dir string) []*orielv1.Disk {
	var all []*orielv1.Disk
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		name := e.Name()
		if slices.ContainsFunc([]string{"loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		sectors, _ := strconv.ParseUint(read(filepath.Join(dir, name, "size")), 10, 64)
		if sectors == 0 || sectors > 1<<54 {
			continue
		}
		model := strings.TrimSpace(read(filepath.Join(dir, name, "device/vendor")) + " " + read(filepath.Join(dir, name, "device/model")))
		if strings.HasPrefix(model, "0x") { // virtio gives its number
			model = ""
		}
		all = append(all, &orielv1.Disk{Name: name, Model: model, Size: sectors * 512})
	}
	return all
}

// monitors are the connected outputs below dir (/sys/class/drm) with their
// preferred mode.
func monitors(dir string) []*orielv1.Monitor {
	var all []*orielv1.Monitor
	outputs, _ := filepath.Glob(filepath.Join(dir, "card*-*"))
	for _, o := range outputs {
		if read(filepath.Join(o, "status")) != "connected" {
			continue
		}
		_, name, _ := strings.Cut(filepath.Base(o), "-")
		m := &orielv1.Monitor{Name: name, Primary: len(all) == 0}
		mode, _, _ := strings.Cut(read(filepath.Join(o, "modes")), "\n")
		if w, h, ok := strings.Cut(mode, "x"); ok {
			width, _ := strconv.ParseUint(w, 10, 16)
			height, _ := strconv.ParseUint(strings.TrimRight(h, "i"), 10, 16)
			m.Width, m.Height = uint32(width), uint32(height)
		}
		all = append(all, m)
	}
	return all
}

func batteries(dir string) []string {
	var all []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		p := filepath.Join(dir, e.Name())
		if read(filepath.Join(p, "type")) != "Battery" || read(filepath.Join(p, "scope")) == "Device" {
			continue // a mains adapter, or the battery of a mouse
		}
		words := []string{read(filepath.Join(p, "manufacturer")), read(filepath.Join(p, "model_name"))}
		if charge := read(filepath.Join(p, "capacity")); charge != "" {
			words = append(words, charge+" %")
		}
		words = append(words, strings.ToLower(read(filepath.Join(p, "status"))))
		all = append(all, strings.Join(strings.Fields(strings.Join(words, " ")), " "))
	}
	return all
}

// printers are those that CUPS knows (printers.conf(5)); only root may look.
func printers(path string) []string {
	var all []string
	for l := range strings.Lines(read(path)) {
		l = strings.TrimSpace(l)
		for _, tag := range []string{"<Printer ", "<DefaultPrinter "} {
			if name, ok := strings.CutPrefix(l, tag); ok {
				all = append(all, strings.TrimSuffix(name, ">"))
			}
		}
		if info, ok := strings.CutPrefix(l, "Info "); ok && len(all) > 0 && info != "" {
			all[len(all)-1] += " (" + info + ")"
		}
	}
	return all
}

// software is what the package manager below root has installed.
func software(root string) []*orielv1.Software {
	var all []*orielv1.Software
	for _, list := range []struct {
		path  string
		parse func(io.Reader) []*orielv1.Software
	}{
		{"var/lib/dpkg/status", dpkg},
		{"lib/apk/db/installed", apk},
	} {
		if f, err := os.Open(filepath.Join(root, list.path)); err == nil {
			all = append(all, list.parse(io.LimitReader(f, maxFile))...)
			f.Close()
		}
	}
	all = append(all, pacman(filepath.Join(root, "var/lib/pacman/local"))...)
	slices.SortStableFunc(all, func(a, b *orielv1.Software) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all
}

// dpkg reads deb822 paragraphs and keeps the packages that are installed.
func dpkg(r io.Reader) []*orielv1.Software {
	var all []*orielv1.Software
	var name, version string
	installed := false
	paragraph := func() {
		if name != "" && installed {
			all = append(all, &orielv1.Software{Name: name, Version: version})
		}
		name, version, installed = "", "", false
	}
	eachLine(r, func(l string) {
		if l == "" {
			paragraph()
			return
		}
		field, value, _ := strings.Cut(l, ": ")
		switch field {
		case "Package":
			name = value
		case "Version":
			version = value
		case "Status":
			installed = strings.HasSuffix(value, " installed")
		}
	})
	paragraph()
	return all
}

// apk reads Alpine's list: P: name, V: version, an empty line between.
func apk(r io.Reader) []*orielv1.Software {
	var all []*orielv1.Software
	p := &orielv1.Software{}
	paragraph := func() {
		if p.Name != "" {
			all = append(all, p)
		}
		p = &orielv1.Software{}
	}
	eachLine(r, func(l string) {
		if l == "" {
			paragraph()
		} else if v, ok := strings.CutPrefix(l, "P:"); ok {
			p.Name = v
		} else if v, ok := strings.CutPrefix(l, "V:"); ok {
			p.Version = v
		}
	})
	paragraph()
	return all
}

// pacman keeps one folder a package: name-version-release.
func pacman(dir string) []*orielv1.Software {
	var all []*orielv1.Software
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		parts := strings.Split(e.Name(), "-")
		if n := len(parts); e.IsDir() && n >= 3 {
			all = append(all, &orielv1.Software{Name: strings.Join(parts[:n-2], "-"), Version: strings.Join(parts[n-2:], "-")})
		}
	}
	return all
}

// eachLine calls f for every line of at most 64 KiB; longer ones are passed over.
func eachLine(r io.Reader, f func(string)) {
	b := bufio.NewReaderSize(r, 64<<10)
	for {
		l, long, err := b.ReadLine()
		if err != nil {
			return
		}
		if !long {
			f(string(bytes.TrimRight(l, "\r")))
			continue
		}
		for long && err == nil {
			_, long, err = b.ReadLine()
		}
	}
}

// builtIn reports whether an adapter is hardware with an address of its own that
// nobody unplugs: no bridge, no container's end of a pair, none on USB.
func builtIn(a net.Interface) bool {
	dir := filepath.Join("/sys/class/net", filepath.Base(a.Name))
	device, err := filepath.EvalSymlinks(filepath.Join(dir, "device"))
	return err == nil && !strings.Contains(device, "/usb") && read(filepath.Join(dir, "addr_assign_type")) == "0"
}
