package house

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// room's functions, by receiver's type and name: "API.getComputer", "operation".
type functions map[string]*ast.FuncDecl

func functionsOf(t *testing.T, dir string) functions {
	t.Helper()
	all := functions{}
	for _, file := range parsed(t, dir) {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				all[receiver(f)+f.Name.Name] = f
			}
		}
	}
	return all
}

// receiver is the type that f is a method of, with a dot; empty: of none.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if p, ok := of.(*ast.StarExpr); ok {
		of = p.X
	}
	if g, ok := of.(*ast.IndexExpr); ok {
		of = g.X
	}
	return of.(*ast.Ident).Name + "."
}

// holders are the fields and variables by which one type of a room calls another's methods.
var holders = map[string]string{"b": "Broker.", "seat": "Seat.", "feed": "feed.", "h": "Hub."}

// calls are those that f makes, and what it calls in its own room makes, as they
// are written: a.o.Broker.End. Two ways to one call are two.
func (all functions) calls(f *ast.FuncDecl, within ...*ast.FuncDecl) (found []string) {
	if f == nil || slices.Contains(within, f) {
		return nil
	}
	within = append(slices.Clone(within), f)
	self := ""
	if f.Recv != nil && len(f.Recv.List[0].Names) > 0 {
		self = f.Recv.List[0].Names[0].Name
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name := written(call.Fun)
		found = append(found, name)
		path := strings.Split(name, ".")
		switch last := path[len(path)-1]; {
		case len(path) == 1:
			found = append(found, all.calls(all[last], within...)...)
		case len(path) == 2 && path[0] == self:
			found = append(found, all.calls(all[receiver(f)+last], within...)...)
		default:
			found = append(found, all.calls(all[holders[path[len(path)-2]]+last], within...)...)
		}
		return true
	})
	return found
}

func written(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return written(e.X) + "." + e.Sel.Name
	}
	return "…"
}

// asked are the questions to access among calls: all of them, and those of attempts.
func asked(calls []string) (questions, attempts int) {
	for _, c := range calls {
		switch {
		case strings.HasSuffix(c, ".Access.Require"):
			questions, attempts = questions+1, attempts+1
		case strings.HasSuffix(c, ".Access.May"), strings.HasSuffix(c, ".Access.MayUntil"), strings.HasSuffix(c, ".Access.Visible"):
			questions++
		}
	}
	return questions, attempts
}

// unasked are the doors of the broker that ask access nothing, and why.
var unasked = map[string]string{
	"Seat.Candidate":        "goes only to what this tab opened, which was asked then",
	"Seat.Close":            "ends only one's own session: who may nothing any more may still stop",
	"Seat.Leave":            "the connection ended",
	"Broker.Join":           "the tab can do nothing yet",
	"Seat.ICE":              "the hub has just asked, and Over asks again for as long as they are used",
	"Broker.AgentConnected": "no person's: an agent that proved its key",
	"Broker.AgentLost":      "no person's: an agent that had proved its key",
	"Broker.FromAgent":      "no person's: an agent that proved its key",
	"Broker.EndComputer":    "no person's: the computer was dropped",
	"Broker.Run":            "no person's",
	"Broker.Over":           "no person's: TURN's, and its question asks Visible for each sign-in",
	"Broker.Loose":          "no person's: TURN's, of what is known here",
	"Broker.Close":          "no person's",
}

// Rule: every door of the broker asks access, and requires at most once; what does not ask says why.
func TestDoorsOfTheBrokerAskAccess(t *testing.T) {
	all := functionsOf(t, "relay/internal/broker")
	for name, f := range all {
		of, method, _ := strings.Cut(name, ".")
		if of != "Broker" && of != "Seat" || !ast.IsExported(method) {
			continue
		}
		questions, attempts := asked(all.calls(f))
		switch why := unasked[name]; {
		case why == "" && questions == 0:
			t.Errorf("%s asks access nothing", name)
		case attempts > 1:
			t.Errorf("%s requires %d times: ask once what all of it needs", name, attempts)
		}
	}
	for name := range unasked {
		if all[name] == nil {
			t.Errorf("unasked has %s, which the broker has not", name)
		}
	}
}

// Rule: every operation of the API requires once, itself or by the broker's door, but lists, which look only
// for what is visible, and those that are open to all.
func TestOperationsAskAccess(t *testing.T) {
	all := functionsOf(t, "relay/internal/api")
	broker := functionsOf(t, "relay/internal/broker")
	operations := 0
	for _, f := range all {
		ast.Inspect(f.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || written(call.Fun) != "operation" {
				return true
			}
			operations++
			name, handler := call.Args[3].(*ast.BasicLit).Value, written(call.Args[5])
			calls := all.calls(all["API."+strings.TrimPrefix(handler, "a.")])
			asks, lists := 0, 0
			for _, c := range calls {
				door, isDoor := strings.CutPrefix(c, "a.o.Broker.")
				switch {
				case strings.HasSuffix(c, ".Access.Require"):
					asks++
				case strings.HasSuffix(c, ".Access.Visible"):
					lists++
				case isDoor:
					_, attempts := asked(broker.calls(broker["Broker."+door]))
					asks += attempts
				}
			}
			if asks == 0 && lists > 0 {
				asks = 1
			}
			want := 1
			if slices.ContainsFunc(call.Args[6:], func(e ast.Expr) bool { return written(e) == "open" }) {
				want = 0
			}
			if asks != want {
				t.Errorf("operation %s asks access %d times, want %d", name, asks, want)
			}
			return true
		})
	}
	if operations < 20 {
		t.Errorf("only %d operations were found", operations)
	}
}

// Rule: whatever a tab says is asked of access, by the hub or by the broker's door.
func TestMessagesOfTabsAskAccess(t *testing.T) {
	hub, broker := functionsOf(t, "relay/internal/hub"), functionsOf(t, "relay/internal/broker")
	messages := map[string]bool{}
	ast.Inspect(hub["tab.dispatch"].Body, func(n ast.Node) bool {
		c, ok := n.(*ast.CaseClause)
		if !ok || len(c.List) != 1 {
			return true
		}
		message := written(c.List[0].(*ast.StarExpr).X)
		body := &ast.FuncDecl{Name: ast.NewIdent(message), Recv: hub["tab.dispatch"].Recv, Body: &ast.BlockStmt{List: c.Body}}
		questions := 0
		for _, call := range hub.calls(body) {
			door, isDoor := strings.CutPrefix(call, "t.seat.")
			if !isDoor {
				n, _ := asked([]string{call})
				questions += n
				continue
			}
			n, _ := asked(broker.calls(broker["Seat."+door]))
			if unasked["Seat."+door] != "" {
				n = 1
			}
			questions += n
		}
		if messages[message] = true; questions == 0 {
			t.Errorf("%s asks access nothing", message)
		}
		return true
	})
	if len(messages) < 7 {
		t.Errorf("only these messages were found: %v", slices.Sorted(maps.Keys(messages)))
	}
}
