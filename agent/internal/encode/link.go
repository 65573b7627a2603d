//go:build cgo

package encode

// #cgo CFLAGS: -O3 -Wall
// #cgo LDFLAGS: -l:libaom.a -l:libvpx.a -l:libyuv.a -l:libjpeg.a -l:libstdc++.a -lm -lpthread
import "C"
