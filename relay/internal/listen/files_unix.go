//go:build unix

package listen

import "syscall"

// Files is how many files this process may have open; 0: not known.
func Files() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), 1<<30)) // the field is signed on some systems
}
