// Package console is the web app, built by `npm run build` into dist and
// carried inside the relay's binary.
//
// A fresh clone has no build: the package compiles all the same, and Files
// says what to do.
package console

import (
	"embed"
	"errors"
	"io/fs"
)

// dist holds at least .keep, without which the directive would not compile.
//
//go:embed all:dist
var dist embed.FS

// ErrNotBuilt is returned by Files when the console was not built before the binary.
var ErrNotBuilt = errors.New("the console is not built: run `npm ci && npm run build` in console, then build the relay again")

// Files is the built console: index.html, favicon.svg and assets, whose names
// contain a hash of what is in them. Every other address of the console is
// answered with index.html. Errors: ErrNotBuilt.
func Files() (fs.FS, error) {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, err
	}
	if _, err := fs.Stat(files, "index.html"); err != nil {
		return nil, ErrNotBuilt
	}
	return files, nil
}
