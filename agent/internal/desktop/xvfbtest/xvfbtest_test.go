//go:build linux

package xvfbtest

import (
	"os/exec"
	"strings"
	"testing"
)

func TestServerWithAll(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{Width: 800, Height: 600, Layout: "de", Openbox: true, XTerm: true})
	if out := s.Run("xdotool", "getdisplaygeometry"); strings.TrimSpace(out) != "800 600" {
		t.Errorf("geometry %q", out)
	}
	if out := s.Run("setxkbmap", "-query"); !strings.Contains(out, "layout:     de") {
		t.Errorf("layout: %s", out)
	}
}

func TestKillEndsTheServer(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	other := Start(t, Options{})
	if s.Display == other.Display {
		t.Fatalf("two servers on %s", s.Display)
	}
	s.Kill()
	cmd := exec.Command("xdotool", "getdisplaygeometry")
	cmd.Env = s.Env()
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("the killed server still answers: %s", out)
	}
	other.Run("xdotool", "getdisplaygeometry")
}
