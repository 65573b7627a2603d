// Package encode turns pictures of a desktop into video: AV1 first, VP9 where a
// browser lacks AV1, VP8 last. It is the only room with cgo (libaom, libvpx,
// libyuv, all linked statically) and imports no other room.
//
// Convert keeps an Image (YUV planes, BT.601, studio range) in step with a BGRX
// picture and touches only the rectangles that changed. An Encoder turns
// Images into Packets, one per call and never late: no look-ahead, no frame is
// dropped or held back by the library. Time is not the encoder's: packets are
// stamped by whoever sends them.
//
// Quality is the caller's. Params.Quantizer is the coarsest quantizer a frame
// may use, on one scale for all codecs (see MinQuantizer, MaxQuantizer), and
// the libraries' own rate control is locked out by setting both of its bounds
// to that value: after a change of page it would stay at its worst quantizer
// for ten frames and more (measured with libaom 3.6 and libvpx 1.12).
//
// Stale blocks: in screen mode libaom decides for some small changes that some
// blocks did not change, and leaves the old picture standing. So each Encode
// compares what the encoder reconstructed with the source inside the dirty
// rectangles and reports it: Packet.Error says how far the decoded picture is
// from the source and where, and Packet.Stale that a block is so far off that no
// quantizer explains it. The answer to Stale is to encode the same Image with the
// same rectangles again at once (Params.Again), as a frame of its own (the decoder
// needs both): EncodeAll does that; a caller who wants the first packet on the
// wire before the second is made does it himself. What stays is chroma, where luma
// happens to fit, with 3.12.1 in 8 of 100 changes of coloured letters and boxes,
// with 3.6 in 10; many would stay for good unless Again took a slower speed for
// that one frame, which mends all of them. (Luma stayed too, as long as libaom was
// in CBR: swapped black and white blocks of 16×16.) libvpx has no such fault. The
// same figures drive refinement: a picture that stands still is encoded again with
// a finer quantizer until Error.Lossless.
//
// What a quantizer costs differs: AV1's palettes make a page of text nearly as
// cheap at 52 (a fully covered one of 1080p over another: 111 kB, 34 dB) as at 40
// (127 kB, 38 dB); at 63 it takes 63 kB and has 27 dB, which reads well. For a link
// that is too slow for that there is Params.Soft: the first picture without what is
// finer than so many pixels. The key frame of a page of 1080p, a fully covered one
// in parentheses, then what 32 and 16 cost after it:
//
//	AV1 at 60          33 kB (137)   40 dB   then 19 kB (195)
//	AV1 at 56, soft 3  10 kB  (25)   19 dB   then 49 kB (310)
//	AV1 at 56, soft 4   7 kB  (20)   19 dB   then 49 kB (309)
//	AV1 at 60, soft 4   6 kB  (13)   18 dB   then 48 kB (309)
//	VP9 at 63          27 kB  (68)   21 dB   then 227 kB (999)
//	VP9 at 60, soft 3  13 kB  (27)   19 dB   then 230 kB (979)
//	VP9 at 60, soft 4  10 kB  (24)   18 dB   then 228 kB (976)
//	VP8 at 60, soft 4  14 kB  (30)   18 dB   then 214 kB (913)
//
// A soft page and what makes it sharp take a tenth more bits than the page at once
// (AV1), and less than a coarse page (VP9). VP8 keeps some chroma errors until its
// next key frame.
//
// What AV1 costs with libaom 3.12.1 (callgrind, one thread, millions of
// instructions and kbit a frame, dB of the whole picture and of the part that
// changes), 1080p refined before; text is Go Mono, the parts are of 1280×720, the
// scrolling one by 40 pixels a frame. A second thread adds 2 %, comparing such a
// part with its source 5 million:
//
//	             typing         scrolling text       gradients with noise
//	4:2:0 at 16  23   2.5  58   88   50  53 (50)    156  191  45 (41)
//	         24  22   2.2  57   84   43  50 (47)     95  127  44 (41)
//	         32  22   2.0  56   80   37  48 (45)     79   99  44 (40)
//	         40  25   1.8  56   84   35  47 (44)     82   80  44 (40)
//	         48  25   1.7  53   84   34  45 (42)     79   67  43 (40)
//	4:4:4 at 16  26   2.7  57   92   50  53 (50)    200  243  45 (41)
//	         24  25   2.3  57   89   43  50 (47)    129  136  44 (41)
//	3.6   at 24  27   2.4       125   55            109   33 (in CBR, filtered)
//	3.12  at 24  24   2.3        92   44            100   34 (likewise)
//
// libaom looks for scrolling by itself, by sums of rows and columns and in the
// middle of a large picture up to 512 pixels, elsewhere 160: there it takes one line
// of text for another now and then, and codes what moved further anew. So ours
// (.ci/aom.patch) can be told (Params.Moved): a page of 720p by 240 pixels takes a
// third of the bits then. And it can be told that what moved is as fine as it needs to
// be (Params.Stays): each 32×32 that shows what the last source showed there is a copy,
// and nothing else is tried; of a page that scrolls by 40 pixels a frame that spares
// three tenths of the instructions (49 → 34 million) and a twentieth of the bits; what
// remains is mostly what comes into view. It is told, too, where nothing changed
// (changed.go), and tries one or two palettes a block instead of up to 16 where bits
// are not dear. The
// table is of before that: by BenchmarkEncode and BenchmarkFirst, on one thread and in
// one run, a letter took 6.1 ms and takes 4.3, scrolling 16.5 and 13.3, a page's key
// frame at 40 261 and 149 (for a twentieth more bits).
//
// What was tried on 3.12.1: speed 9 gives the same picture for 5 % more, 8 for 40 %,
// 11 nothing; speed 9 makes soft key frames 1.3 to 3 times as large. Superblocks of 64
// save 2 % of scrolling and cost 20 % of typing. Without palettes a page of text has
// 4 dB less and takes 60 % more bits; without a search for motion in what is scrolled
// it takes 6 % less time and has up to 1 dB less. Quantizer matrices, IntraBC, other
// transforms, fewer references, a static threshold: nothing, or worse.
//
// Sizes may be odd; a change of size is a key frame. Everything here is used
// by one goroutine at a time.
//
// Without cgo New returns errors.ErrUnsupported.
package encode

