package audit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"oriel/relay/internal/audit"
)

// Rule: each action that is declared is in Actions, which the description of the API lists.
func TestActionsAreListed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.Ident); ok && of.Name == "Action" {
				declared++
				value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil || !slices.Contains(audit.Actions, audit.Action(value)) {
					t.Errorf("%s is not in Actions, %v", spec.Names[0].Name, err)
				}
			}
			return true
		})
	}
	if declared != len(audit.Actions) || declared == 0 {
		t.Errorf("%d are declared, and Actions has %d", declared, len(audit.Actions))
	}
}
