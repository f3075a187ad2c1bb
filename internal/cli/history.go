package cli

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// historyCmd shows the events of one entity.
type historyCmd struct {
	output
	Entity string `arg:"" help:"Id of an entity, as in light.kitchen."`
	Since  when   `placeholder:"WHEN" help:"Only what was recorded after this: a time, 'yesterday 18:00', '2h ago' or @POSITION; the oldest that there is by default."`
	Until  when   `placeholder:"WHEN" help:"Only what was recorded up to this."`
	Limit  int    `short:"n" default:"50" placeholder:"N" help:"Only the newest N events; 0 shows all."`
	Chart  *bool  `negatable:"" help:"Draw the states over time: a chart of numbers, bands of anything else. On a terminal that is the default."`
}

// Help implements [kong.HelpProvider].
func (*historyCmd) Help() string {
	return `Oldest first, and before them the state that there was at the beginning of the time. The chart is of the whole time, whatever --limit is. With -o json one event per line is printed, with the state before and after it.

Examples:

    statehouse history light.kitchen
    statehouse history sensor.attic_temperature --since 2h -n 0
    statehouse history lock.front_door --since 2026-01-31 --until '2026-01-31 18:00'
    statehouse history sensor.attic_temperature --since 'yesterday 18:00' --chart -n 5
    statehouse history light.kitchen --since @1204331 -o json`
}

// Run implements the command.
func (c *historyCmd) Run(a *app) error {
	if c.Limit < 0 {
		return usagef("--limit %d: write 0 or more", c.Limit)
	}
	if c.Chart != nil && *c.Chart && c.json() {
		return usagef("--chart is for people; leave out -o json")
	}
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if eventstore.CheckEntityID(c.Entity) != nil {
		return noEntity(a.ctx, s, c.Entity)
	}
	now := a.now()
	from := api.AtOldest()
	if c.Since.given() {
		from = c.Since.at(now)
	}
	past := passage{limit: c.Limit, chart: !c.json() && (a.term.tty && c.Chart == nil || c.Chart != nil && *c.Chart)}
	err = past.read(a, s, c.Entity, from, c.Until.at(now))
	if errors.Is(err, statehouse.ErrNotFound) {
		if ids, _ := idsOf(a.ctx, s, api.At{}); !slices.Contains(ids, c.Entity) {
			return noEntity(a.ctx, s, c.Entity)
		}
	}
	if err != nil {
		return err
	}
	if c.json() {
		for _, step := range past.steps {
			if err := printJSONLine(a.stdout, step); err != nil {
				return err
			}
		}
		return nil
	}
	return c.show(a, &past, now)
}

// show prints a passage for people.
func (c *historyCmd) show(a *app, past *passage, now time.Time) error {
	if past.chart {
		begin, end := past.samples.begin(), now
		if c.Since.given() {
			begin = c.Since.begin(now, past.head.From)
		}
		if c.Until.given() {
			end = c.Until.begin(now, past.head.To)
		}
		if err := past.samples.draw(a, past.head.Unit, begin, end); err != nil {
			return err
		}
	}
	if len(past.steps) == 0 {
		a.notef("no events of %s in that time", c.Entity)
		if v := past.head.Start; v != nil {
			a.notef("it was %s all the while, since position %s", withUnit(api.State{State: v.State, Unit: past.head.Unit}), count(v.Position))
		}
	} else if err := c.print(a, past); err != nil {
		return err
	}
	if past.older > 0 {
		a.notef("%s before these; --limit 0 shows all", counted(past.older, "event"))
	}
	if c.Since.given() {
		a.notef("from %s", asOf(past.head.From))
	} else {
		a.sayRemoved(past.head.From)
	}
	a.notef("to %s%s", asOf(past.head.To), notFinal(c.Until, past.head.To))
	return nil
}

// begin is the time that a moment is drawn at: the one that was asked for, or when a position was recorded.
func (w when) begin(now time.Time, as api.AsOf) time.Time {
	switch {
	case w.from != nil:
		return w.time(now)
	case as.RecordedAt != nil:
		return *as.RecordedAt
	}
	return time.Time{}
}

// between is the query for the events between two places, the first of which is the oldest that there is if it was not
// given; where that is not the beginning, a person is told. An end before the beginning, and one that was removed, are errors.
func (a *app) between(s source, since, until when) (q eventstore.Query, err error) {
	oldest, err := s.Position(a.ctx, api.AtOldest())
	if err != nil {
		return q, err
	}
	if !since.given() {
		a.sayRemoved(oldest)
	}
	head, err := s.Position(a.ctx, api.At{})
	if err != nil {
		return q, err
	}
	if q.After, err = a.position(s, since, oldest.Position); err != nil {
		return q, err
	}
	if q.Until, err = a.position(s, until, head.Position); err != nil {
		return q, err
	}
	backwards := q.Until < q.After
	if now := a.now(); since.from != nil && until.from != nil {
		backwards = until.time(now).Before(since.time(now))
	}
	switch {
	case since.given() && until.given() && backwards:
		return q, usagef("--until %s is before --after %s", until.text, since.text)
	case until.given() && q.Until < oldest.Position:
		_, err = s.Position(a.ctx, api.AtPosition(q.Until)) // says what is left
	}
	return q, err
}

