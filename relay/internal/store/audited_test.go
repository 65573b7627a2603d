package store_test

import (
	"go/ast"
	"go/parser"
	positions "go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"oriel/relay/internal/store"
)

// unaudited are the methods that write and take no entry, and why nobody has to know
// who did it.
var unaudited = map[string]string{
	"Computers.Pin":           "how a person's own list looks, which nobody else sees",
	"Computers.Unpin":         "as Pin",
	"Views.Add":               "as Pin",
	"Views.Save":              "as Pin",
	"Views.Remove":            "as Pin",
	"Answers.Begin":           "what a creation was answered, which has an entry of its own",
	"Answers.Keep":            "as Begin",
	"Answers.Drop":            "as Begin",
	"Answers.Sweep":           "as Begin",
	"Confirmations.Expire":    "what can be used no more",
	"Computers.Save":          "a computer's word on itself",
	"Computers.SaveGreeting":  "as Save",
	"Computers.HoldPreview":   "as Save",
	"Computers.SaveInventory": "as Save",
	"Computers.SaveTwins":     "what the relay sees of a computer's key; what comes of it somebody decides",
	"Waiting.Save":            "a machine that asks; whether it is taken back somebody decides",
	"Agents.Wait":             "as Waiting.Save",
	"Keys.Touch":              "when a key was last used",
	"Nodes.Leave":             "as Nodes.Bury",
	"Outbox.Claim":            "the relay sends what was queued with an entry",
	"Outbox.End":              "as Outbox.Claim",
	"Outbox.GiveUp":           "as Outbox.Claim",
	"Outbox.Retry":            "as Outbox.Claim",
	"Outbox.Sent":             "as Outbox.Claim",
	"Outbox.Sweep":            "as Outbox.Claim",
	"Nodes.Bury":              "the relay's own processes and their connections",
	"Nodes.Clear":             "as Bury",
	"Nodes.Connect":           "as Bury",
	"Nodes.Disconnect":        "as Bury",
	"Nodes.Heartbeat":         "as Bury",
	"Nodes.Restore":           "as Bury",
	"Nodes.Seen":              "as Bury",
	"Secrets.Obtain":          "a key that the relay makes for itself when it has none",
	"Secrets.UseSealingKey":   "at the first start with a sealing key, of which the log tells",
	"Sessions.Report":         "a computer's word on how its session goes; the journal has it",
	"Sessions.Keep":           "as Report",
	"Sessions.Attend":         "whether a tab is there, which the relay sees by itself",
	"SignIns.Touch":           "when a sign-in was last used",
	"SignIns.Expire":          "sign-ins that are over of themselves",
	"Tries.Count":             "a try; the refusal is counted by audit.Log",
	"Tries.TakeBack":          "as Count",
	"Tries.Expire":            "as Count",
	"Audit.Claim":             "who reads, of the relay's own readers",
	"Audit.Advance":           "as Claim",
	"Audit.Release":           "as Claim",
	"Audit.PutSeal":           "the audit's own signature, and what is older than it is kept",
}

// writers are how a method of the store comes to write: in a transaction, or by a
// statement of bun's.
var writers = []string{"tx", "volatileTx", "inLine", "together", "NewInsert", "NewUpdate", "NewDelete", "update", "remove", "change", "changeAtOnce"}

// Rule: a method of the store that writes takes the entry of who does it, or is in the
// list above with the reason why it needs none. The tests that hold methods with an
// entry to it look at those only: one that forgot the entry was seen by none of them.
func TestWhoeverWritesTakesAnEntry(t *testing.T) {
	writes := writingMethods(t)
	missing := map[string]bool{}
	for method := range unaudited {
		missing[method] = true
	}
	handles := reflect.TypeFor[*store.Store]()
	seen := 0
	for i := range handles.NumMethod() {
		h := handles.Method(i)
		if h.Type.NumOut() != 1 || h.Type.Out(0).Kind() != reflect.Struct {
			continue
		}
		for k := range h.Type.Out(0).NumMethod() {
			m := h.Type.Out(0).Method(k)
			method := h.Name + "." + m.Name
			takes := slices.Contains(slices.Collect(m.Type.Ins()), reflect.TypeFor[store.Entry]())
			_, excused := unaudited[method]
			delete(missing, method)
			switch {
			case takes:
				seen++
				if !writes[method] {
					t.Errorf("%s takes an entry, and this test does not see that it writes", method)
				}
				if excused {
					t.Errorf("%s takes an entry, and is excused from it", method)
				}
			case writes[method] && !excused:
				t.Errorf("%s writes and takes no entry: give it the Entry of who does it, or write into unaudited why nobody has to know", method)
			case !writes[method] && excused:
				t.Errorf("%s is excused from an entry, and writes nothing", method)
			}
		}
	}
	for method := range missing {
		t.Errorf("%s is in the list, and no method of a handle", method)
	}
	if seen < 20 {
		t.Errorf("only %d methods with an entry were seen", seen)
	}
}

// writingMethods are the methods, by type and name, from which the code of the package
// leads to one of writers. Functions and methods that are called are found by their
// name alone, which finds some too many rather than one too few.
func writingMethods(t *testing.T) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string][]string{} // names that a function of that name, or method of that type and name, calls
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(positions.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || f.Name.Name == "Open" { // the store's start, which no handle calls: a seal has an Open, too
				continue
			}
			name := f.Name.Name
			if f.Recv != nil && ast.IsExported(name) {
				of := f.Recv.List[0].Type
				if p, ok := of.(*ast.StarExpr); ok {
					of = p.X
				}
				name = of.(*ast.Ident).Name + "." + name
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				switch fun := call.Fun.(type) {
				case *ast.Ident:
					calls[name] = append(calls[name], fun.Name)
				case *ast.SelectorExpr:
					to := fun.Sel.Name
					if literal, ok := fun.X.(*ast.CompositeLit); ok { // Waiting{…}.Save
						if handle, ok := literal.Type.(*ast.Ident); ok {
							to = handle.Name + "." + to
						}
					}
					calls[name] = append(calls[name], to)
				}
				return true
			})
		}
	}
	var leads func(name string, within []string) bool
	leads = func(name string, within []string) bool {
		if slices.Contains(within, name) {
			return false
		}
		within = append(slices.Clone(within), name)
		return slices.ContainsFunc(calls[name], func(to string) bool {
			return slices.Contains(writers, to) || leads(to, within)
		})
	}
	all := map[string]bool{}
	for name := range calls {
		all[name] = leads(name, nil)
	}
	return all
}
