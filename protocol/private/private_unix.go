//go:build unix

package private

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

func mkdir(path string) error { return os.Mkdir(path, 0o700) }

func isLink(info fs.FileInfo) bool { return info.Mode()&fs.ModeSymlink != 0 }

func checkFolder(path string, info fs.FileInfo) error {
	if err := checkOwner(path, info); err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return &Error{path, fmt.Sprintf("can be written to by others (mode %04o)", mode), "if nobody else has, run: chmod 700 " + quoted(path)}
	}
	return nil
}

// checkAbove is for a folder or a link on the way to what is asked for.
func checkAbove(path string, info fs.FileInfo) error {
	if err := checkOwner(path, info); err != nil {
		return err
	}
	mode := info.Mode()
	if isLink(info) || mode&fs.ModeSticky != 0 {
		return nil
	}
	if mode&0o002 != 0 || mode&0o020 != 0 && !alone(info) {
		return &Error{path, fmt.Sprintf("can be written to by others (mode %04o), who could exchange what is in it", mode.Perm()),
			"if nobody else has, run: chmod go-w " + quoted(path)}
	}
	if mode&0o020 != 0 && listed(path) {
		return &Error{path, "can be written to by others by its access list, who could exchange what is in it",
			"if nobody else has, run: setfacl -b " + quoted(path) + " and chmod go-w " + quoted(path)}
	}
	return nil
}

func open(path string, secret bool) (*os.File, error) {
	// O_NONBLOCK: a pipe that nobody writes to is no reason to wait.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) { // EMLINK: FreeBSD
		return nil, &Error{path, "is a link", "put the file itself there"}
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = checkFile(path, info, secret)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkFile(path string, info fs.FileInfo, secret bool) error {
	if !info.Mode().IsRegular() {
		return &Error{path, "is not a regular file", "move it away"}
	}
	if err := checkOwner(path, info); err != nil {
		return err
	}
	mode := info.Mode().Perm()
	switch {
	case mode&0o022 != 0:
		return &Error{path, fmt.Sprintf("can be written by others (mode %04o)", mode), "if nobody else has, run: chmod 600 " + quoted(path)}
	case secret && mode&0o077 != 0:
		return &Error{path, fmt.Sprintf("can be read by others (mode %04o)", mode), "if nobody else has, run: chmod 600 " + quoted(path)}
	}
	return nil
}

func checkGiven(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return &Error{path, fmt.Sprintf("is open to others (mode %04o)", mode), "if nobody else has used it, run: chmod o-rwx,g-wx " + quoted(path)}
	}
	return nil
}

func checkOwner(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return &Error{path, "says not whose it is", "name another place"}
	}
	if st.Uid == 0 || int(st.Uid) == os.Geteuid() {
		return nil
	}
	owner, me := name(int(st.Uid)), name(os.Geteuid())
	wrong := fmt.Sprintf("belongs to %s, and this runs as %s", owner, me)
	if os.Geteuid() == 0 {
		return &Error{path, wrong, fmt.Sprintf("run this as that user (sudo -u %s), or if what is in it is yours: chown -R root %s", owner, quoted(path))}
	}
	return &Error{path, wrong, fmt.Sprintf("if what is in it is yours, run: sudo chown -R %s %s; or name another place", me, quoted(path))}
}

func name(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return "#" + strconv.Itoa(uid) // as sudo wants it
	}
	return u.Username
}

// alone reports whether the group of a file holds nobody but its owner: of the
// owner's name, with no other members and nobody else's first group.
func alone(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	return onlyOwner("/etc/passwd", "/etc/group", st.Uid, st.Gid)
}

func onlyOwner(passwd, group string, uid, gid uint32) bool {
	u, g := strconv.Itoa(int(uid)), strconv.Itoa(int(gid))
	owner := ""
	others := false
	known := lines(passwd, func(f []string) {
		switch {
		case len(f) < 4:
		case f[2] == u:
			owner = f[0]
		case f[3] == g:
			others = true
		}
	})
	found := false
	known = lines(group, func(f []string) {
		if len(f) < 4 || f[2] != g {
			return
		}
		found = f[0] == owner
		for m := range strings.SplitSeq(f[3], ",") {
			others = others || m != "" && m != owner
		}
	}) && known
	return known && found && owner != "" && !others
}

// lines calls fn with the fields of each line, and reports whether it read all.
func lines(path string, fn func([]string)) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		fn(strings.Split(s.Text(), ":"))
	}
	return s.Err() == nil
}

// quoted is path as a shell reads it back.
func quoted(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
