// Package installer is what turns a build into something a person can install.
//
// `make dist` (installer/pack) packs the two programs into a .tar.gz, a .deb and
// an .rpm each and writes manifest.json beside them: the release. A relay gets a
// folder with such a release (its own packages carry the agent's files along),
// offers the agent's files at /download/<name>, and renders the script at
// /install.sh from the manifest, with its own address and every file's SHA-256
// inside:
//
//	curl -fsSL RELAY/install.sh | sudo sh -s -- --token TOKEN
//
// The console's command (Command) does the same, and runs the script only if its
// SHA-256 is the one that the command carries.
//
// The script picks the file for the machine, checks size and SHA-256, installs
// it and runs `oriel-agent install --relay RELAY` with the token, which enrolls
// the computer and makes the service, whichever way the program came. The
// packages carry systemd's units, which start nothing by themselves: the
// relay's waits for its administrator, the agent's for `oriel-agent install`.
// Where there is no systemd that command writes a SysV script. An update
// restarts what runs; removal stops it and takes away all that install made.
//
// What reaches a shell here is either a constant, or was matched against a
// narrow pattern first and is quoted all the same. The manifest is trusted as
// far as the folder it lies in; a name in it can still not leave that folder.
package installer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

// ManifestName is the manifest's name in a release's folder.
const ManifestName = "manifest.json"

// The two programs of a release.
const (
	Agent = "oriel-agent"
	Relay = "oriel-relay"
)

// The kinds of file, as in File.Kind.
const (
	Archive = "tar.gz"
	Debian  = "deb"
	RedHat  = "rpm"
)

const (
	maxManifest = 1 << 20 // bytes
	maxFiles    = 256
	maxSize     = 4 << 30 // bytes of one file
)

// ErrNoRelease: the folder has no manifest. A relay without a release runs, and
// has nothing to download.
var ErrNoRelease = errors.New("no release in this folder")

// Manifest lists the files of a release, sorted by name.
type Manifest struct {
	Version string `json:"version"` // without a v: 1.2.3, 1.2.3-rc1
	Files   []File `json:"files"`
}

// File is one file of a release.
type File struct {
	Name    string `json:"name"`    // in the release's folder
	Program string `json:"program"` // Agent or Relay
	OS      string `json:"os"`      // as Go names it: linux
	Arch    string `json:"arch"`    // as Go names it: amd64, arm64
	Kind    string `json:"kind"`    // Archive, Debian or RedHat
	Size    int64  `json:"size"`    // bytes
	SHA256  string `json:"sha256"`  // 64 lower-case hexadecimal digits
}

var (
	versionForm = regexp.MustCompile(`^[0-9][0-9A-Za-z.+-]{0,63}$`)
	nameForm    = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._+~-]{0,127}$`)
	wordForm    = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,31}$`)
	hashForm    = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Load reads the manifest of the release in dir. It checks the manifest's form,
// not the files' hashes: who installs does that. Errors: ErrNoRelease; anything
// else says what is wrong with the manifest.
func Load(dir string) (Manifest, error) {
	f, err := os.Open(filepath.Join(dir, ManifestName))
	if errors.Is(err, os.ErrNotExist) {
		return Manifest{}, fmt.Errorf("%s: %w", dir, ErrNoRelease)
	}
	if err != nil {
		return Manifest{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return Manifest{}, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	m, err := Parse(text)
	if err != nil {
		return Manifest{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return m, nil
}

// Parse reads a manifest and checks it as Load does.
func Parse(text []byte) (Manifest, error) {
	var m Manifest
	if len(text) > maxManifest {
		return m, fmt.Errorf("manifest of more than %d bytes", maxManifest)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	if err := m.check(); err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

func (m Manifest) check() error {
	if !versionForm.MatchString(m.Version) {
		return fmt.Errorf("%q is no version", m.Version)
	}
	if len(m.Files) > maxFiles {
		return fmt.Errorf("%d files, %d are the limit", len(m.Files), maxFiles)
	}
	seen := map[string]bool{}
	for _, f := range m.Files {
		switch {
		case !nameForm.MatchString(f.Name):
			return fmt.Errorf("%q is no file name", f.Name)
		case seen[f.Name]:
			return fmt.Errorf("%s is listed twice", f.Name)
		case !wordForm.MatchString(f.Program), !wordForm.MatchString(f.OS), !wordForm.MatchString(f.Arch), !wordForm.MatchString(f.Kind):
			return fmt.Errorf("%s: program, os, arch and kind must be plain words", f.Name)
		case f.Size <= 0 || f.Size > maxSize:
			return fmt.Errorf("%s: a size of %d bytes", f.Name, f.Size)
		case !hashForm.MatchString(f.SHA256):
			return fmt.Errorf("%s: %q is no SHA-256", f.Name, f.SHA256)
		}
		seen[f.Name] = true
	}
	return nil
}

// Of returns the files of one program.
func (m Manifest) Of(program string) []File {
	var files []File
	for _, f := range m.Files {
		if f.Program == program {
			files = append(files, f)
		}
	}
	return files
}

// Find returns the file with that name.
func (m Manifest) Find(name string) (File, bool) {
	for _, f := range m.Files {
		if f.Name == name {
			return f, true
		}
	}
	return File{}, false
}
