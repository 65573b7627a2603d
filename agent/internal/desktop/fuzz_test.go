//go:build linux

package desktop

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"image"
	"io"
	"net"
	"strings"
	"testing"
)

func FuzzCursorShape(f *testing.F) {
	f.Add([]byte{0xff, 0, 0, 0xff, 1, 2, 3, 4}, 2, 1, 1, 0)
	f.Add(bytes.Repeat([]byte{9}, 4*300*300), 300, 300, 299, 299)
	f.Add([]byte{}, 65535, 65535, 0, 0)
	f.Fuzz(func(t *testing.T, raw []byte, w, h, hx, hy int) {
		argb := make([]uint32, len(raw)/4)
		for i := range argb {
			argb[i] = binary.LittleEndian.Uint32(raw[i*4:])
		}
		shape, hot, _, err := cursorShape(argb, w, h, image.Pt(hx, hy))
		if err != nil {
			return
		}
		size := shape.Rect.Size()
		if size.X < 1 || size.Y < 1 || size.X > maxCursor || size.Y > maxCursor || !hot.In(shape.Rect) {
			t.Fatalf("%d×%d became %v with hot spot %v", w, h, size, hot)
		}
		for i := 0; i < len(shape.Pix); i += 4 {
			if a := shape.Pix[i+3]; shape.Pix[i] > a || shape.Pix[i+1] > a || shape.Pix[i+2] > a {
				t.Fatal("not premultiplied")
			}
		}
	})
}

func FuzzAuthority(f *testing.F) {
	f.Add(authority(entry{256, []byte("host"), "0", "MIT-MAGIC-COOKIE-1", bytes.Repeat([]byte{1}, 16)}))
	f.Add(authority(entry{0, []byte{127, 0, 0, 1}, "", "MIT-MAGIC-COOKIE-1", bytes.Repeat([]byte{1}, 16)})[:20])
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, ip := range []net.IP{nil, net.IPv4(127, 0, 0, 1)} {
			if c := parseAuthority(bytes.NewReader(raw), "host", ip, "0"); c != nil && len(c) != 16 {
				t.Fatalf("a cookie of %d bytes", len(c))
			}
		}
	})
}

func FuzzDisplay(f *testing.F) {
	for _, s := range []string{":0", ":1.1", "host:10.0", "tcp/host:1", "/tmp/x:0", "unix:3", "::1:0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		network, address, number, screen, err := parseDisplay(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("%q", err)
			}
			return
		}
		if network != "unix" && network != "tcp" || address == "" || number == "" || screen < 0 || screen > 255 {
			t.Fatalf("%q: %q %q %q %d", s, network, address, number, screen)
		}
	})
}

// The stream keeps its packets apart whatever a server sends.
func FuzzStream(f *testing.F) {
	setup := append([]byte{1, 0, 11, 0, 0, 0, 1, 0}, 1, 2, 3, 4)
	reply := make([]byte, 36)
	reply[0], reply[4] = 1, 1
	generic := make([]byte, 40)
	generic[0], generic[4] = 35, 2
	fault := make([]byte, 32)
	fault[1] = 140
	f.Add(append(append(append(append([]byte(nil), setup...), reply...), generic...), fault...))
	f.Add(append(append([]byte(nil), setup...), bytes.Repeat([]byte{0xff}, 64)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		events := 0
		s := &xstream{r: bufio.NewReader(bytes.NewReader(raw)), onEvent: func(ev []byte) {
			if events++; len(ev) != 32 || ev[0]&0x7f < 2 {
				t.Fatalf("event %v", ev)
			}
		}}
		out, _ := io.ReadAll(s)
		if len(out)+events*32 > len(raw) {
			t.Fatalf("%d bytes and %d events of %d bytes", len(out), events, len(raw))
		}
		if len(out) < 8 {
			return
		}
		rest := out[min(8+int(binary.LittleEndian.Uint16(out[6:]))*4, len(out)):]
		for len(rest) >= 32 {
			switch {
			case rest[0] == 0 || rest[0] == 0x80:
				if rest[1] == 0 || rest[1] > 17 {
					t.Fatalf("error code %d", rest[1])
				}
				rest = rest[32:]
			default:
				if rest[0]&0x7f != 1 {
					t.Fatalf("an event got through: %v", rest[:32])
				}
				n := 32 + int(binary.LittleEndian.Uint32(rest[4:]))*4
				rest = rest[min(n, len(rest)):]
			}
		}
	})
}

func FuzzConvert(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 2, 1, true)
	f.Fuzz(func(t *testing.T, data []byte, w, h int, deep bool) {
		if w < 0 || h < 0 || w > 1<<15 || h > 1<<15 {
			return // as X gives them
		}
		k := format{bpp: 16, pad: 32, order: binary.LittleEndian, red: newChannel(0xf800), green: newChannel(0x7e0), blue: newChannel(0x1f)}
		if deep {
			k = format{bpp: 32, pad: 32, order: binary.BigEndian, red: newChannel(0x3ff00000), green: newChannel(0xffc00), blue: newChannel(0x3ff)}
		}
		var buf []byte
		if out, err := k.convert(&buf, data, w, h); err == nil && len(out) != w*h*4 {
			t.Fatalf("%d bytes of %d×%d", len(out), w, h)
		}
	})
}

func FuzzKeysyms(f *testing.F) {
	f.Add("a\r\nb\tc😀\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, sym := range keysyms(s) {
			if sym != symReturn && sym != symTab && unicodeSym(sym) != sym {
				t.Fatalf("%q gives keysym %#x", s, sym)
			}
		}
	})
}
