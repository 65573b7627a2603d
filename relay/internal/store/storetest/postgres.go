package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL server of our own.
type Server struct {
	dir   string
	shell *exec.Cmd
	pipe  io.Closer // the shell's standard input; closing it stops the server
	log   *bytes.Buffer
}

// The shell lives as long as its standard input is open, then stops the server
// without ceremony and removes its folder, however the test binary ended.
const guard = `
"$1" -D "$2/data" -k "$2" -c listen_addresses='' -c fsync=off -c synchronous_commit=off \
	-c full_page_writes=off -c max_connections=200 -c shared_buffers=32MB &
pid=$!
read -r _
kill -INT $pid 2>/dev/null
wait $pid
rm -rf "$2"
`

// Start makes and starts a server in a new temporary folder. It is for tests
// that need PostgreSQL outside of Each; the caller stops it.
func Start() (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	// Not t.TempDir: the path of a Unix socket is at most 107 bytes.
	dir, err := os.MkdirTemp("", "oriel-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, log: new(bytes.Buffer)}
	if err := s.start(bin); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func (s *Server) start(bin string) error {
	as, err := notRoot()
	if err != nil {
		return err
	}
	if as != nil {
		if err := os.Chown(s.dir, int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	attr := &syscall.SysProcAttr{Credential: as}
	env := append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")

	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(s.dir, "data"),
		"-U", superuser, "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions")
	initdb.Dir, initdb.Env, initdb.SysProcAttr = s.dir, env, attr
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}

	s.shell = exec.Command("/bin/sh", "-c", guard, "sh", filepath.Join(bin, "postgres"), s.dir)
	s.shell.Dir, s.shell.Env, s.shell.SysProcAttr = s.dir, env, attr
	s.shell.Stdout, s.shell.Stderr = s.log, s.log
	if s.pipe, err = s.shell.StdinPipe(); err != nil {
		return err
	}
	if err := s.shell.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, AsSuperuser(s.Address("postgres")))
		if err == nil {
			_, err = conn.Exec(ctx, "CREATE ROLE oriel LOGIN; GRANT SET ON PARAMETER session_replication_role TO oriel")
			return errors.Join(err, conn.Close(ctx))
		}
		select {
		case <-ctx.Done():
			_ = s.Stop(context.Background())
			return fmt.Errorf("no answer: %w: %s", err, s.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Address of a database on this server, for a role of the relay's own: no superuser,
// to whom row-level security does not apply.
func (s *Server) Address(database string) string {
	q := url.Values{"host": {s.dir}, "sslmode": {"disable"}}
	return "postgres://oriel@/" + database + "?" + q.Encode()
}

// superuser sees and may do everything.
const superuser = "postgres"

// AsSuperuser is an address of CreateDatabase for who sees and may do everything.
func AsSuperuser(address string) string {
	return strings.Replace(address, "//oriel@", "//"+superuser+"@", 1)
}

// CreateDatabase makes an empty database and returns its address.
func (s *Server) CreateDatabase(ctx context.Context, name string) (string, error) {
	return s.copyDatabase(ctx, name, "template1")
}

func (s *Server) copyDatabase(ctx context.Context, name, template string) (string, error) {
	conn, err := pgx.Connect(ctx, AsSuperuser(s.Address("postgres")))
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" OWNER oriel TEMPLATE "+pgx.Identifier{template}.Sanitize()); err != nil {
		return "", err
	}
	return s.Address(name), nil
}

// Stop ends the server and removes its folder.
func (s *Server) Stop(ctx context.Context) error {
	_ = s.pipe.Close()
	done := make(chan error, 1)
	go func() { done <- s.shell.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		_ = s.shell.Process.Kill()
		return errors.Join(ctx.Err(), <-done)
	}
}

// binaries is the folder of the newest PostgreSQL that is installed.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		if path, err := exec.LookPath("postgres"); err == nil {
			return filepath.Dir(path), nil
		}
		return "", errors.New("no PostgreSQL here: install the package postgresql")
	}
	major := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return major(a) - major(b) })
	return filepath.Dir(found[len(found)-1]), nil
}

// notRoot is whom to start the server as: PostgreSQL refuses to run as root.
func notRoot() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}
