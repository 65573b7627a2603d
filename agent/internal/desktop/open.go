package desktop

import (
	"log/slog"
)

// Options for Open; the zero value opens the display that $DISPLAY names.
type Options struct {
	Display    string // X display; $DISPLAY when empty
	XAuthority string // file with its cookie; $XAUTHORITY or ~/.Xauthority when empty
	// OwnServer takes only an X server of this process's user or of root's: a
	// display that was found, and not named by the person who starts us, may
	// have become somebody else's since.
	OwnServer bool
	Portable  bool         // use the portable backend where there is a better one
	Logger    *slog.Logger // discarded when nil
}

// Open opens a desktop with the best backend that this system has. The error
// wraps ErrNoDisplay when there is none to open now.
func Open(o Options) (Desktop, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Portable {
		return openPortable(o)
	}
	return openNative(o)
}
