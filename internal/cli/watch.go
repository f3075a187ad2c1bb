package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/storage"
)

// watchCmd prints changes as they happen.
type watchCmd struct {
	output
	Entity []string `arg:"" optional:"" help:"Only these: ids, domains, or patterns as in 'sensor.*_battery'."`
	Count  int      `short:"n" placeholder:"N" help:"End after N changes."`
}

// Help implements [kong.HelpProvider].
func (*watchCmd) Help() string {
	return `Prints until it is interrupted; a daemon that restarts is waited for, and nothing is missed meanwhile. With -o json one change per line is printed: the event, and the states that it led to.

Examples:

    statehouse watch
    statehouse watch light switch
    statehouse watch sensor.attic_temperature -o json
    statehouse watch lock.front_door -n 1 && echo 'the door was used'`
}

// Run implements the command.
func (c *watchCmd) Run(a *app) error {
	for _, pattern := range c.Entity {
		if err := checkPattern(pattern); err != nil {
			return err
		}
	}
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	r, ok := s.(*remote)
	if !ok {
		return fmt.Errorf("%w: no daemon has %s open, so that nothing changes; start one with \"statehouse serve\"",
			errUnreachable, a.flags.DB)
	}
	w := watcher{app: a, cmd: c, known: map[string]api.State{}}
	return w.follow(r)
}

// watcher prints a stream of changes.
type watcher struct {
	*app
	cmd *watchCmd
	// known are the states by entity, so that a line can say what was before.
	known   map[string]api.State
	printed int
	lastID  string
	ready   bool
}

// errEnough ends a watch that was asked for a number of changes.
var errEnough = errors.New("enough")

// lostPatience is how long a daemon that went away is waited for.
const lostPatience = time.Minute

// follow reads the stream, and again from where it was when the daemon comes back.
func (w *watcher) follow(r *remote) error {
	var lost time.Time
	for {
		answered := false
		err := w.read(r, func() { answered = true })
		switch {
		case errors.Is(err, errEnough):
			return nil
		case w.ctx.Err() != nil:
			return context.Cause(w.ctx)
		case !w.ready || err != nil && !errors.Is(err, errUnreachable):
			return err
		}
		if lost.IsZero() || answered {
			lost = w.now()
			w.notef("the daemon went away; waiting for it")
		}
		if w.now().Sub(lost) > lostPatience {
			return err
		}
		select {
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		case <-time.After(500 * time.Millisecond):
		}
		r = w.again(r)
	}
}

// again is the daemon, which may have restarted on another address.
func (w *watcher) again(r *remote) *remote {
	if r.db == "" {
		return r
	}
	holder, err := storage.ReadHolder(r.db)
	if err != nil || holder.URL == "" {
		return r
	}
	if found, err := newLocalRemote(holder.URL, r.db); err == nil {
		_ = r.Close()
		return found
	}
	return r
}

// read prints one stream until it ends. answered is called when it begins.
func (w *watcher) read(r *remote, answered func()) error {
	for m, err := range r.changes(w.ctx, w.lastID, answered) {
		if err != nil {
			return err
		}
		if err := w.message(m); err != nil {
			return err
		}
		w.lastID = m.ID
	}
	return fmt.Errorf("%w any more at %s", errUnreachable, r.where)
}

func (w *watcher) message(m api.Message) error {
	switch m.Event {
	case api.StreamState:
		var s api.State
		if err := json.Unmarshal(m.Data, &s); err != nil {
			return fmt.Errorf("stream: %w", err)
		}
		w.known[s.EntityID] = s
	case api.StreamReady:
		if !w.cmd.json() && w.term.tty && !w.ready {
			w.notef("watching; Ctrl-C ends it")
		}
		w.ready = true
	case api.StreamReset:
		var reset api.Reset
		_ = json.Unmarshal(m.Data, &reset)
		w.notef("changes were missed: %s", reset.Reason)
		clear(w.known)
	case api.StreamError:
		var e api.Error
		if err := json.Unmarshal(m.Data, &e); err != nil {
			return fmt.Errorf("stream: %w", err)
		}
		return detailError(e.Error)
	case api.StreamChange:
		var c api.Change
		if err := json.Unmarshal(m.Data, &c); err != nil {
			return fmt.Errorf("stream: %w", err)
		}
		return w.change(c)
	}
	return nil
}

// change prints a change if it was asked for.
func (w *watcher) change(c api.Change) error {
	wanted := len(w.cmd.Entity) == 0 || c.EntityID != "" && matchesAny(w.cmd.Entity, c.EntityID)
	for _, s := range c.States {
		wanted = wanted || matchesAny(w.cmd.Entity, s.EntityID)
	}
	if wanted {
		if err := w.print(c); err != nil {
			return err
		}
		w.printed++
	}
	for _, s := range c.States {
		w.known[s.EntityID] = s
	}
	for _, id := range c.Removed {
		delete(w.known, id)
	}
	if w.cmd.Count > 0 && w.printed >= w.cmd.Count {
		return errEnough
	}
	return nil
}

func (w *watcher) print(c api.Change) error {
	if w.cmd.json() {
		return printJSONLine(w.stdout, c)
	}
	at := w.term.paint(dim, clock(c.Timestamp))
	if c.Kind != eventstore.KindStateChanged {
		what := eventCell(c.Event)
		about := c.EntityID
		if sentence := commandSentence(c.Event); sentence != "" {
			return w.printf("%s  %s\n", at, w.term.paint(what.style, clean(sentence)))
		}
		if len(c.States) > 0 && c.States[0].EntityID != c.EntityID {
			about += " → " + c.States[0].EntityID
		}
		return w.printf("%s  %s\n", at, w.term.paint(dim, clean(joinWords(about, what.text))))
	}
	i := slices.IndexFunc(c.States, func(s api.State) bool { return s.EntityID == c.EntityID })
	if i < 0 {
		return w.printf("%s  %s  %s\n", at, clean(c.EntityID), clean(c.State))
	}
	s := c.States[i]
	line := fmt.Sprintf("%s  %s  %s", at, clean(s.EntityID), w.term.paint(stateStyle(s), clean(withUnit(s))))
	if before, ok := w.known[s.EntityID]; ok {
		more := details(before.Attributes, s.Attributes)
		if before.State != s.State {
			more = joinWords("was "+before.State, more)
		}
		if w.term.width > 0 {
			more = cut(more, w.term.width-textWidth(clock(c.Timestamp)+s.EntityID+withUnit(s))-7)
		}
		if more != "" {
			line += "  " + w.term.paint(dim, clean(more))
		}
	}
	return w.printf("%s\n", line)
}

func joinWords(a, b string) string {
	if a == "" {
		return b
	}
	return a + "  " + b
}
