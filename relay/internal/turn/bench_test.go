package turn

import (
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"
)

// BenchmarkPairs relays streams of 2 Mbit/s at once, 200 being as many as a first
// packet was lost with when one socket read for all, and reports what is lost.
// One machine plays the server and both ends of each pair, so that a loss may
// be theirs.
//
// Two idle cores of a Xeon, 2026-11-30, two sockets, three rounds of seven seconds
// (-benchtime 1500x): 200 pairs lose nothing at 400 Mbit/s, as 20 do at 40.
func BenchmarkPairs(b *testing.B) {
	for _, pairs := range []int{20, 200} {
		b.Run(strconv.Itoa(pairs), func(b *testing.B) { benchmarkPairs(b, pairs) })
	}
}

func benchmarkPairs(b *testing.B, pairs int) {
	const size, every = 1200, 4800 * time.Microsecond // 2 Mbit/s
	s, err := Start(Options{UDP: "127.0.0.1:0", Secret: []byte("0123456789abcdef"), AllowPeers: loopback, BytesPerSecond: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var sent, received atomic.Int64
	relays, peers := make([]net.PacketConn, pairs), make([]net.PacketConn, pairs)
	var reading sync.WaitGroup
	for i := range pairs {
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		user, password := s.Credentials(Holder{ID: "ada"}, time.Now().Add(time.Hour))
		c, err := turn.NewClient(&turn.ClientConfig{Conn: conn, TURNServerAddr: s.UDPAddr().String(), Username: user, Password: password,
			Realm: "oriel", LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard}})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		if err := c.Listen(); err != nil {
			b.Fatal(err)
		}
		if relays[i], err = c.Allocate(); err != nil {
			b.Fatal(err)
		}
		defer relays[i].Close()
		if peers[i], err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
			b.Fatal(err)
		}
		_ = peers[i].(*net.UDPConn).SetReadBuffer(socketBuffer)
		reading.Go(func() {
			for buffer := make([]byte, 1500); ; received.Add(1) {
				if _, _, err := peers[i].ReadFrom(buffer); err != nil {
					return
				}
			}
		})
		if _, err := relays[i].WriteTo(make([]byte, size), peers[i].LocalAddr()); err != nil { // the permission, and the channel
			b.Fatal(err)
		}
	}
	time.Sleep(500 * time.Millisecond) // the first packets have come, and are not counted
	received.Store(0)
	b.SetBytes(int64(pairs * size))
	began := time.Now()
	b.ResetTimer()
	var sending sync.WaitGroup
	for i := range pairs {
		sending.Go(func() {
			data := make([]byte, size)
			for n := range b.N {
				time.Sleep(time.Until(began.Add(time.Duration(n)*every + every*time.Duration(i)/time.Duration(pairs))))
				if _, err := relays[i].WriteTo(data, peers[i].LocalAddr()); err == nil {
					sent.Add(1)
				}
			}
		})
	}
	sending.Wait()
	took := time.Since(began)
	time.Sleep(200 * time.Millisecond)
	b.StopTimer()
	for _, p := range peers {
		_ = p.Close()
	}
	reading.Wait()
	b.ReportMetric(100*float64(sent.Load()-received.Load())/float64(sent.Load()), "%lost")
	b.ReportMetric(float64(s.Stats().Dropped), "refused")
	b.ReportMetric(float64(sent.Load()*size*8)/took.Seconds()/1e6, "Mbit/s")
	b.ReportMetric(float64(socketCount()), "sockets")
}
