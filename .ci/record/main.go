// Command record writes down what one release of Oriel says, for the tests that hold
// later ones to it (transcripts, package protocol/transcript).
//
// How to record a release, in a clone of it, so that no address of this machine but
// loopback and no name of it gets in:
//
//	go build -o /tmp/r/oriel-relay ./relay && go build -o /tmp/r/oriel-agent ./agent
//	go build -o /tmp/record ./.ci/record        # in a clone of today
//	unshare -r -n -u sh -c 'hostname recorded && ip link set lo up &&
//	  /tmp/record -bin /tmp/r -release COMMIT -out protocol/testdata/transcripts'
//
// The recording is real: the two programs, a proxy between them that passes every
// message on and keeps its bytes, and a tab in this process (pion) that signs in, opens
// two sessions of the agent's demo desktop, types, and closes them. The first may
// control, the second only look on.
//
// Left out or written otherwise: Inventory and Preview, which are this machine's;
// Hello.machine_id, which becomes "machine"; the cookie. No signature covers them. The
// keys and the tokens were made for the recording and open nothing.
//
// Later tests must make some of it anew (nonces, signatures, times, certificates):
// relay/internal/hub/recorded_test.go and agent/internal/node/recorded_test.go say which.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"oriel/protocol/transcript"
	"oriel/protocol/wire"
)

const patience = 30 * time.Second

func main() {
	bin := flag.String("bin", "", "folder with oriel-relay and oriel-agent of the release")
	release := flag.String("release", "", "its name: a commit or a version")
	out := flag.String("out", "protocol/testdata/transcripts", "folder of the transcripts")
	flag.Parse()
	if *bin == "" || *release == "" {
		flag.Usage()
		os.Exit(2)
	}
	frames, err := record(*bin)
	if err != nil {
		log.Fatal(err)
	}
	for name, all := range frames {
		if err := transcript.Write(*out, *release, name, all); err != nil {
			log.Fatal(err)
		}
		log.Printf("%s: %d frames", name, len(all))
	}
}

// record runs the release through its two sessions.
func record(bin string) (map[string][]transcript.Frame, error) {
	dir, err := os.MkdirTemp("", "oriel-record-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()

	inner, turn := freePort(), freePort()
	p := &proxy{to: "http://" + inner}
	server := httptest.NewServer(p)
	defer server.Close()
	env := []string{"ORIEL_LISTEN=" + inner, "ORIEL_PUBLIC_URL=" + server.URL, "ORIEL_DATA=" + filepath.Join(dir, "relay"),
		"ORIEL_TURN_UDP=" + turn, "ORIEL_TURN_TCP=" + turn}
	run := func(name string, env []string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
		cmd.Env = append(os.Environ(), env...)
		cmd.Stderr = os.Stderr
		return cmd
	}
	relay := run("oriel-relay", env, "serve")
	if err := relay.Start(); err != nil {
		return nil, err
	}
	defer stop(relay)
	if err := until("the relay is ready", func() bool {
		r, err := http.Get(p.to + "/readyz")
		return err == nil && r.Body.Close() == nil && r.StatusCode == http.StatusOK
	}); err != nil {
		return nil, err
	}
	ask := func(args ...string) (string, error) {
		text, err := run("oriel-relay", env, args...).Output()
		return strings.TrimSpace(string(text)), err
	}
	token, err := ask("token", "create", "--uses", "1")
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	link, err := ask("owner", "link")
	if err != nil {
		return nil, fmt.Errorf("owner's link: %w", err)
	}
	cookie, err := own(ctx, server.URL, regexp.MustCompile(`[^/#=?]+$`).FindString(link))
	if err != nil {
		return nil, err
	}

	data := filepath.Join(dir, "agent")
	for _, name := range []string{transcript.Enroll, transcript.Agent} {
		p.expect("/agent/v1", name)
		agent := run("oriel-agent", []string{"DISPLAY="}, "run", "--relay", server.URL, "--data", data, "--demo")
		if name == transcript.Enroll {
			agent.Env = append(agent.Env, "ORIEL_TOKEN="+token)
		}
		if err := agent.Start(); err != nil {
			return nil, err
		}
		defer stop(agent)
		if err := until(name+": welcomed", func() bool { return p.has(name, "welcome") }); err != nil {
			return nil, err
		}
		if name == transcript.Enroll {
			stop(agent)
		}
	}
	p.expect("/live/v1", transcript.Tab)
	header := http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}, "Origin": {server.URL}}
	conn, _, err := wire.Dial(ctx, strings.Replace(server.URL, "http", "ws", 1)+"/live/v1", header, nil, wire.Options{})
	if err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	defer conn.Close()
	tab := newTab(conn)
	if err := tab.sessions(p); err != nil {
		return nil, err
	}
	if err := until("both ends acknowledged", func() bool { return p.count(transcript.Agent, "session_ended_ack") == 2 }); err != nil {
		return nil, err
	}
	return p.frames(), nil
}

// own makes the relay's owner, and returns the cookie of the sign-in.
func own(ctx context.Context, url, token string) (*http.Cookie, error) {
	post := func(path string, body map[string]string) (*http.Response, error) {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, "POST", url+path, bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		return http.DefaultClient.Do(req)
	}
	who := map[string]string{"email": "ada@example.org", "password": "made for a recording"}
	for _, step := range []struct {
		path string
		more map[string]string
	}{{"/api/v1/owner", map[string]string{"token": token, "name": "Ada"}}, {"/api/v1/sign-in", nil}} {
		body := map[string]string{"email": who["email"], "password": who["password"]}
		for k, v := range step.more {
			body[k] = v
		}
		r, err := post(step.path, body)
		if err != nil {
			return nil, err
		}
		text, _ := io.ReadAll(io.LimitReader(r.Body, 4096))
		_ = r.Body.Close()
		if r.StatusCode/100 != 2 {
			return nil, fmt.Errorf("%s: %s %s", step.path, r.Status, text)
		}
		if cookies := r.Cookies(); len(cookies) > 0 {
			return cookies[0], nil
		}
	}
	return nil, fmt.Errorf("no cookie")
}

func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func stop(cmd *exec.Cmd) {
	if cmd.ProcessState == nil && cmd.Process != nil {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
}

func until(what string, ok func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for give := time.After(patience); !ok(); {
		select {
		case <-give:
			return fmt.Errorf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
	return nil
}
