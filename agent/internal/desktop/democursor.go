package desktop

import (
	"image"
	"image/color"
	"strings"
	"sync"
)

// glyph is a cursor drawn with characters: # black, . white, space nothing.
type glyph struct {
	rows string
	hot  image.Point

	once   [3]sync.Once
	images [3]*image.RGBA // by scale − 1, so that the same shape is the same image
}

func (g *glyph) image(scale int) (*image.RGBA, image.Point) {
	scale = min(max(scale, 1), len(g.images))
	g.once[scale-1].Do(func() {
		rows := strings.Split(strings.Trim(g.rows, "\n"), "\n")
		w := 0
		for _, row := range rows {
			w = max(w, len(row))
		}
		img := image.NewRGBA(image.Rect(0, 0, w*scale, len(rows)*scale))
		for y := range img.Rect.Dy() {
			row := rows[y/scale]
			for x := range img.Rect.Dx() {
				if x/scale >= len(row) {
					continue
				}
				switch row[x/scale] {
				case '#':
					img.SetRGBA(x, y, color.RGBA{16, 18, 24, 255})
				case '.':
					img.SetRGBA(x, y, color.RGBA{255, 255, 255, 255})
				}
			}
		}
		g.images[scale-1] = img
	})
	return g.images[scale-1], g.hot.Mul(scale)
}

var cursorArrow = &glyph{rows: `
#
##
#.#
#..#
#...#
#....#
#.....#
#......#
#.......#
#........#
#.........#
#..........#
#......#####
#...#..#
#..##..#
#.#  #..#
##   #..#
      #..#
      #..#
       ##
`}

var cursorText = &glyph{hot: image.Pt(3, 8), rows: `
### ###
#..#..#
###.###
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
###.###
#..#..#
### ###
`}

var cursorHand = &glyph{hot: image.Pt(5, 0), rows: `
     ##
    #..#
    #..#
    #..#
    #..#
    #..###
    #..#..###
    #..#..#..##
    #..#..#..#.#
 ## #..#..#..#..#
#..##........#..#
#...#...........#
 #..............#
  #.............#
  #............#
   #...........#
   #..........#
    #.........#
     #.......#
     #.......#
     #########
`}
