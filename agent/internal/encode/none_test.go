//go:build !cgo

package encode

import (
	"errors"
	"testing"
)

func TestWithoutCgo(t *testing.T) {
	if _, err := New(AV1, Config{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("New: %v", err)
	}
	if err := Convert(nil, Picture{}, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Convert: %v", err)
	}
	if len(Supported()) != 0 {
		t.Errorf("Supported: %v", Supported())
	}
}
