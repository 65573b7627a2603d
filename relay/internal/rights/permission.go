// Package rights decides who may do what on what. It is a leaf and pure: everything it
// needs is an argument, the time too, so that a table and its tests hold all of it.
//
// # The model
//
// A Permission is a set of words. A Role is a named set of them. Somebody has rights in
// one organization: those of their role as a member, on all of it, and those that a
// Grant of a role gives, to them or to a team of theirs, on an Object: the organization,
// a group with all that is below it, or one computer. Rights only add up; nothing takes
// one away. An Authority is all of that for one person, with the bound of an API key
// where they come with one.
//
// What is asked about is a Place: an object, with the groups that it is in. Of another
// organization than the authority's nothing is allowed.
//
// # Conditions
//
// A grant gives nothing before From, nor from Until on. Within its dates it may keep to
// Hours of the week, and may need the approval of a second person, for one computer and
// for a time. Hours and approval limit what is done with a computer, not that it is
// known: See is given outside of them too, so that a person finds the computer, is told
// when it opens, and can ask for approval.
//
// # Rules
//
//   - See is implied by each permission about a computer.
//   - About is everybody's who is active, Account everybody's about themselves.
//   - RelayOperate is worth something in the relay's first organization only.
//   - Who is inactive, as a person or as a member, may nothing.
//   - An API key may no more than it holds, whatever its person may.
//   - Nobody gives what they lack, nor for good what they have under a condition (MayGive).
//
// table.md beside this file says the same for people, role by role; a test compares it
// with the code word by word.
package rights

import (
	"fmt"
	"math/bits"
	"strings"
)

// Permission is what somebody may do: one thing, or several (a role's, or all that one
// attempt needs).
type Permission uint64

// One permission each.
const (
	See             Permission = 1 << iota // a computer in the list, its inventory
	Connect                                // watch a computer's screen, and its preview
	Control                                // type and point on it
	FilesRead                              // take files from it
	FilesWrite                             // put files on it
	ClipboardRead                          // take what was copied on it
	ClipboardWrite                         // paste to it
	Terminal                               // a shell on it
	Power                                  // restart it, shut it down, wake it
	Sound                                  // hear it
	Recording                              // record sessions with it, and watch recordings
	Forward                                // reach ports through it
	Tools                                  // run scripts and tools on it
	Invitations                            // invite customers to a session
	ComputersManage                        // name, move, block and remove a computer
	Enroll                                 // make, list and revoke enrollment tokens
	GroupsManage                           // make, name, move and remove groups
	PeopleManage                           // members, teams, roles and grants; approve
	Branding                               // what people see of the organization
	Journal                                // read the record of sessions
	SessionsEnd                            // end somebody's session
	Policies                               // what agents and people must keep to
	Audit                                  // read the record of changes
	API                                    // make keys of one's own
	Organization                           // its settings, quotas and end; who its owners are
	RelayOperate                           // know what the relay itself lacks
	Account                                // one's own account: sign-ins, password, known keys
	About                                  // the relay's version, its address, what it offers to install
)

// Everything is all permissions that there are.
const Everything = About<<1 - 1

// onComputers are the permissions about a computer, which imply See.
const onComputers = See | Connect | Control | FilesRead | FilesWrite | ClipboardRead | ClipboardWrite |
	Terminal | Power | Sound | Recording | Forward | Tools | ComputersManage

// OnComputer are all permissions that are asked on one computer.
const OnComputer = onComputers | GroupsManage | PeopleManage | Journal | SessionsEnd | Policies

// words of permissions, in the order of their bits.
var words = [...]string{"see", "connect", "control", "files.read", "files.write", "clipboard.read", "clipboard.write",
	"terminal", "power", "sound", "recording", "forward", "tools", "invitations", "computers.manage", "enroll",
	"groups.manage", "people.manage", "branding", "journal", "sessions.end", "policies", "audit", "api",
	"organization", "relay.operate", "account", "about"}

// Parse reads words with spaces between them. Beside an error, which names the first
// unknown word, it returns those that are known.
func Parse(text string) (Permission, error) {
	var all Permission
	var err error
	for word := range strings.FieldsSeq(text) {
		p := parseWord(word)
		if p == 0 && err == nil {
			err = fmt.Errorf("there is no permission %.40q", word)
		}
		all |= p
	}
	return all, err
}

func parseWord(word string) Permission {
	for i, w := range words {
		if w == word {
			return 1 << i
		}
	}
	return 0
}

// String is the permissions' words with spaces between them, in one order.
func (p Permission) String() string { return strings.Join(p.Words(), " ") }

// Words of the permissions, in one order.
func (p Permission) Words() []string {
	all := make([]string, 0, bits.OnesCount64(uint64(p)))
	for one := range p.Each() {
		all = append(all, words[bits.TrailingZeros64(uint64(one))])
	}
	return all
}

// Each permission of p that there is, by itself.
func (p Permission) Each() func(yield func(Permission) bool) {
	return func(yield func(Permission) bool) {
		for left := p & Everything; left != 0; left &= left - 1 {
			if !yield(left & -left) {
				return
			}
		}
	}
}

// Implied is p with what it implies.
func (p Permission) Implied() Permission {
	if p&onComputers != 0 {
		p |= See
	}
	return p
}

// Role is a named set of permissions.
type Role struct {
	ID          string
	Permissions Permission
}

// The roles that every organization has.
var (
	Owner    = Role{"owner", Everything}
	Admin    = Role{"admin", Everything &^ Organization}
	Operator = Role{"operator", See | Connect | Control | FilesRead | FilesWrite | ClipboardRead | ClipboardWrite |
		Terminal | Power | Sound | Forward | Tools | Invitations}
	Viewer = Role{"viewer", See | Connect}
	Member = Role{"member", 0} // has nothing but what grants give
)

// Roles are those that every organization has, the mightiest first.
var Roles = []Role{Owner, Admin, Operator, Viewer, Member}

// BuiltIn is the role of that id which every organization has.
func BuiltIn(id string) (Role, bool) {
	for _, r := range Roles {
		if r.ID == id {
			return r, true
		}
	}
	return Role{}, false
}
