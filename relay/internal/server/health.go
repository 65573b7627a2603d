package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"oriel/relay/internal/store"
)

const (
	healthEvery  = time.Second     // a check writes: how often at most
	healthWithin = 3 * time.Second // for all checks
)

// health asks what the relay needs, and remembers the answer for healthEvery:
// anybody may call /readyz, and each check costs a write.
type health struct {
	checks map[string]func(context.Context) error
	log    *slog.Logger
	now    func() time.Time

	mu   sync.Mutex // held while asking, so that all who call at once share an answer
	at   time.Time  // when the answer came; protected by mu
	code int        // protected by mu
	text string     // protected by mu
}

func (h *health) ask(ctx context.Context) (code int, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.code != 0 && h.now().Sub(h.at).Abs() < healthEvery {
		return h.code, h.text
	}
	// One who hangs up must not fail the answer of the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthWithin)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	failed := map[string]error{}
	for name, check := range h.checks {
		wg.Go(func() {
			if err := check(ctx); err != nil {
				mu.Lock()
				failed[name] = err
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	h.code, h.text = http.StatusOK, ""
	for name := range sorted(h.checks) {
		err := failed[name]
		switch {
		case err == nil:
			h.text += name + ": ok\n"
			continue
		case store.DiskFull(err):
			h.text += name + ": disk full\n"
		default:
			h.text += name + ": failing\n"
		}
		h.code = http.StatusServiceUnavailable
		h.log.Warn("not ready", "needs", name, "error", err)
	}
	h.at = h.now()
	return h.code, h.text
}
