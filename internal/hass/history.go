package hass

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// historyQuery is what a history is asked for.
type historyQuery struct {
	start, end time.Time
	ids        []string
	// startState begins with the state at the start.
	startState bool
	// significant leaves out what changed no state but attributes, other than in the domains whose attributes matter.
	significant bool
	// minimal gives the first and the last state whole, and of the others no more than the state.
	minimal      bool
	noAttributes bool
}

// row is a state in a history.
type row struct {
	id, state string
	// attributes are nil where the query does not want them of this row.
	attributes attributes
	changed    time.Time
}

// Limits of one answer, so that nobody has the process run out of memory.
const (
	maxHistoryIDs   = 1000
	maxHistoryRows  = 200_000
	maxHistoryBytes = 64 << 20
)

// attributesMatter are the domains in which a change of an attribute is significant; the list is Home Assistant's.
var attributesMatter = []string{"climate", "device_tracker", "humidifier", "thermostat", "water_heater"}

// check fails for a query that makes no sense.
func (q *historyQuery) check() error {
	if len(q.ids) == 0 || len(q.ids) > maxHistoryIDs {
		return &failure{http.StatusBadRequest, codeInvalidFormat, "a history is of one to 1000 entity ids"}
	}
	for _, id := range q.ids {
		if err := eventstore.CheckEntityID(id); err != nil {
			return err
		}
	}
	slices.Sort(q.ids)
	q.ids = slices.Compact(q.ids)
	return nil
}

// history are the rows of the entities that somebody may see, in a span; those without a row are left out.
func (v *view) history(ctx context.Context, who *access.Identity, q historyQuery, s span) (map[string][]row, error) {
	all := map[string][]row{}
	if s.unknown {
		return all, nil
	}
	size := historySize{}
	for _, id := range q.ids {
		if !who.May(access.Read, id) {
			continue
		}
		rows, err := v.historyOf(ctx, id, q, s, &size)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			all[id] = rows
		}
	}
	return all, nil
}

// historyOf are the rows of one entity.
func (v *view) historyOf(ctx context.Context, id string, q historyQuery, in span, size *historySize) ([]row, error) {
	rows := rowWriter{query: q, registry: in.to.Registry, size: size}
	if s, ok := in.from.State.Get(id); ok {
		rows.last, rows.has = s, true
		if q.startState {
			s.ChangedAt = in.start // as in Home Assistant, the first row begins where the history does
			rows.add(s)
		}
	}
	if in.from.Position() < in.to.Position() { // to the log, 0 means no end
		for step, err := range v.house.Timeline().History(ctx, id, in.from.Position(), in.to.Position()) {
			if err != nil {
				return nil, err
			}
			if err := rows.step(step.After); err != nil {
				return nil, err
			}
		}
	}
	return rows.rows, nil
}

// historySize is what of the limits is used up.
type historySize struct{ rows, bytes int }

// rowWriter makes rows of states.
type rowWriter struct {
	query    historyQuery
	registry registry.Revision
	rows     []row
	last     state.State
	has      bool
	size     *historySize
}

// step takes the next state, the zero one where there is none.
func (w *rowWriter) step(s state.State) error {
	was, had := w.last, w.has
	w.last, w.has = s, s.EntityID != ""
	if !w.has || had && !w.query.tells(was, s) {
		return nil
	}
	w.add(s)
	if w.size.rows > maxHistoryRows || w.size.bytes > maxHistoryBytes {
		return &failure{http.StatusRequestEntityTooLarge, codeError, "the history is too long for one answer; ask for less time, fewer entities or no_attributes"}
	}
	return nil
}

// tells says whether a change is one that the query wants.
func (q *historyQuery) tells(was, is state.State) bool {
	if state.Text(was.Attributes) != state.Text(is.Attributes) {
		return true
	}
	if q.significant && !slices.Contains(attributesMatter, is.Domain()) {
		return false
	}
	return !was.ChangedAt.Equal(is.ChangedAt)
}

