package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

func (l Log) level() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(l.Level))); err != nil {
		return 0, fmt.Errorf("%q: write debug, info, warn or error", l.Level)
	}
	return level, nil
}

// Logger is the logger that a checked configuration asks for.
func (l Log) Logger(w io.Writer) *slog.Logger {
	level, _ := l.level()
	opts := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
