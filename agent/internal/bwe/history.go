package bwe

import "time"

// packetStatus is the delivery status of a packet.
type packetStatus uint8

const (
	statusUnknown packetStatus = iota // not yet reported, or the report was lost
	statusReceived
	statusLost // it may still come: then it was only late
)

// sentPacket is one packet of the send history. Times are since the estimator began,
// receivedAt by the peer's clock.
type sentPacket struct {
	sentAt, receivedAt time.Duration
	seq                uint32
	number             uint16 // sequence number of RTP; of a retransmission that of the original
	size               uint16 // bytes of RTP
	status             packetStatus
	fec                bool // a packet of FEC: it is of no picture, and number is of another stream
	rtx                bool // a retransmission
}

func (p *sentPacket) bits() float64 { return 8 * float64(p.size) }

// historySize is how many packets are kept: over two seconds of 30 Mbit/s.
const historySize = 8192

// sendHistory keeps the packets sent and their status. Sequence numbers are unwrapped
// beyond 16 bits.
type sendHistory struct {
	packets  []sentPacket // by sequence number modulo historySize
	next     int64        // one after the highest number sent
	settled  int64        // one after the highest number reported, or given up
	inFlight float64      // bits of the packets from settled to next
}

// start is where the numbers begin: not at 0, so that one that overtook the
// first is not below.
const start = 1 << 16

// unwrap returns the full number nearest to the highest sent.
func (f *sendHistory) unwrap(seq uint16) int64 {
	if f.packets == nil {
		f.packets = make([]sentPacket, historySize)
		f.next = start + int64(seq)
		f.settled = f.next
	}
	return f.next + int64(int16(seq-uint16(f.next)))
}

// sent records a packet and returns its full number.
func (f *sendHistory) sent(left time.Duration, seq, number uint16, size int) int64 {
	n := f.unwrap(seq)
	f.settle(n - historySize) // whose place it takes
	p := &f.packets[n%historySize]
	*p = sentPacket{sentAt: left, seq: uint32(n), number: number, size: uint16(min(size, 1<<16-1))}
	if n >= f.next {
		f.next = n + 1
	}
	if n >= f.settled {
		f.inFlight += p.bits()
	}
	return n
}

// get returns the packet with a full number; nil when it is not known.
func (f *sendHistory) get(n int64) *sentPacket {
	if n < f.next-historySize || n >= f.next || f.packets == nil {
		return nil
	}
	p := &f.packets[n%historySize]
	if p.size == 0 || p.seq != uint32(n) {
		return nil
	}
	return p
}

// report records the peer's status and returns the packet; nil where the packet is not
// known or its status is no news.
func (f *sendHistory) report(r twccStatus) (*sentPacket, int64) {
	if f.packets == nil {
		return nil, 0
	}
	n := f.unwrap(r.seq)
	p := f.get(n)
	if p == nil || p.status == statusReceived {
		return nil, 0
	}
	f.settle(n)
	if !r.received {
		p.status = statusLost
		return p, n
	}
	p.status, p.receivedAt = statusReceived, r.at
	return p, n
}

// settle takes everything up to n out of flight.
func (f *sendHistory) settle(n int64) {
	for ; f.settled <= n; f.settled++ {
		if p := f.get(f.settled); p != nil {
			f.inFlight -= p.bits()
		}
	}
}

// oldest is the first packet in flight; nil: there is none.
func (f *sendHistory) oldest() *sentPacket {
	for n := max(f.settled, f.next-historySize); n < f.next; n++ {
		if p := f.get(n); p != nil {
			return p
		}
	}
	return nil
}

// newest is the last packet sent; nil before the first.
func (f *sendHistory) newest() *sentPacket { return f.get(f.next - 1) }
