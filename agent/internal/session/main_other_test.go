//go:build !linux

package session

import "go.uber.org/goleak"

func leakOptions() []goleak.Option { return nil }
