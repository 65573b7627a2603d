package hub

import (
	"context"

	"oriel/relay/internal/access"
	"oriel/relay/internal/rights"
)

// SetVisible has h ask fn instead of access. It is called before anybody connects.
func (h *Hub) SetVisible(fn func(context.Context, access.Identity, rights.Permission) (access.Visibility, error)) {
	h.visible = fn
}
