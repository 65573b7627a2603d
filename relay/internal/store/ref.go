package store

// Ref names one thing of an organization, such as a computer or a session. Whoever
// has none of the organization's has nothing to look it up by.
type Ref struct {
	Organization OrganizationID
	ID           string
}

// Ref is o's thing of that id, if there is one.
func (o OrganizationID) Ref(id string) Ref { return Ref{o, id} }

// Ref names the computer.
func (c Computer) Ref() Ref { return Ref{c.Organization, c.ID} }

// Ref names the session.
func (row Session) Ref() Ref { return Ref{row.Organization, row.ID} }

// Computer names the session's.
func (row Session) Computer() Ref { return Ref{row.Organization, row.ComputerID} }

// First reports whether o is the organization that a relay begins with, whose members may
// be given what is about the relay itself.
func (o OrganizationID) First() bool { return o == FirstOrganization }
