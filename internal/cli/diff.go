package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/statehouse/statehouse/internal/api"
)

// diffCmd shows what is different between two moments.
type diffCmd struct {
	output
	From   when     `arg:"" help:"The moment to begin with: a time, 'yesterday 18:00', '2h ago' or @POSITION."`
	To     when     `arg:"" optional:"" help:"The moment to compare with; the present by default."`
	Entity []string `placeholder:"ENTITY" help:"Only these: ids, domains, or patterns as in 'sensor.*_battery'."`
}

// Help implements [kong.HelpProvider].
func (*diffCmd) Help() string {
	return `Entity by entity, by area: the states, what else is different in the attributes, and what was named, moved, renamed, added or removed. An entity that has another id is the same one if its source says so.

With -o json one document is printed: both moments, and for each entity what is different and the whole of it before and after.

Examples:

    statehouse diff '2h ago'
    statehouse diff 'yesterday 18:00' 'yesterday 19:00' --entity light
    statehouse diff @1204331 @1204400 -o json`
}

// Run implements the command.
func (c *diffCmd) Run(a *app) error {
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
	now := a.now()
	diff, err := s.Diff(a.ctx, c.From.at(now), c.To.at(now))
	if err != nil {
		return err
	}
	if len(c.Entity) > 0 {
		diff.Changes = slices.DeleteFunc(diff.Changes, func(ch api.EntityChange) bool {
			return !matchesAny(c.Entity, ch.EntityID) && (ch.Before == nil || !matchesAny(c.Entity, ch.Before.EntityID))
		})
	}
	if c.json() {
		return printJSON(a.stdout, diff)
	}
	a.notef("from %s%s", asOf(diff.From), notFinal(c.From, diff.From))
	a.notef("to %s%s", asOf(diff.To), notFinal(c.To, diff.To))
	return a.printChanges(diff.Changes)
}

// printChanges prints changes by area, and says how many others there are that a person would not call one.
func (a *app) printChanges(changes []api.EntityChange) error {
	quiet := map[api.Changed]int{}
	shown := slices.DeleteFunc(slices.Clone(changes), func(c api.EntityChange) bool {
		if c.What[0] == api.ChangedReport || c.What[0] == api.ChangedEntry {
			quiet[c.What[0]]++
			return true
		}
		return false
	})
	slices.SortStableFunc(shown, func(x, y api.EntityChange) int {
		p, q := placeOf(x), placeOf(y)
		return cmp.Or(-cmp.Compare(min(len(p), 1), min(len(q), 1)), cmp.Compare(p, q)) // what is nowhere comes last
	})
	width := 0
	for _, c := range shown {
		width = max(width, textWidth(c.EntityID))
	}
	for i, c := range shown {
		if place := placeOf(c); i == 0 || place != placeOf(shown[i-1]) {
			if err := a.printf("%s\n", a.term.paint(bold, clean(cmp.Or(place, "(in no area)")))); err != nil {
				return err
			}
		}
		if err := a.printf("%s\n", strings.Join(a.changeLines(c, "  ", width), "\n")); err != nil {
			return err
		}
	}
	if len(shown) == 0 {
		a.notef("nothing is different")
	}
	if n := quiet[api.ChangedReport]; n > 0 {
		a.notef("%s heard of and said nothing new", was(n, len(shown)))
	}
	if n := quiet[api.ChangedEntry]; n > 0 {
		a.notef("%s changed in the registry alone", was(n, len(shown)))
	}
	return nil
}

