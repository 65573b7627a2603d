package hub_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/relaytest"
)

// Rule: what a tab asks and this relay does not know is answered with `unimplemented`, by
// the number of the ask; topics that it knows are watched all the same.
func TestUnknownAsksOfTabs(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	_, cookie := n.Owner(t)
	tab := relaytest.OpenTab(t, n, cookie)
	for _, c := range []orielv1.Capability{orielv1.Capability_CAPABILITY_CHANGE_SCOPES, orielv1.Capability_CAPABILITY_TOPICS} {
		if !slices.Contains(tab.Welcome.GetCapabilities(), c) {
			t.Errorf("the relay does not say %v", c)
		}
	}
	refused := func(what string, m *orielv1.FromConsole) {
		t.Helper()
		tab.Say(m)
		if p := tab.Problem(); p.GetCode() != orielv1.Code_CODE_UNIMPLEMENTED || p.GetReplyTo() != m.GetId() || p.GetDetail() == "" {
			t.Errorf("%s: %v", what, p)
		}
	}
	newer := &orielv1.FromConsole{Id: 7}
	newer.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 900, protowire.BytesType), nil))
	refused("a newer tab's ask", newer)
	refused("nothing", &orielv1.FromConsole{Id: 8})
	refused("an unknown topic", &orielv1.FromConsole{Id: 9, Body: &orielv1.FromConsole_Watch{Watch: &orielv1.Watch{
		Topics: []orielv1.Topic{orielv1.Topic_TOPIC_COMPUTERS, 99}}}})
	tab.Take("computers", func(m *orielv1.ToConsole) bool { return m.GetComputers() != nil })
}
