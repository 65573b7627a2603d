package desktop

import (
	"fmt"
	"image"
)

// maxText is the most runes in one call of Text.
const maxText = 4096

var errTextTooLong = fmt.Errorf("text of more than %d characters; send it in parts", maxText)

// notch is what one click of a wheel stands for, and maxNotches bounds what one
// call may scroll.
const (
	notch      = 120
	maxNotches = 100
)

// wheelNotches adds by to sum and takes whole notches out of it. A change of
// direction forgets what was left of the other one.
func wheelNotches(sum *int, by int) int {
	by = min(max(by, -maxNotches*notch), maxNotches*notch)
	if *sum > 0 && by < 0 || *sum < 0 && by > 0 {
		*sum = 0
	}
	*sum += by
	n := *sum / notch
	*sum -= n * notch
	return n
}

func clamp(p, size image.Point) image.Point {
	return image.Pt(min(max(p.X, 0), size.X-1), min(max(p.Y, 0), size.Y-1))
}
