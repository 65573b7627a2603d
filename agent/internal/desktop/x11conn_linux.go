package desktop

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
	"golang.org/x/sys/unix"

	"oriel/protocol/sanitize"
)

// xconn is one connection to an X server. Requests and replies are xgb's;
// events never reach it, for three reasons: xgb cannot read the long events of
// the X Input Extension, it stops reading replies when nobody takes its events,
// and it looks events up in a table that belongs to the whole process and that
// every other user of xgb writes to without a lock. So the stream is parsed on
// its way in, and events go to one function.
type xconn struct {
	*xgb.Conn
	net    net.Conn
	root   xproto.Window
	screen *xproto.ScreenInfo
	setup  *xproto.SetupInfo
	ext    map[string]extension // written while opening only
	closed chan struct{}        // closed when the connection has ended, whoever ended it
	once   sync.Once
}

// extension is what the server said about one extension.
type extension struct{ major, event byte }

func init() {
	// It reports to standard error what the caller gets as an error, too.
	xgb.Logger = log.New(io.Discard, "", 0)
}

// maxReply bounds what a server may send in one reply: a whole 16k screen
// without MIT-SHM comes in bands far below this.
const maxReply = 64 << 20

// dialX connects to a display; own as Options.OwnServer. onEvent gets every event, in the reading
// goroutine: it must not block and not make requests.
func dialX(display, authority string, own bool, onEvent func(ev []byte)) (*xconn, error) {
	if display == "" {
		display = os.Getenv("DISPLAY")
	}
	if display == "" {
		return nil, fmt.Errorf("%w: DISPLAY is not set; start the agent in a graphical session or name a display", ErrNoDisplay)
	}
	network, address, number, screen, err := parseDisplay(display)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNoDisplay, err)
	}
	nc, err := net.DialTimeout(network, address, 10*time.Second)
	if err != nil {
		return nil, fmt.Errorf("%w: nothing answers at display %s; is the X server running?", ErrNoDisplay, display)
	}
	peer, err := peerOf(nc)
	if err == nil {
		err = peer.allowed(own)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("%w: display %s: %v", ErrNoDisplay, display, err)
	}
	stream := &xstream{Conn: nc, r: bufio.NewReaderSize(nc, 64<<10), onEvent: onEvent}
	// A server that is there but says nothing must not hold us for ever.
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	var xc *xgb.Conn
	if cookie := findCookie(authority, network, address, number, peer); cookie != nil {
		xc, err = xgb.NewConnNetWithCookieHex(stream, hex.EncodeToString(cookie))
	} else {
		xc, err = xgb.NewConnNet(stream)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("%w: display %s refused us (%s); run as the user who is signed in there or set XAUTHORITY",
			ErrNoDisplay, display, sanitize.Line(err.Error(), 200))
	}
	nc.SetDeadline(time.Time{})
	xc.DefaultScreen = screen
	c := &xconn{Conn: xc, net: nc, ext: make(map[string]extension), closed: make(chan struct{})}
	c.setup = xproto.Setup(xc)
	if screen >= len(c.setup.Roots) {
		c.hangUp()
		go c.drain()
		<-c.closed
		return nil, fmt.Errorf("%w: display %s has no screen %d", ErrNoDisplay, display, screen)
	}
	c.screen = &c.setup.Roots[screen]
	c.root = c.screen.Root
	go c.drain()
	return c, nil
}

// drain takes what xgb would queue (errors of requests nobody waits for) and
// notices the end of the connection.
func (c *xconn) drain() {
	for {
		if ev, err := c.WaitForEvent(); ev == nil && err == nil {
			c.net.Close()
			close(c.closed)
			return
		}
	}
}

// hangUp ends the connection without asking the server, which may be frozen.
func (c *xconn) hangUp() { c.once.Do(func() { c.net.Close() }) }

// use asks for an extension. xgb's own Init is not called: it writes to tables
// that all connections of the process share.
func (c *xconn) use(name string) bool {
	reply, err := xproto.QueryExtension(c.Conn, uint16(len(name)), name).Reply()
	if err != nil || !reply.Present {
		return false
	}
	c.ext[name] = extension{major: reply.MajorOpcode, event: reply.FirstEvent}
	c.ExtLock.Lock()
	c.Extensions[name] = reply.MajorOpcode
	c.ExtLock.Unlock()
	return true
}

