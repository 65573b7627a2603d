package broker

import (
	"time"

	"oriel/relay/internal/access"
)

// SweepTickets is what Run does each sweep.
var SweepTickets = (*Broker).sweepTickets

// IsTicket reports whether a tab may have a ticket by that user name.
func IsTicket(who access.Identity, userName string, now time.Time) bool {
	_, ok := ticketOf(who, userName, now)
	return ok
}
