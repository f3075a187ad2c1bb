package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// whyCmd shows a chain of causes.
type whyCmd struct {
	output
	Of     string   `arg:"" help:"Id of an entity, or @POSITION of an event."`
	At     when     `placeholder:"WHEN" help:"The moment of the entity's state to ask about; the present by default."`
	Saw    bool     `help:"Show, for each link, what states there were just before it: of the entities of the chain, or of those that are named."`
	Entity []string `arg:"" optional:"" help:"With --saw: the entities whose states to show."`
}

// Help implements [kong.HelpProvider].
func (*whyCmd) Help() string {
	return `Begins with the event that made the entity's state what it is, or with the one at the position, and goes from each event to the one that it names as its cause, to the beginning, or to what is left of the history. Each link says what the event changed.

What came in one message or one request is one batch: where an event names no cause, and was not the first of its batch, the first one is shown.

Examples:

    statehouse why light.kitchen
    statehouse why light.kitchen --at 'yesterday 18:00'
    statehouse why @1204331 --saw sensor.hall_motion sensor.hall_illuminance
    statehouse why cover.garage --saw -o json`
}

// Run implements the command.
func (c *whyCmd) Run(a *app) error {
	q, err := c.query(a)
	if err != nil {
		return err
	}
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	why, err := s.Why(a.ctx, q)
	if errors.Is(err, statehouse.ErrNotFound) && q.Entity != "" {
		if as, err := s.Position(a.ctx, q.At); err == nil {
			return wasNoEntity(a.ctx, s, q.Entity, as)
		}
	}
	if err != nil {
		return err
	}
	if c.json() {
		return printJSON(a.stdout, why)
	}
	if q.Entity != "" {
		a.sayAsOf(c.At, why.AsOf)
	}
	for i, l := range why.Links {
		if err := a.printLink(l, i > 0); err != nil {
			return err
		}
	}
	if why.Next != 0 {
		a.notef("the chain goes on; \"statehouse why @%d\" shows the rest", why.Next)
	}
	if why.Removed != 0 {
		a.notef("the chain goes on with @%s, which has been removed with the history up to there", count(why.Removed))
	}
	return nil
}

// query is what is asked for.
func (c *whyCmd) query(a *app) (q api.WhyQuery, err error) {
	if len(c.Entity) > 0 && !c.Saw {
		return q, usagef("%s: say --saw to see the states of other entities", strings.Join(c.Entity, " "))
	}
	for _, id := range c.Entity {
		if err := eventstore.CheckEntityID(id); err != nil {
			return q, usagef("--saw: %w", err)
		}
	}
	q.Saw, q.SawChain = c.Entity, c.Saw && len(c.Entity) == 0
	if !strings.HasPrefix(c.Of, "@") {
		if err := eventstore.CheckEntityID(c.Of); err != nil {
			return q, usagef("%w; or write the position of an event, as in @1204", err)
		}
		q.Entity, q.At = c.Of, c.At.at(a.now())
		return q, nil
	}
	var of when
	if err := of.UnmarshalText([]byte(c.Of)); err != nil {
		return q, usagef("%w", err)
	}
	if c.At.given() {
		return q, usagef("--at is for entities; %s is one event, whenever one asks", c.Of)
	}
	q.At = of.at(a.now())
	return q, nil
}

// linkChanges is how many changes of one event are printed.
const linkChanges = 8

// printLink prints one event of a chain.
func (a *app) printLink(l api.Link, caused bool) error {
	mark, indent := "", "    "
	if caused {
		mark, indent = "└─ because of ", "       "
		if err := a.printf("│\n"); err != nil {
			return err
		}
	}
	e := l.Event
	head := fmt.Sprintf("%s@%s  %s  %s%s", mark, count(e.Position), timestamp(e.Timestamp), clean(eventWords(e)), clean(by(e.Source)))
	lines := []string{a.term.paint(bold, a.fit(head, 0))}
	for i, c := range l.Changes {
		if i == linkChanges {
			lines = append(lines, indent+"… "+counted(len(l.Changes)-i, "more entity"))
			break
		}
		lines = append(lines, a.changeLines(c, indent, 0)...)
	}
	for i, s := range l.Saw {
		word := "saw  "
		if i > 0 {
			word = "     "
		}
		lines = append(lines, indent+a.term.paint(dim, a.fit(word+clean(s.EntityID+"  "+withUnit(s)), len(indent))))
	}
	if b := l.Batch; b != nil {
		lines = append(lines, indent+a.term.paint(dim, a.fit("came with @"+count(b.Position)+"  "+clean(eventWords(*b)), len(indent))))
	}
	return a.printf("%s\n", strings.Join(lines, "\n"))
}

// fit shortens a line that begins after some columns to what the terminal has.
func (a *app) fit(line string, after int) string {
	if a.term.width == 0 {
		return line
	}
	return cut(line, max(a.term.width-after, 20))
}

// eventWords says what an event is, in a line.
func eventWords(e api.Event) string {
	switch e.Kind {
	case eventstore.KindStateChanged:
		return e.EntityID + " is " + e.State
	case eventstore.KindSystem:
		return systemSentence(e)
	case eventstore.KindCommandIssued, eventstore.KindCommandSettled:
		return commandSentence(e)
	case eventstore.KindHistoryRemoved:
		return removedWords(e)
	}
	return joinWords(e.EntityID, eventCell(e).text)
}
