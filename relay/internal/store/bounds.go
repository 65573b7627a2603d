package store

import (
	"fmt"

	"oriel/relay/internal/fault"
)

// Bounds of texts, in bytes. Rooms say more kindly what is too long; here is the last
// door.
const (
	MaxID          = 64
	MaxNameText    = 256
	MaxIdentifier  = 254 // RFC 5321 for e-mail addresses
	MaxPermissions = 512 // all words with their spaces
	MaxHours       = 1024
	MaxReason      = 1024
	MaxSettings    = 65536
	MaxTag         = 256
	MaxComment     = 16384
	MaxFieldValue  = 1024
	MaxQuery       = 2048 // of a page's address
	maxWord        = 32   // of an enumeration
	maxPassword    = 256
)

// Bounds of counts.
const (
	MaxIdentifiers    = 32   // of a person
	MaxMemberships    = 1000 // of a person
	MaxRoles          = 100  // of an organization
	MaxTeams          = 1000 // of an organization
	MaxTeamsOfMember  = 100
	MaxGroups         = 10_000 // of an organization
	MaxGroupDepth     = 8
	MaxGrantsOfPerson = 1000 // in an organization, with those of their teams
	MaxGrants         = 100_000
	MaxApprovals      = 100 // of a person, that are open or hold
	MaxKeysOfPerson   = 100
	MaxInvitations    = 10_000 // of an organization, to members
	MaxPolicies       = 20_000 // of an organization
	MaxPins           = 1000   // of a person, in an organization
	MaxViews          = 100    // as MaxPins
	MaxTags           = 32     // of a computer
	MaxFields         = 50     // of an organization
	MaxLogins         = 32     // candidates of what somebody types
)

// ErrLimit: there are as many of a thing as there may be.
var ErrLimit = fault.New(fault.LimitReached, "there are as many of these as there can be; remove some first")

// limit says ErrLimit where n is more than most.
func limit(n, most int64, err error) error {
	if err == nil && n > most {
		return ErrLimit
	}
	return err
}

// text is one that comes from outside, and how long it may be.
type text struct {
	field, value string
	most         int
}

// bounded says which is too long.
func bounded(all ...text) error {
	for _, one := range all {
		if len(one.value) > one.most {
			return fault.Field(one.field, fmt.Sprintf("this has at most %d bytes", one.most))
		}
	}
	return nil
}
