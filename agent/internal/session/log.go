package session

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// loggers gives pion a logger of ours. What it calls a warning is an everyday
// matter of networks and of debugging here.
type loggers struct{ log *slog.Logger }

func (l loggers) NewLogger(scope string) logging.LeveledLogger {
	return leveled{l.log.With("pion", scope)}
}

type leveled struct{ log *slog.Logger }

func (l leveled) print(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug(fmt.Sprintf(format, args...))
	}
}

func (l leveled) Trace(string)              {}
func (l leveled) Tracef(string, ...any)     {}
func (l leveled) Debug(string)              {}
func (l leveled) Debugf(string, ...any)     {}
func (l leveled) Info(m string)             { l.print("%s", m) }
func (l leveled) Infof(f string, a ...any)  { l.print(f, a...) }
func (l leveled) Warn(m string)             { l.print("%s", m) }
func (l leveled) Warnf(f string, a ...any)  { l.print(f, a...) }
func (l leveled) Error(m string)            { l.print("%s", m) }
func (l leveled) Errorf(f string, a ...any) { l.print(f, a...) }
