package broker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// complain logs what somebody did, unless that was about the same lately, or about too much: what a client can do as often as it likes must
// not fill the disk. All of it is counted elsewhere.
func (b *Broker) complain(level slog.Level, msg, who, about string, args ...any) {
	if suppressed, ok := b.complaints.Allow(fmt.Sprintf("%.100s %s", who, about), time.Now()); ok {
		b.log.Log(b.ctx, level, "mqtt broker: "+msg, append(args, "suppressed_before", suppressed)...)
	}
}

// refusals are the filters of a SUBSCRIBE that are refused.
type refusals struct {
	filters int
	first   string
	reason  error
}

// refuseFilter notes that a filter of the SUBSCRIBE under way is refused. complainFilters is one complaint about all of them.
func (c *conn) refuseFilter(filter string, reason error) {
	c.b.stats.refused.Add(1)
	if c.refusals.filters++; c.refusals.filters == 1 {
		c.refusals.first, c.refusals.reason = filter, reason
	}
}

func (c *conn) complainFilters() {
	r := c.refusals
	c.refusals = refusals{}
	if r.filters > 0 {
		c.b.complain(slog.LevelWarn, "subscription refused", c.session.id, r.first, "client", c.session.id, "user", c.user(),
			"filter", mqtt.Clip(r.first), "reason", r.reason, "filters", r.filters)
	}
}

// quiet is what the library logs to. It logs whole packets, payloads and passwords included, and every oddity of a peer at
// levels that a peer could fill a disk with: here all of it is for debugging, and without packets.
type quiet struct{ slog.Handler }

// quietLogger wraps a logger's handler.
func quietLogger(l *slog.Logger) *slog.Logger {
	return slog.New(quiet{l.With("component", "mochi-mqtt").Handler()})
}

// Enabled, Handle, WithAttrs and WithGroup are [slog.Handler].
func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, slog.LevelDebug, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "error", "client", "listener", "hook", "remote", "len":
			out.AddAttrs(a)
		}
		return true
	})
	return q.Handler.Handle(ctx, out)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
