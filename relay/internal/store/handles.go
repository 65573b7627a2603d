package store

// What the relay as a whole owns.
type (
	// People are those who can sign in, and what their accounts remember.
	People struct{ *database }
	// SignIns are the browsers in which people are signed in.
	SignIns struct{ *database }
	// Tries are counts of what was tried, by subject.
	Tries struct{ *database }
	// Secrets are the relay's own keys.
	Secrets struct{ *database }
	// Nodes are the relay's processes and the connections that they hold.
	Nodes struct{ *database }
)

// People of this relay.
func (s *Store) People() People { return People{s.database} }

// SignIns of all people.
func (s *Store) SignIns() SignIns { return SignIns{s.database} }

// Tries of all subjects.
func (s *Store) Tries() Tries { return Tries{s.database} }

// Secrets of this relay.
func (s *Store) Secrets() Secrets { return Secrets{s.database} }

// Nodes of this relay.
func (s *Store) Nodes() Nodes { return Nodes{s.database} }