import (
	"errors"
	"fmt"
	"image"
	"math"
)

// Codec names a video format as RTP does, without "video/".
type Codec string

// The codecs, best first for desktops.
const (
	AV1 Codec = "AV1"
	VP9 Codec = "VP9"
	VP8 Codec = "VP8"
)

// The quantizer scale: 0 is the finest (visually lossless, not lossless), 63
// the coarsest. It is the scale libaom and libvpx show to their users; what a
// number means in bits and decibel differs between codecs.
const (
	MinQuantizer = 0
	MaxQuantizer = 63
)

// MaxSide bounds the width and height of a picture in pixels.
const MaxSide = 16384

// ErrClosed: the Encoder was closed.
var ErrClosed = errors.New("encoder closed")

// Config says how a New encoder works. The zero value is right.
type Config struct {
	Threads int    // at most; 0 means by cores: all but one, at most 4
	Format  Format // of the Images to come; I444 needs AV1 or VP9
}

// Encoder turns Images of a screen into video, one Packet for each. One
// goroutine at a time.
type Encoder interface {
	Codec() Codec
	// Encode encodes img. The first frame, and the first of a new size, is a
	// key frame. Errors: ErrClosed; anything else means that the encoder is
	// broken and must be replaced.
	Encode(img *Image, p Params) (Packet, error)
	// Close frees the encoder. It may be called more than once.
	Close() error
}

