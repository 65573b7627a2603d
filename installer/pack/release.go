package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"oriel/installer"
)

// release is what to make, and from what.
type release struct {
	version        string
	agents, relays []string // binaries, one for each processor
	kind           string   // the only one to make; empty: all
	unit, license  string
	out            string
	at             time.Time // of every file in the release
}

// make builds the release in a folder beside out and puts it in out's place
// when it is complete.
func (r release) make() (installer.Manifest, error) {
	if len(r.agents) == 0 && len(r.relays) == 0 {
		return installer.Manifest{}, errors.New("name at least one binary with -agent or -relay")
	}
	out := filepath.Clean(r.out)
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return installer.Manifest{}, err
	}
	work, err := os.MkdirTemp(filepath.Dir(out), ".release-*")
	if err != nil {
		return installer.Manifest{}, err
	}
	defer os.RemoveAll(work)
	if err := os.Chmod(work, 0o755); err != nil {
		return installer.Manifest{}, err
	}

	support, err := os.MkdirTemp("", "oriel-pack-*") // what nfpm wants as files
	if err != nil {
		return installer.Manifest{}, err
	}
	defer os.RemoveAll(support)
	if err := os.CopyFS(support, supportFiles); err != nil {
		return installer.Manifest{}, err
	}

	m := installer.Manifest{Version: r.version}
	for _, path := range r.agents {
		made, err := r.pack(work, installer.Agent, path, agentPayload(filepath.Join(support, "files"), r.unit))
		if err != nil {
			return m, fmt.Errorf("%s: %w", path, err)
		}
		m.Files = append(m.Files, made...)
	}
	// A relay's package brings the agents that this relay hands out.
	downloads := filepath.Join(support, "downloads")
	if err := writeManifest(downloads, m); err != nil {
		return m, err
	}
	for _, path := range r.relays {
		made, err := r.pack(work, installer.Relay, path, relayPayload(filepath.Join(support, "files"), work, downloads, m.Of(installer.Agent)))
		if err != nil {
			return m, fmt.Errorf("%s: %w", path, err)
		}
		m.Files = append(m.Files, made...)
	}
	if err := writeManifest(work, m); err != nil {
		return m, err
	}
	if err := writeSums(work, m); err != nil {
		return m, err
	}
	if err := os.RemoveAll(out); err != nil {
		return m, err
	}
	return m, os.Rename(work, out)
}

// pack makes the three files of one program for one processor in dir.
func (r release) pack(dir, program, path string, p payload) ([]installer.File, error) {
	bin, err := inspect(path)
	if err != nil {
		return nil, err
	}
	p.program, p.binary, p.version, p.license, p.at = program, bin, r.version, r.license, r.at

	var made []installer.File
	for _, kind := range []struct {
		name  string
		write func(payload, io.Writer) error
	}{
		{installer.Archive, payload.archive},
		{installer.Debian, payload.debian},
		{installer.RedHat, payload.redHat},
	} {
		if r.kind != "" && r.kind != kind.name {
			continue
		}
		file := installer.File{
			Name:    fmt.Sprintf("%s_%s_linux_%s.%s", program, r.version, bin.arch, kind.name),
			Program: program, OS: "linux", Arch: bin.arch, Kind: kind.name,
		}
		f, err := os.OpenFile(filepath.Join(dir, file.Name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		sum := sha256.New()
		err = kind.write(p, io.MultiWriter(f, sum))
		if err == nil {
			file.Size, err = f.Seek(0, io.SeekCurrent)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name, err)
		}
		file.SHA256 = hex.EncodeToString(sum.Sum(nil))
		made = append(made, file)
	}
	if len(made) == 0 {
		return nil, fmt.Errorf("%s is no kind of package; there are tar.gz, deb and rpm", r.kind)
	}
	return made, nil
}

func writeManifest(dir string, m installer.Manifest) error {
	m.Files = slices.SortedFunc(slices.Values(m.Files), func(a, b installer.File) int { return cmp.Compare(a.Name, b.Name) })
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if _, err := installer.Parse(text); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, installer.ManifestName), append(text, '\n'), 0o644)
}

// writeSums writes what `sha256sum -c` reads.
func writeSums(dir string, m installer.Manifest) error {
	var text []byte
	for _, f := range m.Files {
		text = fmt.Appendf(text, "%s  %s\n", f.SHA256, f.Name)
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), text, 0o644)
}
