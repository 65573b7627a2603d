package daemon

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

func privileged() bool { return windows.GetCurrentProcessToken().IsElevated() }

func programDir(name string) string { return filepath.Join(os.Getenv("ProgramFiles"), name) }

func isSystemDir(dir string) bool {
	return strings.HasPrefix(strings.ToLower(dir), strings.ToLower(os.Getenv("ProgramFiles"))+`\`)
}

func statusOf(_ string, err error) (State, error) { return "", err }

func removeLinks(string) {}
