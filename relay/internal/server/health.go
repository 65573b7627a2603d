package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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

	mu     sync.Mutex       // held while asking, so that all who call at once share an answer
	asked  bool             // protected by mu
	at     time.Time        // when the answer came; protected by mu
	failed map[string]error // by the name of the check; replaced, never changed; protected by mu
}

// ask returns what fails, by the name of its check.
func (h *health) ask(ctx context.Context) map[string]error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked && h.now().Sub(h.at).Abs() < healthEvery {
		return h.failed
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
	for name := range sorted(failed) {
		h.log.Warn("not ready", "needs", name, "error", failed[name])
	}
	h.asked, h.at, h.failed = true, h.now(), failed
	return failed
}

// answer of /readyz: what is fine and what is not; why stays in the log.
func (h *health) answer(ctx context.Context) (code int, text string) {
	failed := h.ask(ctx)
	code = http.StatusOK
	for name := range sorted(h.checks) {
		switch err := failed[name]; {
		case err == nil:
			text += name + ": ok\n"
			continue
		case store.DiskFull(err):
			text += name + ": disk full\n"
		default:
			text += name + ": failing\n"
		}
		code = http.StatusServiceUnavailable
	}
	return code, text
}

var (
	readyMetric = prometheus.NewDesc("oriel_ready", "What the relay needs: 1 when what is written there is read back.", []string{"part"}, nil)
	fullMetric  = prometheus.NewDesc("oriel_disk_full", "1 when a part of what the relay needs has no room to write.", []string{"part"}, nil)
)

// Describe is for Prometheus.
func (h *health) Describe(to chan<- *prometheus.Desc) {
	to <- readyMetric
	to <- fullMetric
}

// Collect is for Prometheus: one check a scrape.
func (h *health) Collect(to chan<- prometheus.Metric) {
	failed := h.ask(context.Background())
	for name := range sorted(h.checks) {
		err := failed[name]
		to <- prometheus.MustNewConstMetric(readyMetric, prometheus.GaugeValue, oneIf(err == nil), name)
		to <- prometheus.MustNewConstMetric(fullMetric, prometheus.GaugeValue, oneIf(store.DiskFull(err)), name)
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// Failing is what the relay needs and does not have, by the name of its check
// (Options.Ready). It asks at most once a second.
func (s *Server) Failing(ctx context.Context) map[string]error { return s.health.ask(ctx) }
