package daemon

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
)

// maxQueue is how many messages may wait for a child that does not read; one
// that lets more pile up is taken for dead.
const maxQueue = 512

// process is one child.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *os.File
	queue chan *orielv1.ToHelper
	quit  chan struct{} // closed by stop
	dead  chan struct{} // closed when the child is of no more use
	once  sync.Once
	wg    sync.WaitGroup
}

func startProcess(h *Helper, target Display) (*process, error) {
	cmd := exec.Command(h.o.Command[0], h.o.Command[1:]...)
	if err := into(cmd, target); err != nil {
		return nil, err
	}
	cmd.Stderr = &lineLog{log: h.log, pid: func() int { return cmd.Process.Pid }}
	cmd.WaitDelay = exitGrace // for a grandchild that holds the pipes
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = theirs
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	p := &process{cmd: cmd, in: in, out: out, queue: make(chan *orielv1.ToHelper, maxQueue),
		quit: make(chan struct{}), dead: make(chan struct{})}
	p.wg.Go(p.write)
	p.wg.Go(func() { p.read(h) })
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// send queues m; it never blocks.
func (p *process) send(m *orielv1.ToHelper) {
	select {
	case p.queue <- m:
	default:
		p.fail()
	}
}

func (p *process) fail() { p.once.Do(func() { close(p.dead) }) }

func (p *process) write() {
	defer p.in.Close()
	for {
		select {
		case <-p.quit:
			return
		case m := <-p.queue:
			if write(p.in, m) != nil {
				p.fail()
				return
			}
		}
	}
}

func (p *process) read(h *Helper) {
	defer p.fail()
	r := bufio.NewReader(p.out)
	for {
		m := &orielv1.FromHelper{}
		if err := read(r, m); err != nil {
			return
		}
		switch body := m.GetBody().(type) {
		case *orielv1.FromHelper_Forward:
			h.forward(p, body.Forward)
		case *orielv1.FromHelper_Sign:
			h.sign(p, body.Sign)
		}
	}
}

// stop closes the child's input, waits for it to exit, kills it if it does
// not, and returns how it ended.
func (p *process) stop() error {
	close(p.quit)
	// A writer that is stuck in a full pipe is freed by the child's death.
	kill := time.AfterFunc(exitGrace, func() { p.cmd.Process.Kill() })
	err := p.cmd.Wait()
	kill.Stop()
	// What the child started may hold the other end.
	_ = p.out.SetReadDeadline(time.Now().Add(time.Second))
	p.wg.Wait()
	p.out.Close()
	return err
}

// lineLog logs what a child writes on its standard error, line by line.
type lineLog struct {
	log *slog.Logger
	pid func() int
	buf []byte
}

func (l *lineLog) Write(b []byte) (int, error) {
	l.buf = append(l.buf, b...)
	for {
		i := bytes.IndexByte(l.buf, '\n')
		if i < 0 && len(l.buf) > 4096 {
			i = 4095
		}
		if i < 0 {
			return len(b), nil
		}
		if s := sanitize.Line(string(l.buf[:i+1]), i+1); s != "" {
			l.log.Info("helper: "+s, "pid", l.pid())
		}
		l.buf = l.buf[i+1:]
	}
}
