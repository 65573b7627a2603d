package stream

import "time"

// fate is what is known of a packet.
type fate uint8

const (
	fateUnknown fate = iota // not yet reported, or the report was lost
	fateArrived
	fateLost // it may still come: then it was only late
)

// passage is one packet on its way. Times are since the flight began, came by
// the peer's clock.
type passage struct {
	left, came time.Duration
	seq        uint32
	number     uint16 // of RTP; when it is sent again, that which it had
	size       uint16 // bytes of RTP
	fate       fate
	parity     bool // it is of no picture, and number is of another stream
	again      bool // it was sent before
}

func (p *passage) bits() float64 { return 8 * float64(p.size) }

// remembered is how many packets are kept: over two seconds of MaxTarget.
const remembered = 8192

// flight is what was sent and what became of it. Sequence numbers are continued
// beyond 16 bits.
type flight struct {
	packets []passage // by sequence number modulo remembered
	next    int64     // after the highest that was sent
	heard   int64     // after the highest that was reported, or given up
	out     float64   // bits from heard to next
}

// start is where the numbers begin: not at 0, so that one that overtook the
// first is not below.
const start = 1 << 16

// widen finds the full number nearest to the highest sent.
func (f *flight) widen(seq uint16) int64 {
	if f.packets == nil {
		f.packets = make([]passage, remembered)
		f.next = start + int64(seq)
		f.heard = f.next
	}
	return f.next + int64(int16(seq-uint16(f.next)))
}

// sent notes a packet and returns its full number.
func (f *flight) sent(left time.Duration, seq, number uint16, size int) int64 {
	n := f.widen(seq)
	f.hear(n - remembered) // whose place it takes
	p := &f.packets[n%remembered]
	*p = passage{left: left, seq: uint32(n), number: number, size: uint16(min(size, 1<<16-1))}
	if n >= f.next {
		f.next = n + 1
	}
	if n >= f.heard {
		f.out += p.bits()
	}
	return n
}

// get returns the packet with a full number; nil when it is not known.
func (f *flight) get(n int64) *passage {
	if n < f.next-remembered || n >= f.next || f.packets == nil {
		return nil
	}
	p := &f.packets[n%remembered]
	if p.size == 0 || p.seq != uint32(n) {
		return nil
	}
	return p
}

// report notes what the peer says and returns the packet, nil when it is not
// known or there is no news.
func (f *flight) report(r status) (*passage, int64) {
	if f.packets == nil {
		return nil, 0
	}
	n := f.widen(r.seq)
	p := f.get(n)
	if p == nil || p.fate == fateArrived {
		return nil, 0
	}
	f.hear(n)
	if !r.came {
		p.fate = fateLost
		return p, n
	}
	p.fate, p.came = fateArrived, r.at
	return p, n
}

// hear notes that everything up to n is not on its way any more.
func (f *flight) hear(n int64) {
	for ; f.heard <= n; f.heard++ {
		if p := f.get(f.heard); p != nil {
			f.out -= p.bits()
		}
	}
}

// oldest is the first packet that nothing is known of; nil: there is none.
func (f *flight) oldest() *passage {
	for n := max(f.heard, f.next-remembered); n < f.next; n++ {
		if p := f.get(n); p != nil {
			return p
		}
	}
	return nil
}

// newest is the last packet sent; nil before the first.
func (f *flight) newest() *passage { return f.get(f.next - 1) }