// Params go with one frame.
type Params struct {
	Quantizer int               // ceiling, clamped to MinQuantizer..MaxQuantizer
	Key       bool              // make it a key frame
	Again     bool              // img is the one before, once more: after Stale, or finer. Slower and more careful
	Soft      int               // leave out what is finer than so many pixels inside Dirty; below 2: nothing
	Dirty     []image.Rectangle // what may differ from the last frame, or is wanted finer; empty means everything
	Moved     int               // by how many rows some of Dirty moved up since the last frame (Image.Fresh), below 0 down; spares a search, and what is soft there stays so
	Coarse    int               // how coarse some of what was inside Dirty before, or moved there, may be. If coarser than Quantizer it stays as it was decoded, or where that cannot be, Quantizer is this. Not for Key or Again
	Stays     bool              // what moved by Moved was no coarser than Quantizer, and stays as it was decoded: spares most of its time where the encoder can (Patched)
	Only      bool              // encode nothing but Dirty: elsewhere the decoded picture stays, whatever img shows. Not for a key frame
}

func (p Params) soft() bool { return p.Soft >= 2 }

// moves: the picture is to follow what moved.
func (p Params) moves() bool { return p.Moved != 0 && !p.Key && !p.Again }

// Packet is one frame, encoded. Data belongs to the receiver.
type Packet struct {
	Data      []byte // AV1: a temporal unit (low-overhead OBUs); VP9, VP8: a frame
	Key       bool
	Quantizer int   // as used
	Stale     bool  // encode the same again: a block was left as it was; never of a soft frame
	Soft      bool  // some of the picture is soft, by this frame or one before
	Error     Error // inside Params.Dirty
}

// Error is how far the decoded picture is from the source.
type Error struct {
	Pixels int             // luma pixels compared
	MSE    float64         // mean squared error, luma
	Max    int             // largest difference, luma
	Worst  float64         // mean squared error of the worst 8×8 block, any plane
	Rough  image.Rectangle // encloses every block whose difference could be seen
}

// Lossless reports whether nobody can see a difference: 50 dB over all, and no
// block beyond the bounds below.
func (e Error) Lossless() bool { return e.MSE <= losslessMSE && e.Rough.Empty() }

// What a block of 8×8 may differ before it counts as rough. Chroma may more:
// it is seen less, and its 4:2:0 samples stand for four pixels.
const (
	losslessMSE    = 0.65
	roughMSE       = 2.6
	roughMax       = 8
	roughMSEChroma = 12
	roughMaxChroma = 16
)

// PSNR is MSE in decibel, at most 99.
func (e Error) PSNR() float64 {
	if e.MSE <= 0 {
		return 99
	}
	return min(99, 10*math.Log10(255*255/e.MSE))
}

// New makes an encoder. Errors: errors.ErrUnsupported where this build or the
// codec cannot do it. The library itself is opened by the first Encode.
func New(c Codec, cfg Config) (Encoder, error) {
	known := false
	for _, s := range Supported() {
		known = known || s == c
	}
	switch {
	case len(Supported()) == 0:
		return nil, fmt.Errorf("this build has no video encoder; use a release, or build with cgo and libaom, libvpx and libyuv: %w", errors.ErrUnsupported)
	case !known:
		return nil, fmt.Errorf("no encoder for %q here; choose one of %v: %w", c, Supported(), errors.ErrUnsupported)
	case cfg.Format == I444 && c == VP8:
		return nil, fmt.Errorf("VP8 has no 4:4:4; choose AV1 or VP9: %w", errors.ErrUnsupported)
	}
	return newEncoder(c, cfg)
}

// EncodeAll encodes img and, when blocks were left stale, encodes it again, at
// most twice. It returns every packet in order; a decoder needs all of them.
func EncodeAll(e Encoder, img *Image, p Params) ([]Packet, error) {
	var all []Packet
	for range 3 {
		pkt, err := e.Encode(img, p)
		if err != nil {
			return all, err
		}
		all = append(all, pkt)
		if !pkt.Stale {
			break
		}
		p.Key, p.Again = false, true
	}
	return all, nil
}

// staleMSE is the mean squared error of a block that no honest use of
// quantizer q comes near: what the step size explains many times over.
func staleMSE(c Codec, q int) float64 {
	step := 1.3 * math.Exp2(float64(q)/8.5) // roughly the AC step of all three, in luma
	least := 250.0
	if c == AV1 && !Patched(c) {
		least = 60 // libaom 3.6 leaves pieces of a block that are no worse, too
	}
	return max(least, 0.6*step*step)
}
