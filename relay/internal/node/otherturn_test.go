package node

import (
	"fmt"
	"slices"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
)

func said(node string, urls ...string) *orielv1.BusTURN {
	return &orielv1.BusTURN{Node: node, Urls: urls}
}

func at(node string) string { return "turn:" + node + ".example.com:3478?transport=udp" }

// Rule: the TURN of two other nodes at most is named, each address once, and all as often.
func TestOtherTURNIsTwo(t *testing.T) {
	o := newOtherTURN(time.Now)
	for _, name := range []string{"a", "b", "c", "d"} {
		o.note(said(name, at(name)))
	}
	for name, want := range map[string]string{"a": "[[b] [c]]", "c": "[[d] [a]]", "d": "[[a] [b]]"} {
		var all [][]string
		for _, urls := range o.get(name, []string{at(name)}) {
			all = append(all, []string{urls[0][len("turn:"):][:1]})
		}
		if got := fmt.Sprint(all); got != want {
			t.Errorf("%s names %s, want %s", name, got, want)
		}
	}
	// All behind one address.
	if all := o.get("x", []string{at("a"), at("b"), at("c"), at("d")}); len(all) != 0 {
		t.Errorf("the same again: %v", all)
	}
	o.note(said("b", at("c")))
	if all := o.get("a", []string{at("a")}); len(all) != 2 || all[0][0] != at("c") || all[1][0] != at("d") {
		t.Errorf("one address twice: %v", all)
	}
}

// Rule: a node that says nothing for six seconds, or that it stops, is named no more.
func TestOtherTURNIsForgotten(t *testing.T) {
	now := time.Unix(1_764_000_000, 0)
	o := newOtherTURN(func() time.Time { return now })
	o.note(said("b", at("b")))
	o.note(said("c", at("c")))
	o.note(said("c"))
	if all := o.get("a", nil); len(all) != 1 || all[0][0] != at("b") {
		t.Fatalf("after c stopped: %v", all)
	}
	now = now.Add(turnLifetime)
	if len(o.get("a", nil)) != 1 {
		t.Error("forgotten too early")
	}
	now = now.Add(time.Second)
	if all := o.get("a", nil); len(all) != 0 {
		t.Errorf("after a silence: %v", all)
	}
	for i := range 2 * maxTURNNodes {
		o.note(said(fmt.Sprint("n", i), at("n")))
	}
	if len(o.nodes) != maxTURNNodes {
		t.Errorf("%d nodes are remembered", len(o.nodes))
	}
}

// Rule: what another node names is checked before a browser is told.
func TestOtherTURNIsChecked(t *testing.T) {
	good := []string{"turn:192.0.2.1:3478?transport=udp", "turn:[2001:db8::1]:3478?transport=tcp", "turns:relay.example.com:443?transport=tcp"}
	bad := []string{"", "stun:192.0.2.1:3478", "http://relay.example.com", "turn:relay.example.com", "turn:relay.example.com:0?transport=udp",
		"turn:relay.example.com:3478?transport=sctp", "turn:relay example.com:3478?transport=udp", "turn:0.0.0.0:3478?transport=udp",
		"turn:[ff02::1]:3478?transport=udp", "turn:[fe80::1%25eth0]:3478?transport=udp", "turn:a@b:3478?transport=udp", "turn:x:99999?transport=udp"}
	o := newOtherTURN(time.Now)
	o.note(said("b", append(slices.Clone(bad), good...)...))
	if all := o.get("a", nil); len(all) != 1 || !slices.Equal(all[0], good) {
		t.Errorf("named: %q", all)
	}
	o.note(said("", good...))
	o.note(said("b", bad...))
	if all := o.get("a", nil); len(all) != 0 {
		t.Errorf("of no name, and of nothing that can be read: %q", all)
	}
}
