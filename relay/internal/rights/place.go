package rights

import (
	"slices"
	"strings"
)

// Kind of an object.
type Kind string

// The kinds of objects. Grants are on the first three.
const (
	KindOrganization Kind = "organization"
	KindGroup        Kind = "group"
	KindComputer     Kind = "computer"
	KindPerson       Kind = "person"
)

// Object is what a permission is about. The organization has no id of its own.
type Object struct {
	Kind Kind
	ID   string
}

// Place is an object of an organization, with the groups that it is in.
type Place struct {
	Organization string
	Object
	Groups []string // ids, of a group its own too; in any order
}

// InOrganization is the organization itself.
func InOrganization(organization string) Place {
	return Place{Organization: organization, Object: Object{Kind: KindOrganization}}
}

// InGroup is a group with that path (/a/b/, its own id last).
func InGroup(organization, id, path string) Place {
	return Place{organization, Object{KindGroup, id}, split(path)}
}

// OfComputer is a computer in a group with that path; empty: in none.
func OfComputer(organization, id, path string) Place {
	return Place{organization, Object{KindComputer, id}, split(path)}
}

// OfPerson is one person.
func OfPerson(organization, id string) Place {
	return Place{Organization: organization, Object: Object{KindPerson, id}}
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// within reports whether p is o, or below it.
func (p *Place) within(o Object) bool {
	switch o.Kind {
	case KindOrganization:
		return true
	case KindGroup:
		return slices.Contains(p.Groups, o.ID)
	case KindComputer:
		return p.Object == o
	}
	return false
}