// changeLines say what is different of an entity: in one line if that fits, and what does not below it. The id is padded
// to a width.
func (a *app) changeLines(c api.EntityChange, indent string, width int) []string {
	before, after := versionCell(c.Before), versionCell(c.After)
	states := []cell{before, after}
	switch {
	case c.Before == nil:
		states[0] = cell{"(new)", dim}
	case c.After == nil:
		states[1] = cell{"(gone)", dim}
	case before.text == after.text:
		states = states[:1]
	}
	line := indent + c.EntityID + strings.Repeat(" ", max(width-textWidth(c.EntityID), 0)) + "  "
	used := textWidth(line)
	for i, s := range states {
		if i > 0 {
			line, used = line+" → ", used+3
		}
		text := clean(s.text)
		line, used = line+a.term.paint(s.style, text), used+textWidth(text)
	}
	also := alsoChanged(c)
	rest := clean(strings.Join(also, ", "))
	switch {
	case rest == "":
		return []string{line}
	case a.term.width == 0 || used+2+textWidth(rest) <= a.term.width:
		return []string{line + "  " + a.term.paint(dim, rest)}
	}
	lines := []string{line}
	for _, text := range also {
		lines = append(lines, indent+"    "+a.term.paint(dim, a.fit(clean(text), len(indent)+4)))
	}
	return lines
}

// was counts entities, others where some were shown.
func was(n, shown int) string {
	noun := "entity"
	if shown > 0 {
		noun = "other entity"
	}
	if n == 1 {
		return counted(n, noun) + " was"
	}
	return counted(n, noun) + " were"
}

// placeOf is the name of the area that an entity is in after a change, or was in last.
func placeOf(c api.EntityChange) string {
	v := c.After
	if v == nil {
		v = c.Before
	}
	return cmp.Or(v.AreaName, v.Area)
}

// versionCell is the state of an entity in a moment.
func versionCell(v *api.Version) cell {
	switch {
	case v == nil:
		return cell{}
	case v.Disabled:
		return cell{"(disabled)", dim}
	}
	return cell{withUnit(v.State), stateStyle(v.State)}
}

// alsoChanged says what else is different, besides the states.
func alsoChanged(c api.EntityChange) (also []string) {
	if c.Before == nil || c.After == nil {
		return nil
	}
	a, b := c.Before, c.After
	if a.EntityID != b.EntityID {
		also = append(also, "was "+a.EntityID)
	}
	if a.Name != b.Name {
		also = append(also, "name: "+a.Name+" → "+b.Name)
	}
	if a.Area != b.Area || a.AreaName != b.AreaName {
		also = append(also, "area: "+cmp.Or(a.AreaName, a.Area, "none")+" → "+cmp.Or(b.AreaName, b.Area, "none"))
	}
	also = append(also, attributeChanges(a.State, b.State)...)
	for _, p := range b.Pending {
		if !slices.ContainsFunc(a.Pending, func(q api.Pending) bool { return q.Position == p.Position }) {
			also = append(also, "asked: "+wishWords(p.Action, p.Arguments))
		}
	}
	if len(a.Pending) > 0 && len(b.Pending) == 0 {
		also = append(also, "nothing is asked any more")
	}
	return also
}

// attributeChanges says which attributes are different, apart from what the states themselves say; at most a few.
func attributeChanges(a, b api.State) (changes []string) {
	before, after := attributeMap(a.Attributes), attributeMap(b.Attributes)
	for _, key := range mergedKeys(before, after) {
		x, y := before[key], after[key]
		unreachable := key == "availability" && (a.State == "unavailable" || b.State == "unavailable")
		switch {
		case x == y || stateAttributes[key] && a.State != b.State || unreachable:
		case x == "":
			changes = append(changes, key+": "+cut(y, 32))
		case y == "":
			changes = append(changes, key+": no more")
		default:
			changes = append(changes, fmt.Sprintf("%s: %s → %s", key, cut(x, 32), cut(y, 32)))
		}
	}
	if len(changes) > 4 {
		changes = append(changes[:4], "…")
	}
	return changes
}

func attributeMap(attributes json.RawMessage) map[string]string {
	values := map[string]string{}
	if len(attributes) > 0 {
		rows, _ := flatAttributes(attributes)
		for _, row := range rows {
			values[strings.TrimSpace(row[0])] = row[1]
		}
	}
	delete(values, "attributes") // the heading
	return values
}

func mergedKeys(a, b map[string]string) []string {
	keys := make([]string, 0, len(a)+len(b))
	for key := range a {
		keys = append(keys, key)
	}
	for key := range b {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
