// Package private trusts files and folders that were there before only where
// nobody else can have put them there, changed or read them. Agent and relay
// keep keys, identities, policies and databases in folders; whoever made such a
// folder first, or may write to one above it, is otherwise the one who says
// what is in it.
//
// On Unix a file or folder must belong to root or to the user that runs, have
// no write permission for group and others, and be no symbolic link. Of every
// folder above, links followed step by step as the kernel does, the same holds;
// a sticky one (/tmp) passes, since what lies in it is checked in its turn. A
// folder above may be writable by a group that holds nobody but its owner, as
// systems with a umask of 002 make them. On Linux an access list (POSIX ACL) lets
// in nobody beyond the group's bits of the mode, which are its mask; so it counts
// where those are passed. Lists of NFSv4 and of macOS are not read.
//
// On Windows the owner must be SYSTEM, the administrators, TrustedInstaller or
// the user that runs, nobody else may change the file or folder, and it must be
// no reparse point; nobody else may delete, replace or give away a folder above.
//
// Open and ReadFile also refuse what others may read. On Windows a folder that
// others may only read is closed to them instead (MakeFolder, CheckFolder).
//
// An Error names the path, what is wrong with it, and the command that mends
// it. Nothing is repaired that somebody else could have written to: what is in
// it may be theirs.
package private

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrRefused is behind every Error.
var ErrRefused = errors.New("not trusted")

// Error is a path that is not trusted.
type Error struct {
	Path  string
	Wrong string // what, as the end of a sentence that begins with Path
	Mend  string // what to do
}

func (e *Error) Error() string { return e.Path + " " + e.Wrong + "; " + e.Mend }

// Is has errors.Is find ErrRefused.
func (e *Error) Is(target error) bool { return target == ErrRefused }

// MakeFolder makes the folder at path for this user alone, and those above it
// where they are missing, and then is CheckFolder. Nothing is made below a folder
// that is not trusted.
func MakeFolder(path string) error {
	if _, err := above(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return CheckFolder(path)
}

// CheckFolder reports whether nobody else can have written to the folder at
// path, or put it there. Errors: *Error, those of the file system.
func CheckFolder(path string) error {
	info, err := above(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &Error{path, "is no folder", "move it away, or name another folder"}
	}
	return checkFolder(path, info)
}

// CheckTarget reports whether a file can be written at path so that nobody else
// chooses where it goes: the folders above are nobody else's, and what lies
// there already is no link and not somebody else's. Errors: *Error, those of the
// file system.
func CheckTarget(path string) error {
	folder, _ := filepath.Split(path)
	if _, err := above(folder + "."); err != nil {
		return err
	}
	if err := CheckFile(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// CheckFile reports whether nobody else can have written the file at path,
// whoever may read it; the folders above are not looked at. Errors: *Error,
// fs.ErrNotExist and others of the file system.
func CheckFile(path string) error {
	f, err := open(path, false)
	if err != nil {
		return err
	}
	return f.Close()
}

// Open opens a file to read that nobody else can read or have written. The
// folders above are not looked at: they are CheckFolder's. Errors: *Error, those
// of the file system.
func Open(path string) (*os.File, error) { return open(path, true) }

// ReadFile is what Open's file says, of at most limit bytes.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is too large", path)
	}
	return b, err
}

// CheckGiven reports whether a file with a secret that an administrator named,
// a certificate's key say, is closed to strangers. Such files have programs of
// their own that renew them: links, any owner, and a group that may read are
// their affair. (On Windows the owner counts.) Errors: *Error, those of the file
// system.
func CheckGiven(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return checkGiven(path, info)
}

// above checks every folder above path, and returns what lies at path itself:
// no link.
func above(path string) (fs.FileInfo, error) {
	if !filepath.IsAbs(path) {
		// Not filepath.Abs, which would take ".." away before links are followed.
		here, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		path = here + string(filepath.Separator) + path
	}
	volume := filepath.VolumeName(path)
	at := volume + string(filepath.Separator)
	rest := parts(path[len(volume):])
	for followed := 0; len(rest) > 0; {
		info, err := os.Lstat(at)
		if err != nil {
			return nil, err
		}
		if err := checkAbove(at, info); err != nil {
			return nil, err
		}
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		if info, err = os.Lstat(next); err != nil {
			return nil, err
		}
		if !isLink(info) {
			at = next
			continue
		}
		if len(rest) == 0 {
			return nil, &Error{path, "is a link", "name the place that it leads to"}
		}
		if followed++; followed > 40 { // as many as Linux follows
			return nil, &Error{path, "has too many links on its way", "name the place that they lead to"}
		}
		if err := checkAbove(next, info); err != nil {
			return nil, err
		}
		to, err := os.Readlink(next)
		if err != nil {
			return nil, err
		}
		if filepath.IsAbs(to) {
			at = filepath.VolumeName(to) + string(filepath.Separator)
			to = to[len(filepath.VolumeName(to)):]
		}
		rest = append(parts(to), rest...)
	}
	return os.Lstat(at)
}

func parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r < 0x80 && os.IsPathSeparator(uint8(r)) })
}
