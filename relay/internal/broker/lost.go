package broker

import (
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/bus"
)

// AgentLost tells the tabs of a computer's sessions, on all nodes, that the
// connection of its agent broke without a goodbye. No session ends by it: one that
// runs directly may not notice, and its viewer is the one who can tell.
func (b *Broker) AgentLost(computer string) {
	err := b.o.Bus.Publish(bus.AgentLost, &orielv1.BusMessage{Body: &orielv1.BusMessage_AgentLost{
		AgentLost: &orielv1.BusAgentLost{ComputerId: computer}}})
	if err != nil {
		b.o.Log.Warn("tabs not told of a lost agent", "computer", computer, "err", err)
		b.agentLost(computer)
	}
}

// agentLost tells the tabs on this node.
func (b *Broker) agentLost(computer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.sessions {
		if l.computer.ID == computer && l.seat != nil {
			l.seat.tab.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_AgentLost{AgentLost: &orielv1.AgentLost{SessionId: l.ID}}})
		}
	}
}
