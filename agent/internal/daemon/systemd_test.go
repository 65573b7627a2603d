package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The packages carry the unit that Install would write for their program, so
// that it need not.
func TestPackagedUnitIsTheUsualOne(t *testing.T) {
	c := Config{Name: DefaultName, Data: "/var/lib/oriel-agent"}
	if got := systemdUnit("/usr/bin/oriel-agent", c.Data, c.arguments()); got != packagedUnit {
		t.Errorf("installed would be\n%s\nand packaged is\n%s", got, packagedUnit)
	}
}

// What systemd says of units where it does not run itself.
func TestUnitIsGood(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Name: "other", Data: `/srv/50% of "my" $HOME\`, Flags: []string{"--demo"}}
	text := systemdUnit(program, c.Data, c.arguments())
	for _, want := range []string{
		"\nConditionPathExists=/srv/50%% of \"my\" $HOME\\/state.json\n",
		`service --name other --data "/srv/50%% of \"my\" $$HOME\\" --demo` + "\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	unit := filepath.Join(t.TempDir(), "other.service")
	if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "other.service:") {
		t.Fatalf("%v:\n%s", err, out)
	}
}
