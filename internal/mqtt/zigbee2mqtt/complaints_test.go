package zigbee2mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

func TestAHostilePublisherDoesNotFillTheLog(t *testing.T) {
	var out bytes.Buffer
	b := newBench(t, Options{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	b.lists(device("0x1", "x", exposeTemperature))
	const messages, perMinute = 5000, 60
	long := strings.Repeat("long", 10_000)
	for i := range messages {
		m := message(fmt.Sprintf("zigbee2mqtt/%d%s", i, long), "{}")
		m.Client = long
		b.message(m)
	}
	b.Complain(message("zigbee2mqtt/x", ""), dialect.ReasonMalformed, errors.New(long))
	lines := strings.Count(out.String(), "\n")
	if s := b.Stats(); lines != perMinute || s.Suppressed != messages+1-perMinute || s.Ignored[dialect.ReasonUnknownDevice] != messages {
		t.Errorf("%d lines, %+v", lines, s)
	}
	b.now = base.Add(time.Minute)
	b.Complain(message("zigbee2mqtt/x", ""), dialect.ReasonMalformed, errors.New(long))
	if out.Len() > 100_000 {
		t.Errorf("%d bytes of log", out.Len())
	}
	out.Reset()
	m := message("zigbee2mqtt/x", "{")
	m.ReceivedAt = base.Add(time.Minute)
	b.message(m)
	if want := fmt.Sprintf("suppressed_before=%d\n", messages+2-perMinute); !strings.HasSuffix(out.String(), want) {
		t.Errorf("%s, want %s", out.String(), want)
	}
}
