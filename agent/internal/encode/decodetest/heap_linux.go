//go:build cgo

package decodetest

// #include <malloc.h>
import "C"

// HeapInUse is how many bytes C holds now, in all of its arenas: what Go's own
// figures do not show.
func HeapInUse() int {
	m := C.mallinfo2()
	return int(m.uordblks) + int(m.hblkhd)
}
