package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"oriel/installer"
	"oriel/relay/internal/api"
	"oriel/relay/internal/fault"
)

// release is the folder with the packages of the agent. It is looked at again
// when its manifest changes, so that a new release needs no restart.
type release struct {
	dir  string
	base *url.URL

	mu       sync.Mutex
	read     time.Time          // protected by mu; modification time of what was read
	manifest installer.Manifest // protected by mu
	err      error              // protected by mu
}

var errNoRelease = errors.New("this relay has no packages to download")

func (d *release) load() (installer.Manifest, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	info, err := os.Stat(filepath.Join(d.dir, installer.ManifestName))
	if d.dir == "" || err != nil {
		return installer.Manifest{}, errNoRelease
	}
	if !info.ModTime().Equal(d.read) {
		d.manifest, d.err = installer.Load(d.dir)
		d.read = info.ModTime()
	}
	return d.manifest, d.err
}

func (d *release) agentFiles() []api.AgentFile {
	m, err := d.load()
	if err != nil {
		return nil
	}
	var list []api.AgentFile
	for _, f := range m.Of(installer.Agent) {
		list = append(list, api.AgentFile{OS: f.OS, Arch: f.Arch, Kind: f.Kind, Name: f.Name, Size: f.Size, SHA256: f.SHA256,
			URL: d.base.JoinPath("download", f.Name).String()})
	}
	return list
}

// text of the script that installs this release.
func (d *release) text() ([]byte, error) {
	m, err := d.load()
	if err != nil {
		return nil, err
	}
	return installer.Script(d.base.String(), m)
}

func (d *release) script(w http.ResponseWriter, r *http.Request) {
	text, err := d.text()
	if err != nil {
		// A shell that is fed this says it and fails.
		plain(w, http.StatusNotFound, fmt.Sprintf("echo 'oriel: %s; ask who runs it to put a release into its downloads folder' >&2; exit 1\n", errNoRelease))
		return
	}
	w.Header().Set("Content-Type", "text/x-shellscript; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

// download serves what the manifest lists and nothing else that lies there.
func (d *release) download(w http.ResponseWriter, r *http.Request) {
	m, err := d.load()
	f, listed := m.Find(r.PathValue("name"))
	if err != nil || !listed {
		fault.Write(w, errNoFile.Saying("no such file in this release; see what the console offers"))
		return
	}
	root, err := os.OpenRoot(d.dir) // a name or a link cannot lead out of it
	if err != nil {
		fault.Write(w, errNoFile.Saying(errNoRelease.Error()))
		return
	}
	defer root.Close()
	file, err := root.Open(f.Name)
	if err != nil {
		fault.Write(w, errNoFile.Saying("the file is listed but missing; put the whole release into the downloads folder"))
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != f.Size {
		fault.Write(w, errNoFile.Saying("the file is not the one listed; put the whole release into the downloads folder"))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", "attachment; filename=\""+f.Name+"\"")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+f.SHA256+`"`)
	http.ServeContent(w, r, "", time.Time{}, io.ReadSeeker(file))
}
