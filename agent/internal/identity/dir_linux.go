package identity

import (
	"fmt"
	"os"
	"path/filepath"
)

// DefaultDir is where the agent keeps its data when nothing else is said:
// /var/lib/oriel-agent for root, else the user's XDG state directory.
func DefaultDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/oriel-agent", nil
	}
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "oriel-agent"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the data directory: %w; name one with --data", err)
	}
	return filepath.Join(home, ".local", "state", "oriel-agent"), nil
}
