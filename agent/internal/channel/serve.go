package channel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"

	orielv1 "oriel/protocol/oriel/v1"
)

// Options of Serve. All are required.
type Options struct {
	// Room is how many bytes of this channel may be under way, now.
	Room func() uint64
	// May reports whether the session has a scope, now.
	May    func(orielv1.Scope) bool
	Logger *slog.Logger
}

// Serve runs ch on an open data channel. It returns when ch has, and both sides have
// closed the channel or the connection is gone. The end of ctx ends the channel; its
// cause is told to the viewer where it is a Fault.
func Serve(ctx context.Context, ch Channel, pipe Pipe, o Options) {
	ctx, end := context.WithCancelCause(ctx)
	c := newConn(ctx, pipe, o)
	// Not by who serves: a channel that does not return is shut all the same.
	shut := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(shut)
		c.shut(context.Cause(ctx))
	})
	var wg sync.WaitGroup
	wg.Go(func() { end(c.run(ch)) })
	c.receive(end)
	wg.Wait()
	<-shut
}

// Refuse tells the viewer why a channel is not taken, closes it, and returns when the
// viewer has closed it too or the connection is gone.
func Refuse(pipe Pipe, f *Fault) {
	refuse(pipe, f)
	_ = pipe.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nothing that comes is kept
	newConn(ctx, pipe, Options{}).receive(func(error) {})
}

// errDone is the cause of a channel that did what it was opened for.
var errDone = errors.New("the channel is done")

// run is Serve of the kind, with its end as the cause of the channel's.
func (c *Conn) run(ch Channel) (cause error) {
	defer func() {
		if r := recover(); r != nil {
			c.o.Logger.Error("panic in a channel", "label", ch.Label(), "panic", r, "stack", string(debug.Stack()))
			cause = errFailed
		}
	}()
	err := ch.Serve(c.ctx, c)
	var f *Fault
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return errDone
	case errors.As(err, &f):
		return f
	case c.ctx.Err() != nil: // and so it failed
		return errDone
	}
	c.o.Logger.Warn("channel failed", "label", ch.Label(), "error", fmt.Errorf("serve: %w", err))
	return errFailed
}
