package access

import (
	"strings"

	"oriel/relay/internal/store"
)

// Permission is what a person may be allowed to do: one thing, or several (a
// role's, or all that one attempt needs).
type Permission uint32

// One permission each.
const (
	See        Permission = 1 << iota // a computer in the list, its inventory
	Connect                           // watch a computer's screen, and its preview
	Control                           // and type on it
	Manage                            // a computer's settings, remove it
	Enroll                            // make, list and revoke enrollment tokens
	Journal                           // read the record of sessions
	EndSession                        // end somebody's session
	Operate                           // know what the relay itself lacks
	Account                           // one's own account: sign-ins, password, known keys
	About                             // the relay's version, its address, what it offers to install
)

// words of permissions, in the order of their bits.
var words = []string{"see", "connect", "control", "manage", "enroll", "journal", "end_session", "operate", "account", "about"}

// String is the permissions' words, joined by commas.
func (p Permission) String() string {
	var all []string
	for i, word := range words {
		if p&(1<<i) != 0 {
			all = append(all, word)
		}
	}
	return strings.Join(all, ",")
}

// roles are the permissions of each, on everything the relay has.
var roles = map[string]Permission{
	store.RoleOwner: See | Connect | Control | Manage | Enroll | Journal | EndSession | Operate,
}
