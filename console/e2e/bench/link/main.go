//go:build linux

// Command link puts a bad network between two places on one machine, for
// `make bench-peers`: a viewer's and a computer's, each a network namespace of
// its own with one TUN device in it. Packets are carried between the two in
// user space, since not every kernel can delay and lose them by itself.
//
// Each direction is one wire: packets wait in a queue for their turn, take the
// time that the rate allows, and arrive a delay later. A packet that would wait
// longer than the queue's time is dropped, and so is a share of all, at random
// but the same in every run with the same seed.
//
//	link -rate 5mbit -delay 20ms -loss 1 -queue 250ms
//
// The first line on standard output says where is what, as JSON:
//
//	{"viewer":"oriel-link-123-v","computer":"oriel-link-123-c","address":"10.201.77.2"}
//
// Namespaces and addresses are this run's own: the subnet is seen inside the two
// namespaces only, so any number of links can be there at once. Commands are
// lines on standard input, each answered by one line of JSON, the counters:
//
//	rate 1mbit     the rate from now on, both ways
//	forward PORT   PORT of the viewer's 127.0.0.1 leads to the same port of the computer
//	stats          nothing but the answer
//
// Everything is removed at the end of standard input, on SIGINT and SIGTERM;
// what a run left behind that was killed, the next one removes. Needs root.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	viewerAddress   = "10.201.77.1"
	computerAddress = "10.201.77.2"
)

func main() {
	rate := flag.String("rate", "0", "bits a second each way, such as 5mbit or 300kbit; 0: no limit")
	delay := flag.Duration("delay", 0, "how long a packet is on its way, once sent")
	loss := flag.Float64("loss", 0, "percent of packets that are lost")
	queue := flag.Duration("queue", 250*time.Millisecond, "longest wait of a packet for its turn")
	seed := flag.Uint64("seed", 1, "of what is lost")
	flag.Parse()
	if err := run(*rate, options{delay: *delay, loss: *loss / 100, queue: *queue, seed: *seed}); err != nil {
		fmt.Fprintln(os.Stderr, "link:", err)
		os.Exit(1)
	}
}

func run(rateText string, o options) error {
	rate, err := parseRate(rateText)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	removeForgotten()
	name := prefix + strconv.Itoa(os.Getpid())
	viewer, err := newPlace(name+"-v", viewerAddress)
	if err != nil {
		return err
	}
	defer viewer.remove()
	computer, err := newPlace(name+"-c", computerAddress)
	if err != nil {
		return err
	}
	defer computer.remove()

	down, up := newWire(rate, o), newWire(rate, o)
	go down.carry(computer.tun, viewer.tun)
	go up.carry(viewer.tun, computer.tun)

	out := json.NewEncoder(os.Stdout)
	_ = out.Encode(map[string]string{"viewer": viewer.name, "computer": computer.name, "address": computerAddress})
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, more := <-lines:
			if !more {
				return nil
			}
			answer := map[string]any{}
			if err := command(line, viewer, down, up); err != nil {
				answer["error"] = err.Error()
			}
			answer["down"], answer["up"] = down.counters(), up.counters()
			_ = out.Encode(answer)
		}
	}
}

func command(line string, viewer *place, wires ...*wire) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "stats":
		return nil
	case "rate":
		rate, err := parseRate(rest)
		for _, w := range wires {
			if err == nil {
				w.setRate(rate)
			}
		}
		return err
	case "forward":
		port, err := strconv.ParseUint(rest, 10, 16)
		if err != nil {
			return fmt.Errorf("port %q: %w", rest, err)
		}
		return viewer.forward(strconv.FormatUint(port, 10), computerAddress)
	}
	return fmt.Errorf("no command %q", verb)
}

// parseRate reads "5mbit" as 5e6; a bare number is in bits a second.
func parseRate(text string) (float64, error) {
	number, factor := text, 1.0
	for unit, f := range map[string]float64{"kbit": 1e3, "mbit": 1e6, "gbit": 1e9} {
		if rest, ok := strings.CutSuffix(text, unit); ok {
			number, factor = rest, f
		}
	}
	rate, err := strconv.ParseFloat(number, 64)
	if err != nil || rate < 0 {
		return 0, fmt.Errorf("rate %q: say it like 5mbit or 300kbit", text)
	}
	return rate * factor, nil
}
