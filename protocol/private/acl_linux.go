package private

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// listed reports whether an access list (acl(5), POSIX ACL) names users or groups
// that may write to the file at path: besides its owner and its group. One that
// cannot be read counts.
func listed(path string) bool {
	list := make([]byte, 64<<10) // as much as Linux keeps
	n, err := unix.Lgetxattr(path, "system.posix_acl_access", list)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return false
	}
	return err != nil || names(list[:n])
}

// names reads the list as linux/posix_acl_xattr.h lays it out: a version, then for
// each entry its kind, its rights and an id.
func names(list []byte) bool {
	const (
		version      = 2
		user, group  = 0x02, 0x08
		write        = 0x02
		header, item = 4, 8
	)
	if len(list) < header || binary.LittleEndian.Uint32(list) != version || (len(list)-header)%item != 0 {
		return true
	}
	for at := header; at < len(list); at += item {
		kind, rights := binary.LittleEndian.Uint16(list[at:]), binary.LittleEndian.Uint16(list[at+2:])
		if (kind == user || kind == group) && rights&write != 0 {
			return true
		}
	}
	return false
}
