package discovery

import (
	"context"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// Declare takes in announcements that no device makes, and takes away what earlier ones made that are not described any more:
// those whose keys stays does not know.
func (e *Engine) Declare(ctx context.Context, announcements []Announcement, stays func(key string) bool) error {
	if err := e.Start(ctx); err != nil {
		return err
	}
	m := mqtt.Message{Topic: e.Source(), ReceivedAt: e.opts.Now()}
	for _, key := range e.catalog.keys() {
		if stays(key) {
			continue
		}
		if err := e.apply(ctx, m, Announcement{Key: key, Complete: true}); err != nil {
			return err
		}
	}
	for _, a := range announcements {
		if err := e.apply(ctx, m, a); err != nil {
			return err
		}
	}
	return nil
}