// position is the position that a person means, and another one where nothing was given. It may be still to come.
func (a *app) position(s source, w when, otherwise eventstore.Position) (eventstore.Position, error) {
	switch {
	case !w.given():
		return otherwise, nil
	case w.isPosition():
		return w.position, nil
	}
	as, err := s.Position(a.ctx, w.at(a.now()))
	return as.Position, err
}

// sayRemoved tells a person, who has not said from where, that the oldest moment is not the beginning.
func (a *app) sayRemoved(oldest api.AsOf) {
	if oldest.Position > 0 {
		a.notef("history before that has been removed: it begins with %s", asOf(oldest))
	}
}

// passage is what happened to an entity in a time.
type passage struct {
	limit int  // how many steps to keep, the newest; 0 keeps all
	chart bool // whether to keep samples of all

	head    api.History // of the first part, without its steps
	steps   []api.Step
	older   int // steps that were not kept
	samples samples
}

// read reads a passage part by part.
func (p *passage) read(a *app, s source, id string, from, to api.At) error {
	for first := true; ; first = false {
		part, err := s.History(a.ctx, id, from, to)
		if err != nil {
			return err
		}
		if first {
			p.head = part
			p.head.Steps = nil
			// What comes meanwhile is not part of it.
			to = api.AtPosition(part.To.Position)
			if p.chart {
				p.samples.start(part.Start)
			}
		}
		for _, step := range part.Steps {
			if p.chart {
				p.samples.add(step)
			}
			p.steps = append(p.steps, step)
		}
		if over := len(p.steps) - p.limit; p.limit > 0 && over > 0 {
			p.older += over
			p.steps = append(p.steps[:0], p.steps[over:]...)
		}
		if part.Next == 0 {
			return nil
		}
		from = api.AtPosition(part.Next)
	}
}

func (c *historyCmd) print(a *app, past *passage) error {
	t := table{columns: []column{
		{title: "POSITION", right: true}, {title: "TIME"}, {title: "AGE", right: true}, {title: "WHAT", shrink: true},
		{title: "DETAILS", shrink: true, sparse: true}, {title: "SOURCE", shrink: true},
	}}
	now := a.now()
	var before json.RawMessage
	if v := past.head.Start; v != nil && past.older == 0 {
		before = v.Attributes
		t.add(cell{count(v.Position), dim}, cell{timestamp(v.UpdatedAt), dim}, cell{age(now, v.UpdatedAt), dim},
			cell{v.State, stateStyle(api.State{State: v.State})}, cell{"before that time", dim}, cell{})
	}
	for _, e := range past.steps {
		detail := ""
		if e.Kind == eventstore.KindStateChanged {
			if e.Before != nil {
				before = e.Before.Attributes
			}
			detail = details(before, e.Data)
		}
		t.add(cell{count(e.Position), dim}, cell{text: timestamp(e.Timestamp)},
			cell{age(now, e.Timestamp), dim}, eventCell(e.Event), cell{detail, dim}, cell{e.Source, dim})
	}
	return t.write(a.stdout, a.term)
}

// eventCell says what happened in an event.
func eventCell(e api.Event) cell {
	if e.Kind == eventstore.KindStateChanged {
		return cell{e.State, stateStyle(api.State{State: e.State})}
	}
	if text := commandWords(e); text != "" {
		return cell{text, yellow}
	}
	text := map[eventstore.Kind]string{
		eventstore.KindStateReported:      "heard of, unchanged",
		eventstore.KindEntityRegistered:   "registered",
		eventstore.KindEntityUnregistered: "removed",
		eventstore.KindEntityRenamed:      "renamed",
		eventstore.KindHistoryRemoved:     "history removed",
	}[e.Kind]
	if text == "" {
		text = string(e.Kind)
	}
	return cell{text, dim}
}

// clock is a time of day for lines that are read as they come.
func clock(t time.Time) string { return t.Local().Format("15:04:05.000") }

// removedWords says which history an event is about the removal of.
func removedWords(e api.Event) string {
	var said struct {
		Through eventstore.Position `json:"through"`
	}
	if json.Unmarshal(e.Data, &said) != nil {
		return eventCell(e).text
	}
	return "history removed up to @" + count(said.Through)
}

// systemWords says what an event of the system says.
func systemWords(e api.Event) string {
	var said struct {
		What    string `json:"what"`
		Subject string `json:"subject"`
		Detail  string `json:"detail"`
	}
	if json.Unmarshal(e.Data, &said) != nil {
		return string(e.Kind)
	}
	if done, ok := strings.CutPrefix(said.What, "token_"); ok {
		return "a token was " + done + ": " + said.Detail // which begins with its name
	}
	return strings.Join(strings.Fields(said.What+" "+said.Subject+" "+said.Detail), " ")
}

// systemSentence is systemWords as a sentence.
func systemSentence(e api.Event) string {
	words := systemWords(e)
	if strings.HasPrefix(words, "a token ") {
		return words
	}
	return "the system " + words
}
