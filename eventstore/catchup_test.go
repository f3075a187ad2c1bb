package eventstore

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/storage"
)

// stumbler is a projector that fails once.
type stumbler struct {
	failAt           Position
	pending, applied []Position
}

func (p *stumbler) Name() string { return "stumbler" }

func (p *stumbler) Apply(_ context.Context, _ storage.Tx, e Event) error {
	if e.Position == p.failAt {
		p.failAt = 0
		return errors.New("not now")
	}
	p.pending = append(p.pending, e.Position)
	return nil
}

func (p *stumbler) Promote() { p.applied, p.pending = append(p.applied, p.pending...), nil }

func (p *stumbler) Discard() { p.pending = nil }

func (p *stumbler) Snapshot(context.Context, storage.Tx) error { return nil }

func (p *stumbler) Restore(context.Context, storage.Tx) (uint64, error) { return 0, nil }

// A catch-up that fails in the middle leaves the head where it was, so that the next one misses no event.
func TestCatchUpCanBeTriedAgain(t *testing.T) {
	ctx := t.Context()
	db, err := storage.Open(ctx, filepath.Join(t.TempDir(), "log.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := Open(ctx, db, Options{})
	if err == nil {
		err = s.Start(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		system := &eventv1.Payload{Kind: &eventv1.Payload_System{System: &eventv1.System{What: "test"}}}
		if _, err := s.Append(ctx, Batch{Events: []Event{{Payload: system}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	p := &stumbler{failAt: 2}
	s.projectors = projectors{p}
	conn, err := db.Writer().Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	w := &writer{s: s, conn: conn, head: head{chain: genesis(s.uuid)}}
	if err := w.catchUp(ctx, nil, MaxPosition); err == nil || w.head.position != 0 || p.pending != nil {
		t.Fatalf("a failed catch-up: %v, head %d, pending %v", err, w.head.position, p.pending)
	}
	if err := w.catchUp(ctx, nil, MaxPosition); err != nil || w.head.position != 3 || !slices.Equal(p.applied, []Position{1, 2, 3}) {
		t.Fatalf("the next one: %v, head %d, applied %v", err, w.head.position, p.applied)
	}
}
