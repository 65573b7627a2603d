package daemon

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/kardianos/service"
)

// The unit of an agent from a package, on its default data.
//
//go:embed oriel-agent.service
var packagedUnit string

// systemdUnit is that unit for another program, other data and arguments.
func systemdUnit(program, data string, args []string) string {
	lines := strings.SplitAfter(packagedUnit, "\n")
	for i, line := range lines {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "ConditionFileIsExecutable":
			value = percents.Replace(program)
		case "ConditionPathExists":
			value = percents.Replace(filepath.Join(data, filepath.Base(value)))
		case "ExecStart":
			value = unitWord(program)
			for _, a := range args {
				value += " " + unitWord(a)
			}
		default:
			continue
		}
		lines[i] = key + "=" + value + "\n"
	}
	return strings.Join(lines, "")
}

var (
	percents = strings.NewReplacer("%", "%%")
	plain    = regexp.MustCompile(`^[0-9A-Za-z/._:,+=@-]+$`)
)

// unitWord is text as one word of a unit's command line (systemd.service(5),
// "Command lines").
func unitWord(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(text) + `"`
}

// packaged is a systemd service with a package's unit, which is there whether
// the service is installed or not: it is when it is enabled and this computer
// enrolled. A person may have enabled it before, and data may stay behind.
type packaged struct {
	service.Service
	name, file string // of the unit
}

// packagedOr is s with the package's unit, if there is one and none in /etc,
// which would come before it.
func packagedOr(s service.Service, name string) service.Service {
	p := packaged{Service: s, name: name + ".service"}
	p.file = "/usr/lib/systemd/system/" + p.name
	if s.Platform() != "linux-systemd" || exists("/etc/systemd/system/"+p.name) || !exists(p.file) {
		return s
	}
	return p
}

// is reports whether that unit says the same as another.
func (p packaged) is(unit string) bool {
	b, err := os.ReadFile(p.file)
	return err == nil && string(b) == unit
}

func (p packaged) Install() error { return systemctl("enable", p.name) }

func (p packaged) Uninstall() error { return systemctl("disable", p.name) }

func (p packaged) Status() (service.Status, error) {
	status, err := p.Service.Status()
	if status != service.StatusRunning && !p.installed() {
		return service.StatusUnknown, service.ErrNotInstalled
	}
	return status, err
}

func (p packaged) installed() bool {
	_, state, _ := strings.Cut(packagedUnit, "\nConditionPathExists=")
	state, _, _ = strings.Cut(state, "\n")
	return exists(state) && systemctl("is-enabled", p.name) == nil
}

func systemctl(args ...string) error {
	if out, err := exec.Command("systemctl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
