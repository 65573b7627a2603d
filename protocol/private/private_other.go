//go:build !unix && !windows

package private

import (
	"errors"
	"io/fs"
	"os"
)

func mkdir(path string) error { return os.Mkdir(path, 0o700) }

func isLink(info fs.FileInfo) bool { return info.Mode()&fs.ModeSymlink != 0 }

func checkFolder(string, fs.FileInfo) error { return errors.ErrUnsupported }

func checkAbove(string, fs.FileInfo) error { return errors.ErrUnsupported }

func open(string, bool) (*os.File, error) { return nil, errors.ErrUnsupported }

func checkGiven(string, fs.FileInfo) error { return errors.ErrUnsupported }
