package mail

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"text/template"

	"oriel/protocol/sanitize"
)

//go:embed templates/mail.txt templates/mail.html
var templates embed.FS

// maxSubject is a subject's bytes before it is encoded.
const maxSubject = 200

// layout is how a mail looks, whatever it says.
type layout struct {
	text *template.Template
	html *htmltemplate.Template
}

func newLayout() *layout {
	return &layout{template.Must(template.ParseFS(templates, "templates/mail.txt")),
		htmltemplate.Must(htmltemplate.ParseFS(templates, "templates/mail.html"))}
}

// parts are the texts of one mail in their places.
type parts struct {
	Language, Subject, Heading, Body, Link, Button, Copy, Note, Footer string
}

// rendered is a mail without its headers but the subject.
type rendered struct{ subject, text, html string }

// render is what the mail says, in the words of its language. relay and host are the
// relay's name and where it is.
func (l *layout) render(what Message, lang, relay, host string) (rendered, error) {
	w := wordsOf(lang)
	values := what.values(w)
	values["Relay"], values["Host"] = relay, host
	p := parts{Language: lang, Link: what.link()}
	for _, one := range []struct {
		to  *string
		key string
	}{
		{&p.Subject, string(what.kind()) + ".subject"}, {&p.Heading, string(what.kind()) + ".heading"},
		{&p.Body, string(what.kind()) + ".body"}, {&p.Button, string(what.kind()) + ".button"},
		{&p.Note, string(what.kind()) + ".note"}, {&p.Copy, "copy"}, {&p.Footer, "footer"},
	} {
		text, err := w.say(one.key, values)
		if err != nil {
			return rendered{}, fmt.Errorf("words of a mail: %w", err)
		}
		*one.to = sanitize.Line(text, 2*maxLink)
	}
	p.Subject = sanitize.Line(p.Subject, maxSubject)
	var text, html bytes.Buffer
	if err := l.text.Execute(&text, p); err != nil {
		return rendered{}, fmt.Errorf("plain part of a mail: %w", err)
	}
	if err := l.html.Execute(&html, p); err != nil {
		return rendered{}, fmt.Errorf("HTML part of a mail: %w", err)
	}
	return rendered{p.Subject, text.String(), html.String()}, nil
}
