package mail

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func flat(t *testing.T, name string) map[string]string {
	t.Helper()
	b, err := wordFiles.ReadFile("words/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]string
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// kindsOf are the kinds that a language has words for.
func kindsOf(t *testing.T, name string) []string {
	var all []string
	for key := range flat(t, name) {
		if kind, found := strings.CutSuffix(key, ".subject"); found {
			all = append(all, kind)
		}
	}
	return all
}

var value = regexp.MustCompile(`{{\.(\w+)}}`)

// values of a text, each once. Dates are written differently.
func values(key, text string) []string {
	if key == "date" {
		return nil
	}
	var all []string
	for _, found := range value.FindAllStringSubmatch(text, -1) {
		all = append(all, found[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Rule: each language has a text for each key, with the same values in it.
func TestEachLanguageHasEachKey(t *testing.T) {
	want := flat(t, Fallback)
	for _, name := range languages {
		got := flat(t, name)
		if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
			t.Errorf("%s has %q, %s has %q", name, slices.Sorted(maps.Keys(got)), Fallback, slices.Sorted(maps.Keys(want)))
		}
		for key, text := range got {
			if !slices.Equal(values(key, text), values(key, want[key])) || (text == "") != (want[key] == "") {
				t.Errorf("%s: %s is %q", name, key, text)
			}
			if strings.Contains(value.ReplaceAllString(text, ""), "{{") || strings.ContainsAny(text, "\r\n") {
				t.Errorf("%s: %s is %q", name, key, text)
			}
		}
		for _, kind := range []Kind{MemberInvitedKind, SignUpConfirmKind, SignUpKnownKind, EmailConfirmKind, EmailKnownKind, EmailRemovedKind, PasswordChangedKind} {
			what, err := decode(kind, []byte("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := newLayout().render(what, name, "Oriel", "relay.example"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if len(languages) != len(catalogue) || languages[0] != Fallback {
		t.Errorf("languages %q", languages)
	}
	if _, err := decode("another", nil); err == nil {
		t.Error("a kind without words is known")
	}
}

// Rule: who has said no language, or one without words, gets English.
func TestLanguages(t *testing.T) {
	for tag, want := range map[string]string{"": "en", "en": "en", "en-GB": "en", "tlh": "en", "x\r\n": "en", "zh-Hant-TW": "en", strings.Repeat("a-", 999): "en"} {
		if got := choose(tag); got != want {
			t.Errorf("%q is %s, want %s", tag, got, want)
		}
	}
	if wordsOf("of a newer relay") != catalogue[Fallback] {
		t.Error("a language that is not known has words")
	}
	at := time.Date(2026, 3, 1, 23, 5, 0, 0, time.FixedZone("", -3600))
	if got := wordsOf("en").date(at); got != "Monday, 2 March 2026, 00:05 UTC" {
		t.Error(got)
	}
}
