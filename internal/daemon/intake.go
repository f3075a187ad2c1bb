package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/zigbee2mqtt"
)

// intake hands messages to the dialects that want them. It is the [mqtt.Handler] of the broker and of the client.
type intake struct {
	dialects []*zigbee2mqtt.Dialect
	// opened is closed when messages may come in: what a broker had retained goes first.
	opened chan struct{}
}

func newIntake(house *statehouse.House, dialects []zigbee2mqtt.Options, log *slog.Logger) *intake {
	in := &intake{opened: make(chan struct{})}
	for _, opts := range dialects {
		opts.Logger = log.With("base_topic", opts.BaseTopic)
		in.dialects = append(in.dialects, zigbee2mqtt.New(house, opts))
	}
	return in
}

// Filters implements [mqtt.Handler].
func (in *intake) Filters() []string {
	var filters []string
	for _, d := range in.dialects {
		filters = append(filters, d.Filters()...)
	}
	return filters
}

// Handle implements [mqtt.Handler].
func (in *intake) Handle(ctx context.Context, m mqtt.Message) error {
	select {
	case <-in.opened:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return in.handle(ctx, m)
}

func (in *intake) handle(ctx context.Context, m mqtt.Message) error {
	for _, d := range in.dialects {
		for _, filter := range d.Filters() {
			if mqtt.Match(filter, m.Topic) {
				if err := d.Handle(ctx, m); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// open takes in what a broker had retained, if there is one that can be asked, and then lets messages in.
func (in *intake) open(ctx context.Context, retained func(filter string) iter.Seq[mqtt.Message]) error {
	defer close(in.opened)
	if retained == nil {
		return nil
	}
	var errs []error
	for _, filter := range in.Filters() {
		for m := range retained(filter) {
			if err := in.handle(ctx, m); err != nil {
				errs = append(errs, fmt.Errorf("retained message %s: %w", m.Topic, err))
			}
		}
	}
	return errors.Join(errs...)
}
