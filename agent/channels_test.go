package main

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"oriel/agent/internal/channel"
	"oriel/agent/internal/node"
	orielv1 "oriel/protocol/oriel/v1"
)

// shell is a kind of channel.
type shell struct{}

func (shell) Label() string                              { return "terminal" }
func (shell) Scopes() []orielv1.Scope                    { return []orielv1.Scope{orielv1.Scope_SCOPE_TERMINAL} }
func (shell) Serve(context.Context, *channel.Conn) error { return nil }

// Rule: the kinds of channel that are announced to the relay are those that sessions
// serve, in whichever process they run.
func TestChannelsAreServedAsTheyAreAnnounced(t *testing.T) {
	channels = []channel.Channel{shell{}}
	t.Cleanup(func() { channels = nil })
	said := nodeOptions(nil, slog.Default()).Capabilities
	if !slices.Contains(said, orielv1.Capability_CAPABILITY_TERMINAL) {
		t.Errorf("announced: %v", said)
	}
	if served := (hostOptions{}).session(node.Outlet{}, slog.Default()).Channels; !slices.Equal(served, channels) {
		t.Errorf("served: %v", served)
	}
}
