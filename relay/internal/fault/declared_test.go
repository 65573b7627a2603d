package fault

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
)

const relay = "../.."

// sources are the relay's own files, by path below relay.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	all := map[string]*ast.File{}
	err := filepath.WalkDir(relay, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		name, _ := filepath.Rel(relay, path)
		all[filepath.ToSlash(name)] = f
		return err
	})
	if err != nil || len(all) < 100 {
		t.Fatalf("%d files: %v", len(all), err)
	}
	return all
}

// constants of this package by their names.
func constants(t *testing.T, files map[string]*ast.File) map[string]Code {
	t.Helper()
	all := map[string]Code{}
	ast.Inspect(files["internal/fault/codes.go"], func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if text, ok := textOf(v.Values[0]); ok {
				all[v.Names[0].Name] = Code(text)
			}
		}
		return true
	})
	return all
}

// textOf is a constant text, which may be added up.
func textOf(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := textOf(e.X)
		right, also := textOf(e.Y)
		return left + right, ok && also && e.Op == token.ADD
	}
	return "", false
}

// called is the name of a function of this package that a call is of.
func called(file string, call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok && x.Name == "fault" {
			return f.Sel.Name
		}
	case *ast.Ident:
		if strings.HasPrefix(file, "internal/fault/") {
			return f.Name
		}
	}
	return ""
}

// A sentence begins in lower case, or with a name, and ends without a full stop,
// as errors do; it is one line that can be shown as it is.
var plain = regexp.MustCompile("^[a-z][ -~…]{6,300}[a-z0-9`)]$")

// Rule: each code is one declared fault's, with a status, a word of the wire and a
// plain sentence; no code is left over.
func TestDeclaredFaults(t *testing.T) {
	files := sources(t)
	names := constants(t, files)
	declared := map[Code]string{}
	for file, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 2 {
				return true
			}
			name := called(file, call)
			sentence, constant := textOf(call.Args[1])
			switch name {
			case "New":
				at := call.Args[0]
				if s, ok := at.(*ast.SelectorExpr); ok {
					at = s.Sel
				}
				id, ok := at.(*ast.Ident)
				if !ok || names[id.Name] == "" || !constant {
					t.Errorf("%s: a fault is declared with a code of the table and a constant sentence", file)
					return true
				}
				code := names[id.Name]
				if declared[code] != "" {
					t.Errorf("%s and %s both declare the fault %s", file, declared[code], code)
				}
				declared[code] = file
			case "Field", "Parameter":
			default:
				return true
			}
			if constant && !plain.MatchString(sentence) {
				t.Errorf("%s: %q is no plain sentence", file, sentence)
			}
			return true
		})
	}
	word := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	if len(names) != len(table) {
		t.Errorf("there are %d codes and %d rows of the table", len(names), len(table))
	}
	for code, r := range table {
		if declared[code] == "" {
			t.Errorf("no room declares the fault %s", code)
		}
		if r.status < 400 || r.status > 599 || r.wire == orielv1.Code_CODE_UNSPECIFIED || !word.MatchString(string(code)) {
			t.Errorf("%s: %+v", code, r)
		}
	}
	if all := Codes(); !slices.IsSorted(all) || len(all) == 0 || slices.Contains(all, Unproved) || !slices.Contains(all, NotFound) {
		t.Errorf("people meet %v", all)
	}
}

// What the doors may choose by themselves: the probes that machines ask, and a
// script that says in a shell what is wrong.
var chosen = map[string]string{
	"internal/server/health.go StatusServiceUnavailable": "/readyz is for balancers",
	"internal/server/server.go StatusServiceUnavailable": "/readyz is for balancers",
	"internal/server/downloads.go StatusNotFound":        "/install.sh is read by a shell",
}

// Rule: a door prints faults and has no list of its own, of what status or code an
// error has: it names neither, but to compare.
func TestDoorsChooseNoCodes(t *testing.T) {
	refusals := map[string]bool{}
	for status := 400; status < 600; status++ {
		for _, name := range statusNames(status) {
			refusals[name] = true
		}
	}
	used := map[string]bool{}
	for file, f := range sources(t) {
		door := slices.ContainsFunc([]string{"api", "hub", "broker", "server"}, func(d string) bool { return strings.HasPrefix(file, "internal/"+d+"/") })
		if !door {
			continue
		}
		compared := map[ast.Node]bool{}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op == token.EQL || n.Op == token.NEQ {
					compared[n.X], compared[n.Y] = true, true
				}
			case *ast.CaseClause:
				for _, e := range n.List {
					compared[e] = true
				}
			case *ast.SelectorExpr:
				name, code := n.Sel.Name, strings.HasPrefix(n.Sel.Name, "Code_CODE_") && n.Sel.Name != "Code_CODE_UNSPECIFIED"
				if why := file + " " + name; !compared[n] && chosen[why] == "" && (code || refusals[name]) {
					t.Errorf("%s chooses %s: declare a fault, and print that", file, name)
				} else if chosen[why] != "" {
					used[why] = true
				}
			}
			return true
		})
	}
	for why := range chosen {
		if !used[why] {
			t.Errorf("%s is not there any more", why)
		}
	}
}

// statusNames are those of net/http's constants for a status.
func statusNames(status int) []string {
	text := http.StatusText(status)
	if text == "" {
		return nil
	}
	return []string{"Status" + strings.NewReplacer(" ", "", "-", "", "'", "").Replace(text)}
}

// Rule: every code of the wire that the relay may say comes from a fault; the
// others only agents say.
func TestWireCodes(t *testing.T) {
	agents := []orielv1.Code{
		orielv1.Code_CODE_GRANT_EXPIRED, orielv1.Code_CODE_GRANT_REPLAYED, orielv1.Code_CODE_GRANT_COMPUTER,
		orielv1.Code_CODE_GRANT_FINGERPRINT, orielv1.Code_CODE_GRANT_SIGNATURE,
		orielv1.Code_CODE_NO_DISPLAY, orielv1.Code_CODE_NO_CODEC, orielv1.Code_CODE_SCOPE,
	}
	said := map[orielv1.Code]bool{orielv1.Code_CODE_UNSPECIFIED: true}
	for _, r := range table {
		said[r.wire] = true
	}
	for number, name := range orielv1.Code_name {
		if code := orielv1.Code(number); said[code] == slices.Contains(agents, code) {
			t.Errorf("%s: said by the relay %v, by agents only %v", name, said[code], !said[code])
		}
	}
}
