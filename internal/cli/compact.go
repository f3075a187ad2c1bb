package cli

import (
	"strings"

	"github.com/statehouse/statehouse/internal/api"
)

// compactCmd removes old history.
type compactCmd struct {
	output
	Before when `required:"" placeholder:"WHEN" help:"Remove what was recorded up to this moment: a time, '90d ago' or @POSITION. What the house was like at it stays."`
	Yes    bool `help:"Remove it. Without this nothing is removed, and what would be is said."`
}

// Help implements [kong.HelpProvider].
func (*compactCmd) Help() string {
	return `Removes events for good, the oldest first. What the house was like at the moment stays, and so does everything after it: no position and no answer changes. Questions about what is gone say that it is gone.

Before anything is removed, everything up to there is verified and folded, and the fold is saved in its place; where anything does not fit, nothing is removed. The log gives up whole segments: where not even one would go, nothing is done. An event says in the log what was removed, and when.

The file does not shrink: the space is used again by what is recorded next. A consumer that had not got so far has lost what it wanted, and must begin anew.

The running daemon does it where there is one, and goes on with everything else meanwhile; it can also do so by itself, see "serve --keep-history".

Examples:

    statehouse compact --before '90d ago'
    statehouse compact --before '90d ago' --yes
    statehouse compact --before 2026-01-31 --yes
    statehouse compact --before @1204331 -o json`
}

// Run implements the command.
func (c *compactCmd) Run(a *app) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	m := newMeter(a, "verified")
	result, err := s.Compact(a.ctx, c.Before.at(a.now()), !c.Yes, m.progress)
	m.clear()
	if err != nil {
		return err
	}
	if c.json() {
		return printJSON(a.stdout, result)
	}
	return c.print(a, result)
}

func (c *compactCmd) print(a *app, r api.Compaction) error {
	oldest := asOf(api.AsOf{Position: r.Position, RecordedAt: r.RecordedAt})
	if r.Events == 0 {
		a.notef("there is nothing to remove: history is removed in whole segments of the log; the oldest moment is %s", oldest)
		return nil
	}
	verb := "removed"
	if r.DryRun {
		verb = "would remove"
	}
	if err := a.printf("%s %s, the positions %s to %s; the oldest moment is %s\n", verb, counted(r.Events, "event"),
		count(uint64(r.Position)-r.Events+1), count(r.Position), oldest); err != nil {
		return err
	}
	if len(r.LeftBehind) > 0 {
		have := "have"
		if r.DryRun {
			have = "would have"
		}
		a.notef("left behind are %s, which %s lost events and must begin anew", clean(strings.Join(r.LeftBehind, ", ")), have)
	}
	if r.DryRun {
		a.notef("nothing was removed; --yes removes it for good")
	}
	return nil
}
