package private

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// acl is a list of the owner's rights, those of one named user, of the group, the mask
// and the others.
func acl(named, mask uint16) []byte {
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		kind, rights uint16
		id           uint32
	}{{1, 7, ^uint32(0)}, {2, named, somebody}, {4, 7, ^uint32(0)}, {0x10, mask, ^uint32(0)}, {0x20, 5, ^uint32(0)}} {
		list = binary.LittleEndian.AppendUint16(list, e.kind)
		list = binary.LittleEndian.AppendUint16(list, e.rights)
		list = binary.LittleEndian.AppendUint32(list, e.id)
	}
	return list
}

// Rule: an access list (POSIX ACL) lets nobody in whom the mode would keep out: where
// the group's bits are passed because the group holds nobody else, it is read.
func TestAccessLists(t *testing.T) {
	for name, c := range map[string]struct {
		named, mask uint16
		refused     bool
	}{
		"who may write to a folder above": {7, 7, true},
		"who may read it":                 {5, 7, false},
		"who might, but for the mask":     {7, 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			top := filepath.Join(t.TempDir(), "top")
			must(t, MakeFolder(filepath.Join(top, "state")))
			err := unix.Setxattr(top, "system.posix_acl_access", acl(c.named, c.mask), 0)
			if errors.Is(err, unix.ENOTSUP) {
				t.Skip("this file system keeps no access lists")
			}
			must(t, err)
			// The mask is what the mode says of the group, on which the rule rests.
			info, err := os.Lstat(top)
			must(t, err)
			if got := uint16(info.Mode().Perm() >> 3 & 7); got != c.mask {
				t.Fatalf("mode %04o with a mask of %o", info.Mode().Perm(), c.mask)
			}
			if !alone(info) {
				t.Skip("the group of this user holds others")
			}
			err = CheckFolder(filepath.Join(top, "state"))
			if refused := errors.Is(err, ErrRefused); refused != c.refused || err != nil && !strings.Contains(err.Error(), "setfacl -b "+top) {
				t.Error(err)
			}
		})
	}
	t.Run("who may read a file or write to the folder", func(t *testing.T) {
		top := filepath.Join(t.TempDir(), "top")
		must(t, MakeFolder(top))
		must(t, os.WriteFile(filepath.Join(top, "key"), []byte("secret"), 0o600))
		for _, path := range []string{top, filepath.Join(top, "key")} {
			if err := unix.Setxattr(path, "system.posix_acl_access", acl(6, 6), 0); errors.Is(err, unix.ENOTSUP) {
				t.Skip("this file system keeps no access lists")
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if err := CheckFolder(top); !errors.Is(err, ErrRefused) {
			t.Errorf("the folder: %v", err)
		}
		if _, err := ReadFile(filepath.Join(top, "key"), 100); !errors.Is(err, ErrRefused) {
			t.Errorf("the file: %v", err)
		}
	})
}

// Rule: a list that cannot be read counts.
func TestAccessListsOfAnotherKind(t *testing.T) {
	for name, list := range map[string][]byte{"empty": {}, "of another version": {3, 0, 0, 0}, "cut off": acl(5, 5)[:15]} {
		if !names(list) {
			t.Error(name)
		}
	}
	if names(acl(5, 7)) || !names(acl(7, 7)) {
		t.Error("who may write")
	}
	if listed(filepath.Join(t.TempDir(), "none")) != true {
		t.Error("one that is not there: ", fs.ErrNotExist)
	}
}
