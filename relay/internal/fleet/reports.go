package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image/jpeg"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
	"oriel/relay/internal/blob"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/store"
)

// ErrPreview: what an agent sent is no preview.
var ErrPreview = errors.New("no JPEG picture of a preview's size")

// SaveStatus keeps what an agent says of its display.
func (f *Fleet) SaveStatus(ctx context.Context, c store.Ref, s *orielv1.Status) error {
	row := store.Computer{ID: c.ID, Display: displays[s.GetDisplay()],
		DisplayDetail: sanitize.Line(s.GetDetail(), 1024), UserName: sanitize.Line(s.GetUser(), 256)}
	columns := store.ColumnsOfDisplay
	if row.UserName == "" {
		columns = columns[:2] // the summary knows better
	}
	if err := f.save(ctx, c, "status", func(ctx context.Context) error { return f.of(c).Save(ctx, row, columns) }); err != nil {
		return fmt.Errorf("save status: %w", err)
	}
	f.changed(c)
	return nil
}

// SaveInventory keeps what an agent says of its machine.
func (f *Fleet) SaveInventory(ctx context.Context, c store.Ref, i *orielv1.Inventory) error {
	now := f.now()
	if i.TakenAt <= 0 || i.TakenAt > now {
		i.TakenAt = now
	}
	sanitize.Message(i.ProtoReflect())
	data, err := orielv1.Encode(i)
	if err == nil {
		err = f.of(c).SaveInventory(ctx, c.ID, i.TakenAt, data)
	}
	if err != nil {
		return fmt.Errorf("save inventory: %w", err)
	}
	return nil
}

// Inventory is what a computer told last. Errors: store.ErrNotFound.
func (f *Fleet) Inventory(ctx context.Context, c store.Ref) (*orielv1.Inventory, error) {
	data, err := f.of(c).Inventory(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	i := &orielv1.Inventory{}
	return i, orielv1.Decode(data, i)
}

// Refresh asks a computer for its inventory and returns when it was saved.
// Errors: store.ErrNotFound, those of Ask.
func (f *Fleet) Refresh(ctx context.Context, c store.Ref) error {
	if _, err := f.of(c).Get(ctx, c.ID); err != nil {
		return fmt.Errorf("computer %.64q: %w", c.ID, err)
	}
	return f.Ask(ctx, c.ID, &orielv1.ToAgent{Body: &orielv1.ToAgent_SendInventory{SendInventory: &orielv1.SendInventory{}}}, true)
}

// askWithin bounds an ask whose answer somebody waits for.
const (
	sendWithin = 3 * time.Second
	askWithin  = 20 * time.Second
)

// Ask sends m to a computer, whosever it is, on whichever node; nil m asks only whether
// it is there. With wait it returns when the computer has answered. Errors:
// ErrOffline, ErrNoAnswer, ErrUnknownAsk, ErrAnswer with what the computer or its node says.
func (f *Fleet) Ask(ctx context.Context, computer string, m *orielv1.ToAgent, wait bool) error {
	subject, err := bus.Agent(computer)
	if err != nil {
		return store.ErrNotFound
	}
	within := sendWithin
	if wait {
		within = askWithin
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	answer, err := f.o.Bus.Request(ctx, subject, &orielv1.BusMessage{Body: &orielv1.BusMessage_Ask{
		Ask: &orielv1.BusAsk{Message: m, Wait: wait}}})
	switch {
	case errors.Is(err, bus.ErrNobody):
		return ErrOffline
	case errors.Is(err, context.DeadlineExceeded):
		return ErrNoAnswer
	case err != nil:
		return fmt.Errorf("ask computer: %w", err)
	}
	switch r := answer.GetReceipt(); r.GetCode() {
	case orielv1.Code_CODE_UNSPECIFIED:
		return nil
	case orielv1.Code_CODE_UNAVAILABLE:
		return ErrOffline
	case orielv1.Code_CODE_UNIMPLEMENTED:
		return ErrUnknownAsk
	default:
		if said := sanitize.Line(r.GetDetail(), 256); said != "" {
			return ErrAnswer.Saying("the computer says: " + said)
		}
		return ErrAnswer
	}
}

// Tell sends m to a computer if it is connected, and does not wait. Errors:
// store.ErrNotFound for what is no computer's id, those of the bus.
func (f *Fleet) Tell(computer string, m *orielv1.ToAgent) error {
	subject, err := bus.Agent(computer)
	if err != nil {
		return store.ErrNotFound
	}
	return f.o.Bus.Publish(subject, &orielv1.BusMessage{Body: &orielv1.BusMessage_Ask{Ask: &orielv1.BusAsk{Message: m}}})
}

func previewKey(computer string) string { return "previews/" + computer }

// SavePreview keeps a picture in the place of the one before. Errors:
// ErrPreview for what is no JPEG of a preview's size, store.ErrQuota: the picture before
// stays.
func (f *Fleet) SavePreview(ctx context.Context, c store.Ref, p *orielv1.Preview) error {
	config, err := jpeg.DecodeConfig(bytes.NewReader(p.GetData()))
	if err != nil || p.GetType() != "image/jpeg" || max(config.Width, config.Height) > orielv1.MaxPreviewSide || len(p.GetData()) > orielv1.MaxPreviewBytes {
		return ErrPreview
	}
	size := int64(len(p.GetData()))
	if err := f.of(c).HoldPreview(ctx, c.ID, size); err != nil {
		return fmt.Errorf("save preview: %w", err)
	}
	if err := f.o.Blobs.Put(ctx, previewKey(c.ID), p.GetData()); err != nil {
		return fmt.Errorf("save preview: %w", err)
	}
	row := store.Computer{ID: c.ID, PreviewAt: f.now(), PreviewType: "image/jpeg", PreviewTag: tagOf(p.GetData()), PreviewSize: size}
	if err := f.of(c).Save(ctx, row, store.ColumnsOfPreview); err != nil {
		return fmt.Errorf("save preview: %w", err)
	}
	f.announce(&orielv1.BusFleetChanged{Picture: true}, c)
	return nil
}

// Preview is the newest picture of a computer: its bytes, media type and a tag
// that changes with it. Errors: store.ErrNotFound.
func (f *Fleet) Preview(ctx context.Context, c store.Ref) (data []byte, kind, tag string, err error) {
	row, err := f.of(c).Get(ctx, c.ID)
	if err == nil && row.PreviewAt == 0 {
		err = store.ErrNotFound
	}
	if err == nil {
		data, err = f.o.Blobs.Get(ctx, previewKey(row.ID))
	}
	if errors.Is(err, blob.ErrNotFound) {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, "", "", fmt.Errorf("preview of %.64q: %w", c.ID, err)
	}
	return data, row.PreviewType, tagOf(data), nil // of what is sent, even if it was replaced just now
}

func tagOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:12])
}