// has reports that use has found an extension.
func (c *xconn) has(name string) bool {
	_, ok := c.ext[name]
	return ok
}

// request sends a request that xgb has no package for. The first two bytes of
// buf (opcodes) and its length are set here; len(buf) must be a multiple of 4.
func (c *xconn) request(ext string, minor byte, buf []byte, reply bool) ([]byte, error) {
	e, ok := c.ext[ext]
	if !ok {
		return nil, errors.ErrUnsupported
	}
	buf[0], buf[1] = e.major, minor
	xgb.Put16(buf[2:], uint16(len(buf)/4))
	cookie := c.NewCookie(true, reply)
	c.NewRequest(buf, cookie)
	if reply {
		return cookie.Reply()
	}
	return nil, cookie.Check()
}

// send is request for one whose answer nobody waits for.
func (c *xconn) send(ext string, minor byte, buf []byte) {
	if e, ok := c.ext[ext]; ok {
		buf[0], buf[1] = e.major, minor
		xgb.Put16(buf[2:], uint16(len(buf)/4))
		c.NewRequest(buf, c.NewCookie(false, false))
	}
}

// xstream parses the server's side of the X protocol far enough to take the
// events out and to keep error codes within those that xgb knows.
type xstream struct {
	net.Conn
	r       *bufio.Reader
	onEvent func(ev []byte)

	ready bool     // the connection setup is over
	head  [32]byte // the packet being read
	have  []byte   // of head, not yet handed on
	body  int      // bytes that follow head
}

func (s *xstream) Read(p []byte) (int, error) {
	for len(s.have) == 0 && s.body == 0 {
		if err := s.packet(); err != nil {
			return 0, err
		}
	}
	if len(s.have) > 0 {
		n := copy(p, s.have)
		s.have = s.have[n:]
		return n, nil
	}
	n, err := s.r.Read(p[:min(len(p), s.body)])
	s.body -= n
	return n, err
}

// packet reads the beginning of one packet.
func (s *xstream) packet() error {
	if !s.ready {
		if _, err := io.ReadFull(s.r, s.head[:8]); err != nil {
			return err
		}
		s.ready = true
		s.have, s.body = s.head[:8], int(xgb.Get16(s.head[6:]))*4
		return nil
	}
	if _, err := io.ReadFull(s.r, s.head[:]); err != nil {
		return err
	}
	const (
		xError   = 0
		xReply   = 1
		xGeneric = 35
		// The last error of the core protocol; an unknown code would leave
		// the request that caused it without an answer.
		badImplementation = 17
	)
	switch kind := s.head[0] & 0x7f; kind {
	case xError:
		if s.head[1] == 0 || s.head[1] > badImplementation {
			s.head[1] = badImplementation
		}
		s.have = s.head[:]
	case xReply:
		more := uint64(xgb.Get32(s.head[4:])) * 4
		if more > maxReply {
			return fmt.Errorf("x reply of %d bytes", more)
		}
		s.have, s.body = s.head[:], int(more)
	case xGeneric:
		more := uint64(xgb.Get32(s.head[4:])) * 4
		if more > maxReply {
			return fmt.Errorf("x event of %d bytes", more)
		}
		if _, err := s.r.Discard(int(more)); err != nil {
			return err
		}
		fallthrough
	default:
		if s.onEvent != nil {
			s.onEvent(s.head[:])
		}
	}
	return nil
}

