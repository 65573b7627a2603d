//go:build unix

package private

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// somebody is a user that is neither root nor the one of the tests.
const somebody = 54321

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// give has path belong to somebody, which only root can do.
func give(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	must(t, os.Lchown(path, somebody, somebody))
}

func mode(t *testing.T, path string, m os.FileMode) {
	t.Helper()
	must(t, os.Chmod(path, m))
}

// Rule: files that were there before (state folders) are trusted only with the
// right owner and mode, and are no links; that holds for every folder above.
func TestWhatWasThereBefore(t *testing.T) {
	const folder, file, target = 1, 2, 4 // which checks refuse it
	for name, c := range map[string]struct {
		spoil   func(t *testing.T, top string) // makes top/parent/state/key not to be trusted
		refused int
		says    []string // besides a path
	}{
		"as made":                        {func(*testing.T, string) {}, 0, nil},
		"root's sticky folder above":     {func(t *testing.T, top string) { mode(t, top, 0o777|os.ModeSticky) }, 0, nil},
		"a folder that others may read":  {func(t *testing.T, top string) { mode(t, top+"/parent/state", 0o755) }, 0, nil},
		"the folder is somebody's":       {func(t *testing.T, top string) { give(t, top+"/parent/state") }, folder | target, []string{"#54321", "chown -R"}},
		"a folder above is somebody's":   {func(t *testing.T, top string) { give(t, top+"/parent") }, folder | target, []string{"parent ", "#54321", "chown"}},
		"the file is somebody's":         {func(t *testing.T, top string) { give(t, top+"/parent/state/key") }, file | target, []string{"key ", "#54321", "chown"}},
		"the folder is open to a group":  {func(t *testing.T, top string) { mode(t, top+"/parent/state", 0o720) }, folder, []string{"chmod 700"}},
		"the folder is open to all":      {func(t *testing.T, top string) { mode(t, top+"/parent/state", 0o702) }, folder | target, []string{"chmod"}},
		"the folder is sticky":           {func(t *testing.T, top string) { mode(t, top+"/parent/state", 0o777|os.ModeSticky) }, folder, []string{"chmod 700"}},
		"a folder above is open to all":  {func(t *testing.T, top string) { mode(t, top, 0o757) }, folder | target, []string{"chmod go-w"}},
		"the file can be read by others": {func(t *testing.T, top string) { mode(t, top+"/parent/state/key", 0o604) }, file, []string{"read", "chmod 600"}},
		"the file can be written by all": {func(t *testing.T, top string) { mode(t, top+"/parent/state/key", 0o622) }, file | target, []string{"written", "chmod 600"}},
		"the folder is a link": {func(t *testing.T, top string) {
			must(t, os.Rename(top+"/parent/state", top+"/elsewhere"))
			must(t, os.Symlink(top+"/elsewhere", top+"/parent/state"))
		}, folder, []string{"is a link"}},
		"the file is a link": {func(t *testing.T, top string) {
			must(t, os.Rename(top+"/parent/state/key", top+"/elsewhere"))
			must(t, os.Symlink(top+"/elsewhere", top+"/parent/state/key"))
		}, file | target, []string{"is a link"}},
		"the file is a folder": {func(t *testing.T, top string) {
			must(t, os.Remove(top+"/parent/state/key"))
			must(t, os.Mkdir(top+"/parent/state/key", 0o700))
		}, file | target, []string{"not a regular file"}},
		"a link above, of ours": {func(t *testing.T, top string) {
			must(t, os.Rename(top+"/parent", top+"/real"))
			must(t, os.Symlink("../"+filepath.Base(top)+"/real", top+"/parent"))
		}, 0, nil},
		"a link above, of somebody's": {func(t *testing.T, top string) {
			mode(t, top, 0o777|os.ModeSticky)
			must(t, os.Rename(top+"/parent", top+"/real"))
			must(t, os.Symlink(top+"/real", top+"/parent"))
			give(t, top+"/parent")
		}, folder | target, []string{"#54321"}},
		"a link above, to what all may write": {func(t *testing.T, top string) {
			must(t, os.Mkdir(top+"/open", 0o700))
			must(t, os.Rename(top+"/parent", top+"/open/real"))
			must(t, os.Symlink(top+"/open/real", top+"/parent"))
			mode(t, top+"/open", 0o777)
		}, folder | target, []string{"chmod go-w", "/open"}},
		"a link above, to itself": {func(t *testing.T, top string) {
			must(t, os.RemoveAll(top+"/parent"))
			must(t, os.Symlink("parent", top+"/parent"))
		}, folder | target, []string{"too many links"}},
	} {
		t.Run(name, func(t *testing.T) {
			top := filepath.Join(t.TempDir(), "top")
			state := top + "/parent/state"
			must(t, MakeFolder(state))
			must(t, os.WriteFile(state+"/key", []byte("secret"), 0o600))
			c.spoil(t, top)
			check := func(what string, bit int, err error) {
				t.Helper()
				if (err != nil) != (c.refused&bit != 0) {
					t.Errorf("%s: %v", what, err)
				}
				if c.refused&bit == 0 || err == nil || name == "a link above, to itself" && bit == file {
					return
				}
				if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), top) {
					t.Errorf("%s: %v", what, err)
				}
				for _, word := range c.says {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("%s: %q does not say %q", what, err, word)
					}
				}
			}
			check("the folder", folder, CheckFolder(state))
			check("a file to write", target, CheckTarget(state+"/key"))
			if c.says == nil || !strings.Contains(strings.Join(c.says, " "), "too many links") {
				b, err := ReadFile(state+"/key", 100)
				check("the file", file, err)
				if err == nil && string(b) != "secret" {
					t.Errorf("read %q", b)
				}
			}
		})
	}
}

func TestMakeFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	must(t, MakeFolder(path))
	must(t, MakeFolder(path))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	must(t, CheckTarget(path+"/new"))
	t.Chdir(path)
	must(t, CheckFolder("."))
	must(t, CheckFolder("../b"))
	must(t, CheckTarget("new"))
	must(t, os.WriteFile("file", nil, 0o600))
	if err := CheckFolder("file"); !errors.Is(err, ErrRefused) {
		t.Errorf("a file as a folder: %v", err)
	}
	if _, err := ReadFile("file", 0); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	must(t, os.WriteFile("file", []byte("xx"), 0o600))
	if _, err := ReadFile("file", 1); err == nil {
		t.Error("a file larger than asked for was read")
	}
}

// A group of nobody but the owner may write to a folder above: a umask of 002
// makes such folders.
func TestGroupOfNobodyElse(t *testing.T) {
	dir := t.TempDir()
	passwd, group := filepath.Join(dir, "passwd"), filepath.Join(dir, "group")
	must(t, os.WriteFile(passwd, []byte("root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:100::/:/bin/sh\ncid:x:1002:1002::/:/bin/sh\ndan:x:1003:1002::/:/bin/sh\n"), 0o600))
	must(t, os.WriteFile(group, []byte("root:x:0:\nann:x:1000:ann\nusers:x:100:\nbob:x:1001:ann\ncid:x:1002:\n"), 0o600))
	for _, c := range []struct {
		uid, gid uint32
		want     bool
	}{
		{0, 0, true}, {1000, 1000, true},
		{1001, 100, false},  // of another name
		{1001, 1001, false}, // with a member
		{1002, 1002, false}, // somebody's first
		{1000, 4711, false}, // unknown
		{4711, 1000, false}, // of somebody unknown
		{4711, 4711, false}, //
	} {
		if got := onlyOwner(passwd, group, c.uid, c.gid); got != c.want {
			t.Errorf("group %d of user %d: %v", c.gid, c.uid, got)
		}
	}
	if onlyOwner(passwd, filepath.Join(dir, "none"), 0, 0) || onlyOwner(filepath.Join(dir, "none"), group, 0, 0) {
		t.Error("without lists nobody is known to be alone")
	}
}

// Rule: nothing is made below a folder that others may write to.
func TestMakeFolderMakesNothingBelowOthers(t *testing.T) {
	top := filepath.Join(t.TempDir(), "top")
	must(t, os.Mkdir(top, 0o755))
	must(t, os.Chmod(top, 0o777))
	if err := MakeFolder(filepath.Join(top, "a", "b")); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(top, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("made: %v", err)
	}
}
