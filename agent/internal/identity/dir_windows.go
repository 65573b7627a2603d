package identity

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// DefaultDir is where the agent keeps its data when nothing else is said:
// ProgramData for an elevated process and the service, else the user's
// local application data.
func DefaultDir() (string, error) {
	id := windows.FOLDERID_LocalAppData
	if windows.GetCurrentProcessToken().IsElevated() {
		id = windows.FOLDERID_ProgramData
	}
	dir, err := windows.KnownFolderPath(id, 0)
	if err != nil {
		return "", fmt.Errorf("find the data directory: %w; name one with --data", err)
	}
	return filepath.Join(dir, "Oriel Agent"), nil
}