// parseDisplay reads "host:number.screen" and its older spellings.
func parseDisplay(display string) (network, address, number string, screen int, err error) {
	bad := fmt.Errorf("%q is no display; write :0 or host:0", sanitize.Line(display, 200))
	host, rest, ok := cutLast(display, ":")
	if !ok {
		return "", "", "", 0, bad
	}
	number, scr, _ := strings.Cut(rest, ".")
	n, err := strconv.ParseUint(number, 10, 15)
	if err != nil {
		return "", "", "", 0, bad
	}
	if scr != "" {
		s, err := strconv.ParseUint(scr, 10, 8)
		if err != nil {
			return "", "", "", 0, bad
		}
		screen = int(s)
	}
	number = strconv.FormatUint(n, 10)
	switch {
	case strings.HasPrefix(host, "/"):
		return "unix", host + ":" + number, number, screen, nil
	case host == "" || host == "unix" || strings.HasSuffix(host, "/unix"):
		return "unix", "/tmp/.X11-unix/X" + number, number, screen, nil
	}
	network = "tcp"
	if p, h, ok := strings.Cut(host, "/"); ok {
		network, host = p, h
	}
	switch network {
	case "tcp", "inet", "inet6":
		return "tcp", net.JoinHostPort(host, strconv.FormatUint(6000+n, 10)), number, screen, nil
	}
	return "", "", "", 0, bad
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// peer is who listens at the other end of a connection.
type peer struct {
	known bool // false over a network
	uid   uint32
}

func peerOf(nc net.Conn) (peer, error) {
	u, ok := nc.(*net.UnixConn)
	if !ok {
		return peer{}, nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil || err != nil {
		return peer{}, fmt.Errorf("ask whose server it is: %w", errors.Join(e, err))
	}
	return peer{true, cred.Uid}, nil
}

// allowed: own as Options.OwnServer.
func (p peer) allowed(own bool) error {
	if own && (!p.known || p.uid != 0 && p.uid != uint32(os.Geteuid())) {
		return errors.New("its server is another user's")
	}
	return nil
}

// openAuthority opens a file of cookies for one server. A cookie is power over
// a whole desktop: it is taken only out of a plain file of our own, and shown
// only to a server of its owner's or of root's. Root may also use the file of
// the user whose server it is.
func openAuthority(file string, to peer) (*os.File, error) {
	// Not waiting: a pipe would have no end.
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		st, ok := info.Sys().(*syscall.Stat_t)
		euid := uint32(os.Geteuid())
		switch {
		case !ok || !info.Mode().IsRegular():
			err = fmt.Errorf("%s is no plain file", file)
		case st.Uid != euid && (euid != 0 || !to.known || st.Uid != to.uid):
			err = fmt.Errorf("%s belongs to another user (uid %d)", file, st.Uid)
		case to.known && to.uid != 0 && to.uid != st.Uid:
			err = fmt.Errorf("the server is another user's (uid %d)", to.uid)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// findCookie looks up the display's MIT-MAGIC-COOKIE-1; nil when there is none
// for this server.
func findCookie(file, network, address, number string, to peer) []byte {
	if file == "" {
		file = os.Getenv("XAUTHORITY")
	}
	if file == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil
		}
		file = home + "/.Xauthority"
	}
	f, err := openAuthority(file, to)
	if err != nil {
		return nil
	}
	defer f.Close()
	host, _ := os.Hostname()
	var ip net.IP
	if network == "tcp" {
		h, _, _ := net.SplitHostPort(address)
		ip = net.ParseIP(h)
	}
	return parseAuthority(io.LimitReader(f, 1<<20), host, ip, number)
}

// parseAuthority reads an Xauthority file: entries of family, address, display
// number, protocol name and data, each but the first with a 16-bit length,
// everything big-endian.
func parseAuthority(r io.Reader, host string, ip net.IP, number string) []byte {
	const (
		familyInternet  = 0
		familyInternet6 = 6
		familyLocal     = 256
		familyWild      = 65535
	)
	br := bufio.NewReader(r)
	u16 := func() (int, bool) {
		var b [2]byte
		_, err := io.ReadFull(br, b[:])
		return int(b[0])<<8 | int(b[1]), err == nil
	}
	for {
		family, ok := u16()
		if !ok {
			return nil
		}
		var field [4][]byte
		for i := range field {
			n, ok := u16()
			if !ok {
				return nil
			}
			field[i] = make([]byte, n)
			if _, err := io.ReadFull(br, field[i]); err != nil {
				return nil
			}
		}
		address, display, name, data := field[0], string(field[1]), string(field[2]), field[3]
		if name != "MIT-MAGIC-COOKIE-1" || len(data) != 16 || display != "" && display != number {
			continue
		}
		switch family {
		case familyWild:
			return data
		case familyLocal:
			if (ip == nil || ip.IsLoopback()) && string(address) == host {
				return data
			}
		case familyInternet, familyInternet6:
			if ip != nil && ip.Equal(net.IP(address)) {
				return data
			}
		}
	}
}
