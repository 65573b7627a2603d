package identity

import (
	"fmt"
	"os"
	"path/filepath"
)

// DefaultDir is where the agent keeps its data when nothing else is said:
// the system's Application Support for root, else the user's.
func DefaultDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/Library/Application Support/Oriel Agent", nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the data directory: %w; name one with --data", err)
	}
	return filepath.Join(dir, "Oriel Agent"), nil
}
