package mail

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"
	"time"

	"golang.org/x/text/language"
)

// Fallback is the language of who has said none, or one that there are no words for.
const Fallback = "en"

//go:embed words/*.json
var wordFiles embed.FS

// words are the texts of one language, by key: what stands in double braces is put in.
// months and weekdays are twelve and seven words with spaces.
type words struct {
	texts            map[string]*template.Template
	months, weekdays []string
}

// catalogue is all languages. It is right, or no program starts: a test reads it first.
var catalogue, languages, matcher = load()

func load() (map[string]*words, []string, language.Matcher) {
	files, err := wordFiles.ReadDir("words")
	if err != nil {
		panic(err)
	}
	all, names := map[string]*words{}, []string{Fallback} // the first is what matches nothing else
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".json")
		w, err := readWords(name)
		if err != nil {
			panic(err)
		}
		all[name] = w
		if name != Fallback {
			names = append(names, name)
		}
	}
	tags := make([]language.Tag, len(names))
	for i, name := range names {
		tags[i] = language.MustParse(name)
	}
	return all, names, language.NewMatcher(tags)
}

func readWords(name string) (*words, error) {
	text, err := wordFiles.ReadFile("words/" + name + ".json")
	if err != nil {
		return nil, err
	}
	var flat map[string]string
	if err := json.Unmarshal(text, &flat); err != nil {
		return nil, fmt.Errorf("words of %s: %w", name, err)
	}
	w := &words{texts: map[string]*template.Template{}, months: strings.Fields(flat["months"]), weekdays: strings.Fields(flat["weekdays"])}
	if len(w.months) != 12 || len(w.weekdays) != 7 {
		return nil, fmt.Errorf("words of %s: %d months and %d weekdays", name, len(w.months), len(w.weekdays))
	}
	for key, value := range flat {
		if w.texts[key], err = template.New(key).Option("missingkey=error").Parse(value); err != nil {
			return nil, fmt.Errorf("words of %s: %w", name, err)
		}
	}
	return w, nil
}

// choose is the language with words that is nearest to tag.
func choose(tag string) string {
	asked, err := language.Parse(tag)
	if err != nil {
		return Fallback
	}
	_, i, sure := matcher.Match(asked)
	if sure == language.No {
		return Fallback
	}
	return languages[i]
}

// wordsOf a language that choose gave; of another node's newer one: Fallback.
func wordsOf(name string) *words {
	if w := catalogue[name]; w != nil {
		return w
	}
	return catalogue[Fallback]
}

// say is the text of a key with its values.
func (w *words) say(key string, values map[string]string) (string, error) {
	t := w.texts[key]
	if t == nil {
		return "", fmt.Errorf("there are no words for %q", key)
	}
	var b strings.Builder
	if err := t.Execute(&b, values); err != nil {
		return "", err
	}
	return b.String(), nil
}

// date is a moment as the language writes it, in UTC: where the reader is, is not known.
func (w *words) date(at time.Time) string {
	at = at.UTC()
	text, err := w.say("date", map[string]string{"Weekday": w.weekdays[at.Weekday()], "Day": fmt.Sprint(at.Day()),
		"Month": w.months[at.Month()-1], "MonthNumber": fmt.Sprintf("%02d", at.Month()), "Year": fmt.Sprint(at.Year()), "Time": at.Format("15:04")})
	if err != nil {
		return at.Format(time.RFC1123)
	}
	return text
}
