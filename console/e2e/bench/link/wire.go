//go:build linux

package main

import (
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	mtu     = 1500
	longest = 1 << 14 // packets under way at once; more are dropped
)

type options struct {
	delay, queue time.Duration
	loss         float64 // share of packets
	seed         uint64
}

// wire is one direction.
type wire struct {
	options
	mu      sync.Mutex // protects what follows
	rate    float64    // bits a second; 0: no limit
	waiting int        // bytes in the queue
	counted counters
}

type counters struct {
	Bytes   int64 `json:"bytes"` // that went over the wire, IP headers included
	Packets int64 `json:"packets"`
	Lost    int64 `json:"lost"`
	Dropped int64 `json:"dropped"` // the queue was too long
}

type packet struct {
	data []byte
	at   time.Time // of its coming; then of its arrival
}

func newWire(rate float64, o options) *wire { return &wire{options: o, rate: rate} }

func (w *wire) setRate(rate float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rate = rate
}

func (w *wire) counters() counters {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counted
}

// carry moves packets until one end is closed.
func (w *wire) carry(from io.Reader, to io.Writer) {
	queue := make(chan packet, longest)
	flying := make(chan packet, longest)
	go w.send(queue, flying)
	go arrive(flying, to)
	defer close(queue)
	rng := rand.New(rand.NewPCG(w.seed, 1))
	buffer := make([]byte, mtu+64)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if w.admit(n, rng.Float64()) {
			queue <- packet{append([]byte(nil), buffer[:n]...), time.Now()}
		}
	}
}

// admit says whether a packet gets into the queue, which never fills the channels.
func (w *wire) admit(n int, chance float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if chance < w.loss {
		w.counted.Lost++
		return false
	}
	if w.rate > 0 && seconds(w.waiting, w.rate) > w.queue || w.waiting > longest*64 {
		w.counted.Dropped++
		return false
	}
	w.waiting += n
	w.counted.Bytes += int64(n)
	w.counted.Packets++
	return true
}

// send gives each packet its time on the wire. When the wire is free is
// reckoned, not measured, so that a timer that fires late costs no bandwidth.
func (w *wire) send(queue <-chan packet, flying chan<- packet) {
	defer close(flying)
	var free time.Time
	for p := range queue {
		if p.at.After(free) {
			free = p.at
		}
		w.mu.Lock()
		rate := w.rate
		w.mu.Unlock()
		if rate > 0 {
			free = free.Add(seconds(len(p.data), rate))
			waitUntil(free)
		}
		w.mu.Lock()
		w.waiting -= len(p.data)
		w.mu.Unlock()
		p.at = free.Add(w.delay)
		flying <- p
	}
}

func arrive(flying <-chan packet, to io.Writer) {
	for p := range flying {
		waitUntil(p.at)
		_, _ = to.Write(p.data) // a packet that nobody takes is lost, as on any network
	}
}

func seconds(bytes int, rate float64) time.Duration {
	return time.Duration(float64(bytes) * 8 / rate * float64(time.Second))
}

func waitUntil(t time.Time) {
	if d := time.Until(t); d > 0 {
		<-time.After(d)
	}
}
