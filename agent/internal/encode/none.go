//go:build !cgo

package encode

import (
	"errors"
	"fmt"
	"image"
)

// Supported is the codecs New can make: none without cgo.
func Supported() []Codec { return nil }

// Libraries names the linked codec libraries: none without cgo.
func Libraries() string { return "" }

func newEncoder(Codec, Config) (Encoder, error) { return nil, errors.ErrUnsupported }

// Convert needs libyuv.
func Convert(*Image, Picture, []image.Rectangle) error {
	return fmt.Errorf("this build cannot convert pictures; build with cgo: %w", errors.ErrUnsupported)
}

// Halve needs libyuv.
func Halve(*Image, *Image, []image.Rectangle) error {
	return fmt.Errorf("this build cannot halve pictures; build with cgo: %w", errors.ErrUnsupported)
}

// Patched reports whether the library of c is one that .ci/aom has built.
func Patched(Codec) bool { return false }
