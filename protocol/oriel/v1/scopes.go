package orielv1

import "slices"

// Until 2026-11-30 tabs, agents and journal spoke of a mode, control or view, where
// there are scopes now. This is the one place that reads and writes it.

// modeScopes are the scopes that a mode stands for.
var modeScopes = map[Mode][]Scope{
	Mode_MODE_VIEW:    {Scope_SCOPE_VIEW},
	Mode_MODE_CONTROL: {Scope_SCOPE_VIEW, Scope_SCOPE_CONTROL},
}

func modeOf(scopes []Scope) Mode {
	switch {
	case slices.Contains(scopes, Scope_SCOPE_CONTROL):
		return Mode_MODE_CONTROL
	case slices.Contains(scopes, Scope_SCOPE_VIEW):
		return Mode_MODE_VIEW
	}
	return Mode_MODE_UNSPECIFIED
}

// Asks is the scopes that m asks for, sorted and each once, whether its tab knows
// scopes or is older.
func (m *OpenSession) Asks() []Scope {
	if wanted := m.GetWanted(); len(wanted) > 0 {
		return SortScopes(wanted)
	}
	return slices.Clone(modeScopes[m.GetMode()])
}

// SetScopes gives g its scopes, also in the words of an older agent.
func (g *Grant) SetScopes(scopes []Scope) {
	g.Scopes, g.Mode = SortScopes(scopes), modeOf(scopes)
}

// SetScopes gives e its scopes, also in the words of an older tab.
func (e *JournalEntry) SetScopes(scopes []Scope) {
	e.Scopes, e.Mode = SortScopes(scopes), modeOf(scopes)
}

// Watches is the topics that m names, whether its tab knows topics or is older.
func (m *Watch) Watches() []Topic {
	topics := slices.Clone(m.GetTopics())
	if m.GetComputers() {
		topics = append(topics, Topic_TOPIC_COMPUTERS)
	}
	if m.GetJournal() {
		topics = append(topics, Topic_TOPIC_JOURNAL)
	}
	return topics
}

// SortScopes is a copy of scopes, sorted and each once.
func SortScopes(scopes []Scope) []Scope {
	sorted := slices.Clone(scopes)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// Serves reports whether an agent with these capabilities can have a session with that
// scope. One that names none is from before capabilities, and can do view and control.
func Serves(capabilities []Capability, s Scope) bool {
	if len(capabilities) == 0 {
		return s == Scope_SCOPE_VIEW || s == Scope_SCOPE_CONTROL
	}
	return s > 0 && s < 32 && slices.Contains(capabilities, Capability(s))
}
