package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// redrawEvery is the time between two pictures.
const redrawEvery = 200 * time.Millisecond

// show draws the latest changes until the recording has ended or somebody interrupts.
func (d *demo) show() {
	t := time.NewTicker(redrawEvery)
	defer t.Stop()
	s := screen{out: d.stdout}
	// The cursor would jump about.
	_, _ = io.WriteString(d.stdout, "\x1b[?25l")
	defer func() { _, _ = io.WriteString(d.stdout, "\x1b[?25h") }()
	for {
		over := false
		select {
		case <-d.done:
			over = true
		case <-d.ctx.Done():
			over = true
		case <-t.C:
		}
		s.draw(d.picture())
		if over {
			return
		}
	}
}

// picture are the lines to show now.
func (d *demo) picture() []string {
	to := d.term
	width, height := to.size()
	to.width = width
	m := d.daemon.House().Now()
	p := *d.progress.Load()
	p.Elapsed = time.Since(d.began)
	lines := []string{
		"",
		bar(p, d.rec, width),
		to.paint(bold, fmt.Sprintf("%s   %s   %s", counted(m.Position(), "event"), counted(m.State.Entities.Len(), "entity"),
			counted(m.Registry.Devices.Len(), "device"))),
		"",
	}
	t := table{columns: []column{
		{title: "CHANGED"}, {title: "ENTITY", shrink: true}, {title: "STATE", shrink: true}, {title: "NAME", shrink: true},
	}}
	for _, s := range latest(m, max(height-len(lines)-3, 1)) {
		t.add(cell{clock(s.ChangedAt), dim}, cell{text: s.EntityID}, cell{withUnit(s), stateStyle(s)}, cell{text: s.Name})
	}
	return append(lines, t.lines(to)...)
}

// latest are the n states that changed last, the newest first.
func latest(m timeline.Moment, n int) []api.State {
	// The smallest position of those that are kept goes first out: n is small, so that insertion does.
	var newest []state.State
	for _, s := range m.State.Entities.All() {
		at := len(newest)
		for at > 0 && newest[at-1].Position < s.Position {
			at--
		}
		if at == n {
			continue
		}
		newest = append(newest, state.State{})
		copy(newest[at+1:], newest[at:])
		newest[at] = s
		newest = newest[:min(len(newest), n)]
	}
	states := make([]api.State, 0, len(newest))
	for _, s := range newest {
		if w, err := api.NewState(m, s); err == nil {
			states = append(states, w)
		}
	}
	return states
}

// screen redraws lines in their place.
type screen struct {
	out   io.Writer
	drawn int
}

// draw replaces the lines that were drawn before.
func (s *screen) draw(lines []string) {
	var text strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&text, "\x1b[%dA", s.drawn)
	}
	for _, line := range lines {
		text.WriteString("\r\x1b[K" + line + "\n")
	}
	text.WriteString("\x1b[J")
	s.drawn = len(lines)
	_, _ = io.WriteString(s.out, text.String())
}
