//go:build !linux && !darwin && !windows

package identity

import (
	"fmt"
	"os"
	"path/filepath"
)

// DefaultDir is where the agent keeps its data when nothing else is said.
func DefaultDir() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the data directory: %w; name one with --data", err)
	}
	return filepath.Join(dir, "oriel-agent"), nil
}
