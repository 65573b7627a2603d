package store

// What the relay as a whole owns.
type (
	// People are accounts, what they are known by and what they remember.
	People struct{ *database }
	// Organizations are those who own everything else.
	Organizations struct{ *database }
	// SignIns are the browsers in which people are signed in.
	SignIns struct{ *database }
	// Tries are counts of what was tried, by subject.
	Tries struct{ *database }
	// Secrets are the relay's own keys.
	Secrets struct{ *database }
	// Nodes are the relay's processes and the connections that they hold.
	Nodes struct{ *database }
	// Agents are those who come with a key or a token, which say whose they are.
	Agents struct{ *database }
	// Upkeep is what the relay looks after by itself, for all organizations at once.
	Upkeep struct{ *database }
	// Outbox is the mails of all organizations, for who sends them.
	Outbox struct{ *database }
	// Relay is what its operator set.
	Relay struct{ *database }
	// Confirmations are e-mail addresses that wait for their owners.
	Confirmations struct{ *database }
)

// What an organization owns.
type (
	// Computers are its enrolled machines, and what they said of themselves.
	Computers struct{ owned }
	// Tokens are what lets new computers in.
	Tokens struct{ owned }
	// Waiting are the machines that wait to be taken back.
	Waiting struct{ owned }
	// Sessions are its journal.
	Sessions struct{ owned }
	// Members are its people.
	Members struct{ owned }
	// MemberInvitations are to those who are to become its people.
	MemberInvitations struct{ owned }
	// Roles are those that are not built in.
	Roles struct{ owned }
	// Teams are sets of its members.
	Teams struct{ owned }
	// Groups are sets of its computers, in a tree.
	Groups struct{ owned }
	// Grants give roles on its computers.
	Grants struct{ owned }
	// Approvals are what a second person has to agree to.
	Approvals struct{ owned }
	// Policies are what agents and people keep to.
	Policies struct{ owned }
	// Keys are those of its API.
	Keys struct{ owned }
	// Audit is the record of who did what to what.
	Audit struct{ owned }
	// Answers are what creations asked with a key were answered.
	Answers struct{ owned }
	// Mails are those that its changes sent.
	Mails struct{ owned }
	// Quotas are how much it may have.
	Quotas struct{ owned }
	// Fields are what else is noted of its computers.
	Fields struct{ owned }
	// Views are ways to look at the list of its computers that its people keep.
	Views struct{ owned }
)

// People of this relay.
func (s *Store) People() People { return People{s.database} }

// Organizations of this relay.
func (s *Store) Organizations() Organizations { return Organizations{s.database} }

// SignIns of all people.
func (s *Store) SignIns() SignIns {
	return SignIns{s.wholeRelay("a sign-in is found by its token or its person, and says itself of which organization it is")}
}

// Tries of all subjects.
func (s *Store) Tries() Tries { return Tries{s.database} }

// Secrets of this relay.
func (s *Store) Secrets() Secrets { return Secrets{s.database} }

// Nodes of this relay.
func (s *Store) Nodes() Nodes {
	return Nodes{s.wholeRelay("a node holds the connections of computers of all organizations")}
}

// Agents of all organizations.
func (s *Store) Agents() Agents {
	return Agents{s.wholeRelay("a key or a token says whose it is once its row is found")}
}

// Upkeep of all organizations.
func (s *Store) Upkeep() Upkeep {
	return Upkeep{s.wholeRelay("it looks after all organizations at once")}
}

// Outbox of this relay.
func (s *Store) Outbox() Outbox {
	return Outbox{s.wholeRelay("one queue sends the mails of all organizations")}
}

// Relay is this one.
func (s *Store) Relay() Relay { return Relay{s.database} }

// Confirmations of this relay.
func (s *Store) Confirmations() Confirmations { return Confirmations{s.database} }

// Computers of an organization.
func (s *Store) Computers(o OrganizationID) Computers { return Computers{s.owned(o)} }

// Tokens of an organization.
func (s *Store) Tokens(o OrganizationID) Tokens { return Tokens{s.owned(o)} }

// Waiting computers of an organization.
func (s *Store) Waiting(o OrganizationID) Waiting { return Waiting{s.owned(o)} }

// Audit of an organization.
func (s *Store) Audit(o OrganizationID) Audit { return Audit{s.owned(o)} }

// Answers of an organization.
func (s *Store) Answers(o OrganizationID) Answers { return Answers{s.owned(o)} }

// Mails of an organization.
func (s *Store) Mails(o OrganizationID) Mails { return Mails{s.owned(o)} }

// Quotas of an organization.
func (s *Store) Quotas(o OrganizationID) Quotas { return Quotas{s.owned(o)} }

// Fields of an organization.
func (s *Store) Fields(o OrganizationID) Fields { return Fields{s.owned(o)} }

// Views of an organization's people.
func (s *Store) Views(o OrganizationID) Views { return Views{s.owned(o)} }

// Sessions of an organization.
func (s *Store) Sessions(o OrganizationID) Sessions { return Sessions{s.owned(o)} }

// Members of an organization.
func (s *Store) Members(o OrganizationID) Members { return Members{s.owned(o)} }

// MemberInvitations of an organization.
func (s *Store) MemberInvitations(o OrganizationID) MemberInvitations {
	return MemberInvitations{s.owned(o)}
}

// Roles of an organization.
func (s *Store) Roles(o OrganizationID) Roles { return Roles{s.owned(o)} }

// Teams of an organization.
func (s *Store) Teams(o OrganizationID) Teams { return Teams{s.owned(o)} }

// Groups of an organization.
func (s *Store) Groups(o OrganizationID) Groups { return Groups{s.owned(o)} }

// Grants of an organization.
func (s *Store) Grants(o OrganizationID) Grants { return Grants{s.owned(o)} }

// Approvals of an organization.
func (s *Store) Approvals(o OrganizationID) Approvals { return Approvals{s.owned(o)} }

// Policies of an organization.
func (s *Store) Policies(o OrganizationID) Policies { return Policies{s.owned(o)} }

// Keys of an organization.
func (s *Store) Keys(o OrganizationID) Keys { return Keys{s.owned(o)} }
