package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// parsed are the files of a room, without tests, by path.
func parsed(t *testing.T, dir string) map[string]*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no files in", dir, err)
	}
	all := map[string]*ast.File{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		all[path] = file
	}
	return all
}

// Rule: api, hub and broker name no type of store: what a row is, is for the rooms
// that keep it, which hand out types of their own. OrganizationID and Ref are no rows
// but names, which every room passes on.
func TestRowsStayInTheirRooms(t *testing.T) {
	rows := map[string]bool{}
	for _, file := range parsed(t, "relay/internal/store") {
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				for _, s := range g.Specs {
					rows[s.(*ast.TypeSpec).Name.Name] = true
				}
			}
		}
	}
	if !rows["Computer"] || !rows["OrganizationID"] {
		t.Fatalf("the types of store were not found: %v", rows)
	}
	delete(rows, "OrganizationID")
	delete(rows, "Ref")
	for _, room := range []string{"api", "hub", "broker"} {
		for path, file := range parsed(t, "relay/internal/"+room) {
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if of, name, _ := strings.Cut(written(s), "."); of == "store" && rows[name] {
						t.Errorf("%s names store.%s: take a type of the room that keeps it", path, name)
					}
				}
				return true
			})
		}
	}
}
