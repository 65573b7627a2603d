package broker

// SweepTickets is what Run does each sweep.
var SweepTickets = (*Broker).sweepTickets
