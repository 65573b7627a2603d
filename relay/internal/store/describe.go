package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"oriel/relay/internal/fault"
)

// Description is what people say of a computer; what is nil stays as it is.
type Description struct {
	Tags       []string          // all of them
	Tag, Untag []string          // to be added and taken away
	Comment    *string           // Markdown
	Values     map[string]string // of fields; "": none any more
}

// Describe changes what people say of a computer. Tags are one line each, in lower case.
// Errors: ErrNotFound, fault.Field.
func (s Computers) Describe(ctx context.Context, by Entry, id string, d Description) error {
	return s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		var c Computer
		q := s.rows(tx, &c).Column("tags", "comment").Where("id = ?", id)
		if s.kind == PostgreSQL { // two who tag follow one another
			q = q.For("UPDATE")
		}
		if err := q.Scan(ctx); err != nil {
			return err
		}
		tags := d.Tags
		if tags == nil {
			tags = lines(c.Tags)
		}
		tags = slices.DeleteFunc(slices.Concat(tags, d.Tag), func(tag string) bool { return slices.Contains(d.Untag, tag) })
		c.Tags = ""
		for i, tag := range tags {
			if slices.Contains(tags[:i], tag) {
				continue
			}
			if err := bounded(text{"tags", tag, MaxTag}); err != nil {
				return err
			}
			c.Tags += tag + "\n"
		}
		if c.Tags = strings.TrimSuffix(c.Tags, "\n"); len(lines(c.Tags)) > MaxTags {
			return fault.Field("tags", fmt.Sprintf("a computer has at most %d tags", MaxTags))
		}
		if d.Comment != nil {
			c.Comment = *d.Comment
		}
		if err := bounded(text{"comment", c.Comment, MaxComment}); err != nil {
			return err
		}
		if err := s.note(ctx, tx, id, d.Values); err != nil {
			return err
		}
		if err := changed(s.update(tx, &c).Column("tags", "comment").Where("id = ?", id).Exec(ctx)); err != nil {
			return err
		}
		return s.index(ctx, tx, id)
	})
}

// lines are those of a text, without empty ones.
func lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}
