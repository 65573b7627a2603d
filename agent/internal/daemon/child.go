package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"oriel/agent/internal/node"
	"oriel/agent/internal/policy"
	orielv1 "oriel/protocol/oriel/v1"
)

// signTimeout is how long a child waits for the service's signature.
const signTimeout = 10 * time.Second

// child is the helper's side of the pipe.
type child struct {
	out     io.Writer
	desktop node.Desktop

	mu      sync.Mutex
	nextID  uint64                                // protected by mu
	waiting map[uint64]chan *orielv1.HelperSigned // protected by mu

	writing sync.Mutex // held while a message is written to out
}

// Serve is the life of a helper process: it reads from in until that ends or
// ctx is done, and serves the desktop that build makes. It closes the desktop
// before it returns.
func Serve(ctx context.Context, in io.ReadCloser, out io.Writer, build func(*orielv1.HelperStart, node.Outlet) node.Desktop) error {
	stop := context.AfterFunc(ctx, func() { in.Close() })
	defer stop()
	r := bufio.NewReader(in)
	var first orielv1.ToHelper
	if err := read(r, &first); err != nil || first.GetStart() == nil {
		return fmt.Errorf("this is started by the agent's service, not by hand: %w", errors.Join(err, errors.New("no start message")))
	}
	c := &child{out: out, waiting: make(map[uint64]chan *orielv1.HelperSigned)}
	c.desktop = build(first.GetStart(), node.Outlet{Send: c.send, Sign: c.sign})
	defer c.desktop.Close(orielv1.EndReason_END_REASON_AGENT_STOPPED)
	defer c.abandon()
	for {
		m := &orielv1.ToHelper{}
		if err := read(r, m); err != nil {
			if errors.Is(err, io.EOF) || ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("read from the service: %w", err)
		}
		if err := c.dispatch(m); err != nil {
			return err
		}
	}
}

// dispatch does what the service says. A policy that cannot be read is an error: a helper
// that does not know what it must not do ends.
func (c *child) dispatch(m *orielv1.ToHelper) error {
	switch body := m.GetBody().(type) {
	case *orielv1.ToHelper_Offer:
		c.desktop.Offer(body.Offer.GetOffer(), body.Offer.GetGrant())
	case *orielv1.ToHelper_Supplement:
		c.desktop.Supplement(body.Supplement.GetAsk(), body.Supplement.GetSupplement())
	case *orielv1.ToHelper_Prepare:
		c.desktop.Prepare()
	case *orielv1.ToHelper_Candidate:
		c.desktop.Candidate(body.Candidate)
	case *orielv1.ToHelper_EndSession:
		c.desktop.End(body.EndSession)
	case *orielv1.ToHelper_Settings:
		c.desktop.Apply(body.Settings)
	case *orielv1.ToHelper_Policy:
		limits, err := policy.Decode(body.Policy.GetSet())
		if err != nil {
			return err
		}
		c.desktop.Keep(limits)
	case *orielv1.ToHelper_Signed:
		c.mu.Lock()
		defer c.mu.Unlock()
		if w := c.waiting[body.Signed.GetId()]; w != nil {
			delete(c.waiting, body.Signed.GetId())
			w <- body.Signed
		}
	}
	return nil
}

// send forwards to the service. A broken pipe is noticed by the reader.
func (c *child) send(m *orielv1.FromAgent) {
	_ = c.write(&orielv1.FromHelper{Body: &orielv1.FromHelper_Forward{Forward: m}})
}

func (c *child) write(m *orielv1.FromHelper) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return write(c.out, m)
}

func (c *child) sign(sessionID string, nonce, fingerprint []byte) (signature, machineKey []byte, err error) {
	w := make(chan *orielv1.HelperSigned, 1)
	c.mu.Lock()
	if c.waiting == nil {
		c.mu.Unlock()
		return nil, nil, errNoSignature
	}
	c.nextID++
	id := c.nextID
	c.waiting[id] = w
	c.mu.Unlock()
	err = c.write(&orielv1.FromHelper{Body: &orielv1.FromHelper_Sign{Sign: &orielv1.HelperSign{
		Id: id, SessionId: sessionID, Nonce: nonce, Fingerprint: fingerprint,
	}}})
	if err != nil {
		return nil, nil, fmt.Errorf("ask the service to sign: %w", err)
	}
	timeout := time.NewTimer(signTimeout)
	defer timeout.Stop()
	select {
	case s := <-w:
		if len(s.GetSignature()) == 0 {
			return nil, nil, errNoSignature
		}
		return s.GetSignature(), s.GetMachineKey(), nil
	case <-timeout.C:
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
		return nil, nil, errNoSignature
	}
}

// abandon answers everyone who waits for a signature: none will come.
func (c *child) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.waiting {
		w <- &orielv1.HelperSigned{}
	}
	c.waiting = nil
}
