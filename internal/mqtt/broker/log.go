package broker

import (
	"context"
	"log/slog"
)

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