func (w *rowWriter) add(s state.State) {
	r := newRow(w.registry, s, w.query.noAttributes)
	w.size.rows++
	w.size.bytes += r.size()
	// In a minimal answer what was the last row until now is whole only if it is the first one.
	if n := len(w.rows); w.query.minimal && n > 1 {
		w.size.bytes -= w.rows[n-1].size()
		w.rows[n-1].attributes = nil
		w.size.bytes += w.rows[n-1].size()
	}
	w.rows = append(w.rows, r)
}

func newRow(r registry.Revision, s state.State, noAttributes bool) row {
	w := row{id: s.EntityID, state: state.Text(s.Attributes), attributes: attributes{}, changed: s.ChangedAt}
	if !noAttributes {
		w.attributes = attributesOf(r, s.EntityID, s.Attributes)
	}
	return w
}

func (r row) size() int {
	n := len(r.state) + 64
	for name, v := range r.attributes {
		n += len(name) + len(v) + 48
	}
	return n
}

// compressedRow is a row in a WebSocket.
type compressedRow struct {
	State       string     `json:"s"`
	Attributes  attributes `json:"a,omitempty"`
	LastChanged *seconds   `json:"lc,omitempty"`
	LastUpdated seconds    `json:"lu"`
}

func (r row) compressed() any {
	at := seconds(r.changed)
	if r.attributes == nil {
		return compressedRow{State: r.state, LastUpdated: at}
	}
	return struct {
		compressedRow
		Attributes attributes `json:"a"` // also where there are none
	}{compressedRow{State: r.state, LastChanged: &at, LastUpdated: at}, r.attributes}
}

// rest is the row in an answer of REST.
func (r row) rest() any {
	if r.attributes == nil {
		return map[string]any{"state": r.state, "last_changed": stamp(r.changed)}
	}
	return map[string]any{
		"entity_id": r.id, "state": r.state, "attributes": r.attributes,
		"last_changed": stamp(r.changed), "last_updated": stamp(r.changed),
	}
}

func compressRows(all map[string][]row) map[string][]any {
	w := make(map[string][]any, len(all))
	for id, rows := range all {
		for _, r := range rows {
			w[id] = append(w[id], r.compressed())
		}
	}
	return w
}

// historyMessage is an event of history/stream.
type historyMessage struct {
	States map[string][]any `json:"states"`
	Start  *seconds         `json:"start_time,omitempty"`
	End    *seconds         `json:"end_time,omitempty"`
}

// followHistory sends what comes to a history, until its end or that of the context.
func (v *view) followHistory(ctx context.Context, from timeline.Moment, who *access.Identity, q historyQuery, send func(historyMessage) error) error {
	wanted := func(id string) bool { _, ok := slices.BinarySearch(q.ids, id); return ok }
	message, rows := historyMessage{States: map[string][]any{}}, 0
	flush := func() error {
		if rows == 0 {
			return nil
		}
		err := send(message)
		message.States, rows = map[string][]any{}, 0
		return err
	}
	f := newFollower(v, who, from, wanted)
	return f.runUntil(ctx, q.end, flush, func(h happening) error {
		for _, c := range h.states {
			if c.now == nil || c.old != nil && c.old.State == c.now.State && q.significant && !slices.Contains(attributesMatter, domainOf(c.id)) {
				continue
			}
			r := row{id: c.id, state: c.now.State, attributes: c.now.Attributes, changed: time.Time(c.now.LastChanged)}
			if q.noAttributes {
				r.attributes = attributes{}
			}
			message.States[c.id] = append(message.States[c.id], r.compressed())
			rows++
		}
		if !h.end && rows < maxBatch {
			return nil
		}
		return flush()
	})
}

func domainOf(id string) string {
	domain, _, _ := strings.Cut(id, ".")
	return domain
}

// inOrder are the histories in the order in which they were asked for, for REST.
func inOrder(ids []string, all map[string][]row) [][]any {
	lists := [][]any{}
	for _, id := range ids {
		if rows := all[id]; len(rows) > 0 {
			list := make([]any, len(rows))
			for i, r := range rows {
				list[i] = r.rest()
			}
			lists = append(lists, list)
		}
	}
	return lists
}
