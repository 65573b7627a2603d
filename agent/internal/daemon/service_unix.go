//go:build unix

package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func privileged() bool { return os.Geteuid() == 0 }

func programDir(name string) string { return filepath.Join("/usr/local/lib", name) }

func isSystemDir(dir string) bool {
	return slices.Contains([]string{"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin"}, dir) ||
		strings.HasPrefix(dir, "/opt/") || strings.HasPrefix(dir, "/usr/lib/")
}

// statusOf reads what kardianos/service makes an error of: a SysV script that
// says "stopped" with LSB's exit code 3, and a script that is not there.
func statusOf(name string, err error) (State, error) {
	if _, missing := os.Stat("/etc/init.d/" + name); errors.Is(missing, fs.ErrNotExist) && exitCode(err) > 0 {
		return Missing, nil
	}
	if exitCode(err) == 3 {
		return Stopped, nil
	}
	if strings.Contains(err.Error(), "failed state") {
		return Stopped, nil
	}
	return "", err
}

// removeLinks takes away the run level links that are left of a SysV service.
func removeLinks(name string) {
	links, _ := filepath.Glob("/etc/rc?.d/[SK][0-9][0-9]" + name)
	for _, l := range links {
		_ = os.Remove(l)
	}
}
