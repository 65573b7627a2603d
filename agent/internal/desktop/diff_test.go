package desktop

import (
	"image"
	"math/rand"
	"testing"
)

func TestDiffFindsExactlyWhatDiffers(t *testing.T) {
	rnd := rand.New(rand.NewSource(3))
	for round := range 300 {
		size := image.Pt(1+rnd.Intn(300), 1+rnd.Intn(200))
		was := make([]byte, size.X*size.Y*4)
		rnd.Read(was)
		is := append([]byte(nil), was...)
		whole := image.Rectangle{Max: size}
		changed := make(map[image.Point]bool)
		for range rnd.Intn(6) {
			r := image.Rect(rnd.Intn(size.X), rnd.Intn(size.Y), rnd.Intn(size.X)+1, rnd.Intn(size.Y)+1)
			for y := r.Min.Y; y < r.Max.Y; y++ {
				for x := r.Min.X; x < r.Max.X; x++ {
					is[(y*size.X+x)*4+rnd.Intn(3)]++
				}
			}
		}
		for i := 0; i < len(is); i += 4 {
			if string(is[i:i+4]) != string(was[i:i+4]) {
				changed[image.Pt(i/4%size.X, i/4/size.X)] = true
			}
		}
		frame := append([]byte(nil), was...)
		boxes := diff(nil, view{frame, size.X * 4, whole}, view{is, size.X * 4, whole}, true)
		if string(frame) != string(is) {
			t.Fatalf("round %d: the copy is not equal", round)
		}
		for _, n := range []int{1000, maxDirty, 3, 1} {
			rs := coalesce(append([]image.Rectangle(nil), boxes...), n)
			if len(rs) > n {
				t.Fatalf("round %d: %d rectangles, at most %d", round, len(rs), n)
			}
			for p := range changed {
				if !inAny(p, rs) {
					t.Fatalf("round %d: %v is in none of %v", round, p, rs)
				}
			}
		}
		// A box is no larger than the changes in its tile.
		for _, box := range boxes {
			var tight image.Rectangle
			for p := range changed {
				if p.In(box) {
					tight = tight.Union(image.Rectangle{Min: p, Max: p.Add(image.Pt(1, 1))})
				}
			}
			if tight != box {
				t.Fatalf("round %d: box %v, the changes in it are %v", round, box, tight)
			}
		}
	}
}

func inAny(p image.Point, rs []image.Rectangle) bool {
	for _, r := range rs {
		if p.In(r) {
			return true
		}
	}
	return false
}

func TestCoalesceKeepsFarThingsApart(t *testing.T) {
	rs := coalesce([]image.Rectangle{
		image.Rect(0, 0, 10, 10), image.Rect(10, 0, 20, 10), image.Rect(0, 10, 20, 20), image.Rect(1000, 1000, 1010, 1010),
	}, 2)
	if len(rs) != 2 || rs[0].Union(rs[1]) == rs[0] {
		t.Fatalf("%v", rs)
	}
	if area(rs[0])+area(rs[1]) != 500 {
		t.Errorf("%v", rs)
	}
	var many []image.Rectangle
	for i := range 20000 {
		many = append(many, image.Rect(i%200*9, i/200*9, i%200*9+3, i/200*9+3))
	}
	all := append([]image.Rectangle(nil), many...)
	rs = coalesce(many, maxDirty)
	if len(rs) > maxDirty {
		t.Fatalf("%d rectangles", len(rs))
	}
	for _, r := range all {
		if !inAny(r.Min, rs) || !inAny(r.Max.Sub(image.Pt(1, 1)), rs) {
			t.Fatalf("%v is lost", r)
		}
	}
}
