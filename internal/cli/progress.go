package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/mqtt/play"
)

// bar is a line that shows how far a recording has been played.
func bar(p play.Progress, rec recording, width int) string {
	done := 0.0
	if rec.lines > 0 {
		done = min(float64(p.Line)/float64(rec.lines), 1)
	}
	return drawBar(done, fmt.Sprintf("%s of %s messages  %s", count(p.Line), count(rec.lines), p.Elapsed.Round(time.Second)), width)
}

// drawBar is a line of a width that shows which part of something is done, and says something about it.
func drawBar(done float64, text string, width int) string {
	text = fmt.Sprintf(" %3.0f%%  %s", 100*done, text)
	room := min(40, width-textWidth(text)-1)
	if room < 5 {
		return cut(strings.TrimSpace(text), width)
	}
	full := int(done * float64(room))
	return strings.Repeat("█", full) + strings.Repeat("░", room-full) + text
}

const (
	// barEvery is the time between two bars on a terminal.
	barEvery = 100 * time.Millisecond
	// lineEvery is the time between two lines of progress where there is no terminal.
	lineEvery = 10 * time.Second
)

// meter tells a person on stderr how far a walk through the log is.
type meter struct {
	a     *app
	verb  string   // what was done to the events
	term  terminal // of stderr
	began time.Time
	told  time.Time // when progress was told last
	bar   bool      // there is a bar on the terminal
}

func newMeter(a *app, verb string) *meter {
	now := time.Now()
	return &meter{a: a, verb: verb, term: terminalOf(a.stderr, os.Getenv), began: now, told: now}
}

func (m *meter) progress(p api.Progress) {
	every := lineEvery
	if m.term.tty {
		every = barEvery
	}
	now := time.Now()
	if now.Sub(m.told) < every {
		return
	}
	m.told = now
	text := count(p.Position) + " events"
	done := 0.0
	if p.Last > 0 {
		text = fmt.Sprintf("%s of %s events", count(p.Position), count(p.Last))
		done = float64(p.Position) / float64(p.Last)
	}
	if !m.term.tty {
		m.a.notef("%s %s", m.verb, text)
		return
	}
	m.bar = true
	_, _ = fmt.Fprintf(m.a.stderr, "\r\x1b[K%s", drawBar(done, fmt.Sprintf("%s  %s", text, now.Sub(m.began).Round(time.Second)), m.term.width-1))
}

// clear removes the bar, so that something else can be printed.
func (m *meter) clear() {
	if m.bar {
		_, _ = fmt.Fprint(m.a.stderr, "\r\x1b[K")
		m.bar = false
	}
}
