package session

import (
	"go.uber.org/goleak"

	"oriel/agent/internal/desktop/xvfbtest"
)

func leakOptions() []goleak.Option {
	return []goleak.Option{goleak.IgnoreAnyFunction(xvfbtest.StarterLoop)}
}
