package main

import (
	"archive/tar"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"

	"oriel/installer"
)

// The relay's unit and configuration, and the scripts that package managers run.
//
//go:embed files
var supportFiles embed.FS

// payload is what one program's files of a release contain.
type payload struct {
	program string
	binary  binary
	version string
	license string
	at      time.Time

	description string
	scripts     nfpm.Scripts
	recommends  []string
	rpmDepends  []string // what every Debian has
	contents    []content
}

// content is one file beside the program and its license.
type content struct {
	source string
	// in packages, absolute; where it lies in the archive is archived
	installed, archived string
	config              bool // kept when its owner changed it
}

func agentPayload(support, unit string) payload {
	return payload{
		description: "Oriel agent: this computer's screen in the browser of those who may see it.\n" +
			"Enroll it with: oriel-agent install --relay URL --token TOKEN",
		scripts: nfpm.Scripts{
			PostInstall: filepath.Join(support, "agent.postinst"),
			PreRemove:   filepath.Join(support, "agent.prerm"),
			PostRemove:  filepath.Join(support, "agent.postrm"),
		},
		contents: []content{
			{source: unit, installed: "/usr/lib/systemd/system/oriel-agent.service", archived: "oriel-agent.service"},
		},
	}
}

func relayPayload(support, release, downloads string, agents []installer.File) payload {
	p := payload{
		description: "Oriel relay: signs people in, introduces browsers to computers, keeps the journal.\n" +
			"Configure it in /etc/oriel/relay.yaml, then: systemctl enable --now oriel-relay",
		scripts: nfpm.Scripts{
			PostInstall: filepath.Join(support, "relay.postinst"),
			PreRemove:   filepath.Join(support, "relay.prerm"),
			PostRemove:  filepath.Join(support, "relay.postrm"),
		},
		recommends: []string{"ca-certificates"},
		rpmDepends: []string{"/usr/sbin/useradd", "/usr/sbin/groupadd"},
		contents: []content{
			{source: filepath.Join(support, "oriel-relay.service"), installed: "/usr/lib/systemd/system/oriel-relay.service", archived: "oriel-relay.service"},
			{source: filepath.Join(support, "relay.yaml"), installed: "/etc/oriel/relay.yaml", archived: "relay.yaml", config: true},
			{source: filepath.Join(downloads, installer.ManifestName), installed: "/usr/share/oriel-relay/downloads/" + installer.ManifestName, archived: "downloads/" + installer.ManifestName},
		},
	}
	for _, f := range agents {
		p.contents = append(p.contents, content{
			source:    filepath.Join(release, f.Name),
			installed: "/usr/share/oriel-relay/downloads/" + f.Name,
			archived:  "downloads/" + f.Name,
		})
	}
	return p
}

// archive writes a .tar.gz with everything in one folder.
func (p payload) archive(w io.Writer) error {
	zipped := gzip.NewWriter(w)
	out := tar.NewWriter(zipped)
	folder := fmt.Sprintf("%s-%s-linux-%s", p.program, p.version, p.binary.arch)
	add := func(name, source string, mode int64) error {
		f, err := os.Open(source)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		err = out.WriteHeader(&tar.Header{
			Name: path.Join(folder, name), Mode: mode, Size: info.Size(), ModTime: p.at,
			Uname: "root", Gname: "root", Format: tar.FormatUSTAR,
		})
		if err != nil {
			return err
		}
		_, err = io.Copy(out, f)
		return err
	}
	if err := add(p.program, p.binary.path, 0o755); err != nil {
		return err
	}
	if err := add("LICENSE", p.license, 0o644); err != nil {
		return err
	}
	for _, c := range p.contents {
		if err := add(c.archived, c.source, 0o644); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	return zipped.Close()
}

func (p payload) debian(w io.Writer) error {
	info := p.info()
	info.Depends = p.binary.deb
	info.Section = "net"
	info.Priority = "optional"
	return deb.Default.Package(info, w)
}

func (p payload) redHat(w io.Writer) error {
	info := p.info()
	info.Depends = append(slices.Clone(p.binary.rpm), p.rpmDepends...)
	info.RPM.BuildHost = "oriel"
	info.RPM.Summary = p.program
	return rpm.DefaultRPM.Package(info, w)
}

func (p payload) info() *nfpm.Info {
	info := &nfpm.Info{
		Name:        p.program,
		Arch:        p.binary.arch,
		Platform:    "linux",
		Version:     p.version,
		Release:     "1",
		Maintainer:  "The Oriel authors <oriel@localhost>",
		Description: p.description,
		License:     "Apache-2.0",
		MTime:       p.at,
		// names in contents are meant as they are
		DisableGlobbing: true,
		Overridables: nfpm.Overridables{
			Scripts:    p.scripts,
			Recommends: p.recommends,
		},
	}
	place := func(source, destination string, mode os.FileMode, kind string) {
		// Folders of our own go with the package. dpkg knows that, rpm must be told.
		for dir := path.Dir(destination); strings.Contains(dir, "/oriel"); dir = path.Dir(dir) {
			if !slices.ContainsFunc(info.Contents, func(c *files.Content) bool { return c.Destination == dir }) {
				info.Contents = append(info.Contents, &files.Content{
					Destination: dir, Type: files.TypeDir,
					FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: 0o755, MTime: p.at},
				})
			}
		}
		info.Contents = append(info.Contents, &files.Content{
			Source: source, Destination: destination, Type: kind,
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: p.at},
		})
	}
	place(p.binary.path, "/usr/bin/"+p.program, 0o755, files.TypeFile)
	place(p.license, "/usr/share/doc/"+p.program+"/copyright", 0o644, files.TypeFile)
	for _, c := range p.contents {
		if c.config {
			place(c.source, c.installed, 0o640, files.TypeConfigNoReplace)
		} else {
			place(c.source, c.installed, 0o644, files.TypeFile)
		}
	}
	return nfpm.WithDefaults(info)
}
