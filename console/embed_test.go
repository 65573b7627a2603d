package console

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// Whatever state the tree is in, Files is either whole or says that it is not built.
func TestFiles(t *testing.T) {
	files, err := Files()
	if errors.Is(err, ErrNotBuilt) {
		if _, err := fs.Stat(dist, "dist/index.html"); err == nil {
			t.Fatal("there is a build, but Files denies it")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	page, err := fs.ReadFile(files, "index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"<script>", "<style", " style=", "onload="} {
		if strings.Contains(string(page), tag) {
			t.Errorf("index.html has %s, which the content security policy forbids", tag)
		}
	}
	scripts, err := fs.Glob(files, "assets/*.js")
	if err != nil || len(scripts) < 2 {
		t.Errorf("scripts: %v, %v; want the first page's and the viewer's", scripts, err)
	}
}
