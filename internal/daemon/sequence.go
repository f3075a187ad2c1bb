package daemon

import (
	"context"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// sequence takes the messages of one publisher into an intake, several of them under way at once.
type sequence struct {
	in  *intake
	log eventstore.Sequence
}

var _ mqtt.Sequencer = (*intake)(nil)

// Sequence implements [mqtt.Sequencer].
func (in *intake) Sequence() mqtt.Sequence { return &sequence{in: in} }

// Begin implements [mqtt.Sequence]. What several dialects want, or none, or one that does not have messages under way, is for
// [intake.Handle].
func (s *sequence) Begin(ctx context.Context, m mqtt.Message) func() error {
	select {
	case <-s.in.opened:
	default:
		return nil
	}
	if s.in.ignores(m.Topic) {
		return nil
	}
	var wants dialect.Dialect
	for _, d := range s.in.dialects {
		if !d.Wants(m.Topic) {
			continue
		}
		if wants != nil {
			return nil
		}
		wants = d
	}
	d, ok := wants.(dialect.Sequencer)
	if !ok {
		return nil
	}
	var wait func() error
	err := wants.Contain(m, func() error {
		wait = func() error { return nil } // of a message that is dropped
		wait = d.Begin(ctx, &s.log, m)
		return nil
	})
	if err != nil || wait == nil {
		return nil
	}
	return func() error { return wants.Contain(m, wait) }
}
