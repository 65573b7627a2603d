package store

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// logSync syncs SQLite's write-ahead log, once for all commits that wait for
// it (group commit). A commit's frames are in the log before its transaction
// returns, and the log is valid up to any frame, so that one sync makes every
// earlier commit durable. A checkpoint in between has synced the log itself,
// and the database after it.
type logSync struct {
	path string
	sync func(path string) error // replaced by tests

	mu      sync.Mutex
	next    *syncGroup // that newcomers join; protected by mu
	running bool       // protected by mu
}

// syncGroup is the commits that one sync serves.
type syncGroup struct {
	done chan struct{}
	err  error // written before done is closed
}

func newLogSync(path string) *logSync { return &logSync{path: path, sync: syncFile} }

// wait returns when every commit made before the call is on the disk. An error
// means that nobody knows whether they are.
func (l *logSync) wait() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	if l.next == nil {
		l.next = &syncGroup{done: make(chan struct{})}
	}
	group := l.next
	if !l.running {
		l.running = true
		go l.run()
	}
	l.mu.Unlock()
	<-group.done
	return group.err
}

// run syncs group after group until nobody waits.
func (l *logSync) run() {
	for {
		l.mu.Lock()
		group := l.next
		l.next = nil
		l.running = group != nil
		l.mu.Unlock()
		if group == nil {
			return
		}
		if err := l.sync(l.path); err != nil {
			group.err = fmt.Errorf("sync the database: %w; see to the disk it is on", err)
		}
		close(group.done)
	}
}

// syncFile has the system write the file at path to the disk. The log is
// opened anew each time: SQLite removes it with its last connection, after
// everything went into the database. It is no file that SQLite locks, so that
// closing it gives up nobody's lock.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // Windows flushes for writers only
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
