package broker_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// lines are those of the log that have a text in them.
func (l *logBuffer) lines(text string) (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			all = append(all, line)
		}
	}
	return all
}

// TestRefusalsDoNotFlood: what a client can have refused as often as it likes fills no log, whatever it invents, and is counted.
func TestRefusalsDoNotFlood(t *testing.T) {
	const each = 2000
	log, lines := logger()
	b := start(t, broker.Options{Logger: log})
	for _, id := range []string{"a", strings.Repeat("b", 200), strings.Repeat("c", 200)} {
		w := dial(t, b)
		w.join(hello{id: id})
		for i := range each {
			w.publish(fmt.Sprint("$invented/", i), "x", 0, 0, 0)
			w.publish("$always", "x", 0, 0, 0)
		}
		for i := range 20 {
			w.subscribe(uint16(i+1), fmt.Sprint("a#", i), 0)
		}
	}
	if n := b.Stats().Refused; n != 3*(2*each+20) {
		t.Errorf("%d refused", n)
	}
	if n := len(lines.lines("refused")); n < 10 || n > 60 {
		t.Errorf("%d lines", n)
	}
	if n := len(lines.lines(`topic=$always`)); n != 1 {
		t.Errorf("%d lines about one topic of the only client for which there was room", n)
	}
}

// TestAttemptsDoNotFlood: nor do connections that are never admitted, however many there are, and each reason is told.
func TestAttemptsDoNotFlood(t *testing.T) {
	log, lines := logger()
	b := start(t, broker.Options{Logger: log, Users: []broker.User{joe}})
	const each = 20
	for range each {
		w := dial(t, b)
		_ = w.c.Close()
	}
	for _, user := range []string{"nobody", "somebody"} {
		w := dial(t, b)
		if code, _ := w.connect(hello{id: "c", user: user, password: "wrong"}); code != 4 {
			t.Errorf("code %d", code)
		}
		w.expectClosed()
	}
	eventually(t, "all are gone", func() bool { return b.Stats().ConnectsRefused == each+2 })
	for text, want := range map[string]int{"before its client was admitted": 3, "nobody": 1, "somebody": 1} {
		eventually(t, text+" in the log", func() bool { return len(lines.lines(text)) >= want })
		if got := lines.lines(text); len(got) != want {
			t.Errorf("%d lines with %q: %q", len(got), text, got)
		}
	}
}

// TestRefusedFilters: one line tells of all filters of a SUBSCRIBE that are refused, by the first of them, and of that client and that user.
func TestRefusedFilters(t *testing.T) {
	log, lines := logger()
	b := start(t, broker.Options{Logger: log, Users: []broker.User{
		{Name: "u", Password: "p", Subscribe: []string{"mine/#"}, Publish: []string{"mine/#"}}}})
	w := dial(t, b)
	w.join(hello{id: "c", user: "u", password: "p"})
	w.send(packet(tSubscribe<<4|2, []byte{0, 1}, str("mine/x"), []byte{0}, bytes.Repeat(append(str("theirs/x"), 0), 100), str("a#"), []byte{0}))
	_, body := w.expect(tSuback)
	if len(body) != 2+102 || body[2] != 0 || body[3] != 0x80 || body[103] != 0x80 {
		t.Errorf("SUBACK % x", body)
	}
	got := lines.lines("subscription refused")
	if len(got) != 1 {
		t.Fatalf("%d lines: %q", len(got), got)
	}
	for _, want := range []string{"client=c", "user=u", "filters=101"} {
		if !strings.Contains(got[0], want) {
			t.Errorf("no %s in %s", want, got[0])
		}
	}
	if n := b.Stats().Refused; n != 101 {
		t.Errorf("%d refused", n)
	}
}
