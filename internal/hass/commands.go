package hass

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/timeline"
)

// wireCommand is what a client may ask of a WebSocket.
type wireCommand struct {
	policy
	// subscribes says that it is a subscription if it succeeds.
	subscribes bool
	run        func(c *conn, m message) (answer, error)
}

// answer is what a command answers.
type answer struct {
	result any
	// pong says that the answer is no result.
	pong bool
	// stream sends what a subscription gives after the result; nil where that is nothing.
	stream stream
}

// stream sends events by tell, several at once, until its context ends. It fails with what tell fails with.
type stream func(ctx context.Context, tell func(events ...any) error) error

// commands are all that there are, and who may use them.
var commands = map[string]wireCommand{
	"ping":               {policy: anybody, run: func(*conn, message) (answer, error) { return answer{pong: true}, nil }},
	"supported_features": {policy: anybody, run: supportedFeatures},
	"auth/current_user":  {policy: anybody, run: func(c *conn, _ message) (answer, error) { return answer{result: userFor(c.who)}, nil }},
	"unsubscribe_events": {policy: anybody, run: unsubscribe},

	"get_config":   {policy: reading, run: func(c *conn, _ message) (answer, error) { return answer{result: c.h.config(c.view, c.who)}, nil }},
	"get_states":   {policy: reading, run: getStates},
	"get_services": {policy: reading, run: func(*conn, message) (answer, error) { return answer{result: services()}, nil }},
	"get_panels":   {policy: reading, run: func(*conn, message) (answer, error) { return answer{result: map[string]any{}}, nil }},

	"config/area_registry/list":               {policy: reading, run: registryPart(func(v visible) any { return v.areaList() })},
	"config/device_registry/list":             {policy: reading, run: registryPart(func(v visible) any { return v.deviceList() })},
	"config/entity_registry/list":             {policy: reading, run: registryPart(func(v visible) any { return v.entityList() })},
	"config/entity_registry/list_for_display": {policy: reading, run: registryPart(func(v visible) any { return v.displayList() })},
	"config/entity_registry/get":              {policy: reading, run: getEntity},
	"config/floor_registry/list":              {policy: reading, run: empty},
	"config/label_registry/list":              {policy: reading, run: empty},

	"subscribe_events":   {policy: reading, subscribes: true, run: subscribeEvents},
	"subscribe_entities": {policy: reading, subscribes: true, run: subscribeEntities},

	"history/history_during_period": {policy: reading, run: historyDuringPeriod},
	"history/stream":                {policy: reading, subscribes: true, run: historyStream},
	"logbook/get_events":            {policy: reading, run: logbookGetEvents},
	"logbook/event_stream":          {policy: reading, subscribes: true, run: logbookEventStream},
	"recorder/info":                 {policy: reading, run: recorderInfo},

	"fire_event":        {policy: firing, run: fireEvent},
	"call_service":      {policy: commanding, run: callService},
	"render_template":   {policy: reading, run: refuse(codeTemplate, "templates are not rendered here")},
	"subscribe_trigger": {policy: reading, run: refuse(codeNotSupported, "triggers are not evaluated here; subscribe to events or entities")},
}

// registryPart answers with a part of the registry.
func registryPart(of func(visible) any) func(*conn, message) (answer, error) {
	return func(c *conn, _ message) (answer, error) {
		return answer{result: of(newVisible(c.view.now().Registry, c.who))}, nil
	}
}

func empty(*conn, message) (answer, error) { return answer{result: []any{}}, nil }

// refuse answers what there is not, and says so.
func refuse(code, text string) func(*conn, message) (answer, error) {
	return func(*conn, message) (answer, error) { return answer{}, &failure{code: code, message: text} }
}

func supportedFeatures(c *conn, m message) (answer, error) {
	var asked struct {
		Features struct {
			Coalesce float64 `json:"coalesce_messages"`
		} `json:"features"`
	}
	if err := m.decode(&asked); err != nil {
		return answer{}, err
	}
	c.out.coalesce.Store(asked.Features.Coalesce > 0)
	return answer{}, nil
}

func unsubscribe(c *conn, m message) (answer, error) {
	var asked struct {
		Subscription uint64 `json:"subscription"`
	}
	if err := m.decode(&asked); err != nil {
		return answer{}, err
	}
	return answer{}, c.unsubscribe(asked.Subscription)
}

func getStates(c *conn, _ message) (answer, error) {
	states, err := statesOf(c.ctx, c.view.origins, c.view.now(), c.who, every)
	return answer{result: states}, err
}

func getEntity(c *conn, m message) (answer, error) {
	var asked struct {
		EntityID string `json:"entity_id"`
	}
	if err := m.decode(&asked); err != nil {
		return answer{}, err
	}
	e, err := newVisible(c.view.now().Registry, c.who).entity(asked.EntityID)
	return answer{result: e}, err
}

func subscribeEvents(c *conn, m message) (answer, error) {
	var asked struct {
		Type *string `json:"event_type"`
	}
	if err := m.decode(&asked); err != nil {
		return answer{}, err
	}
	if c.view.frozen != nil {
		return answer{}, nil
	}
	name := ""
	if asked.Type != nil && *asked.Type != "*" {
		if name = *asked.Type; name == "" {
			return answer{}, invalid("Message incorrectly formatted: event_type is empty")
		}
	}
	from := c.view.now()
	return answer{stream: func(ctx context.Context, tell func(...any) error) error {
		return c.view.followEvents(ctx, from, c.who, func(t string) bool { return name == "" || t == name },
			func(events []hassEvent) error {
				all := make([]any, len(events))
				for i, e := range events {
					all[i] = e
				}
				return tell(all...)
			})
	}}, nil
}

func subscribeEntities(c *conn, m message) (answer, error) {
	var asked struct {
		IDs words `json:"entity_ids"`
	}
	if err := m.decode(&asked); err != nil {
		return answer{}, err
	}
	wanted := every
	if len(asked.IDs) > 0 {
		ids := map[string]bool{}
		for _, id := range asked.IDs {
			id = strings.ToLower(id)
			if err := eventstore.CheckEntityID(id); err != nil {
				return answer{}, err
			}
			ids[id] = true
		}
		wanted = func(id string) bool { return ids[id] }
	}
	return answer{stream: func(ctx context.Context, tell func(...any) error) error {
		leave, err := c.view.enter(ctx)
		if err != nil {
			return err
		}
		from := c.view.now()
		all, err := c.view.snapshotOf(ctx, from, c.who, wanted)
		if err == nil {
			err = tell(all)
		}
		leave()
		if err != nil || c.view.frozen != nil {
			return err
		}
		return c.view.followEntities(ctx, from, c.who, wanted, func(u updates) error { return tell(u) })
	}}, nil
}

// period is what every question about the past has.
type period struct {
	Start  *string   `json:"start_time"`
	End    *string   `json:"end_time"`
	IDs    *[]string `json:"entity_ids"`
	Device *[]string `json:"device_ids"`
}

func (p period) times() (start, end time.Time, err error) {
	if p.Start == nil {
		return start, end, &failure{code: codeInvalidFormat, message: "Message incorrectly formatted: start_time is missing"}
	}
	start, ok := parseTime(*p.Start)
	if !ok {
		return start, end, &failure{code: codeStartTime, message: "Invalid start_time"}
	}
	if p.End != nil {
		if end, ok = parseTime(*p.End); !ok {
			return start, end, &failure{code: codeEndTime, message: "Invalid end_time"}
		}
	}
	return start, end, nil
}

// entityIDs are the entities that are asked for, also as those of devices; nil for all.
func (p period) entityIDs(m timeline.Moment) ([]string, error) {
	if p.IDs == nil && p.Device == nil {
		return nil, nil
	}
	ids := []string{}
	if p.IDs != nil {
		ids = append(ids, *p.IDs...)
	}
	if p.Device != nil {
		for _, device := range *p.Device {
			for _, e := range m.Registry.DeviceEntities(device) {
				ids = append(ids, e.GetId())
			}
		}
	}
	for _, id := range ids {
		if err := eventstore.CheckEntityID(id); err != nil {
			return nil, err
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// historyQueryOf reads what a history is asked for.
func historyQueryOf(m message) (historyQuery, error) {
	asked := struct {
		period
		StartState   *bool `json:"include_start_time_state"`
		Significant  *bool `json:"significant_changes_only"`
		Minimal      bool  `json:"minimal_response"`
		NoAttributes bool  `json:"no_attributes"`
	}{}
	if err := m.decode(&asked); err != nil {
		return historyQuery{}, err
	}
	q := historyQuery{
		startState:  asked.StartState == nil || *asked.StartState,
		significant: asked.Significant == nil || *asked.Significant,
		minimal:     asked.Minimal, noAttributes: asked.NoAttributes,
	}
	var err error
	if q.start, q.end, err = asked.times(); err != nil {
		return q, err
	}
	if asked.IDs != nil {
		q.ids = *asked.IDs
	}
	return q, q.check()
}

func historyDuringPeriod(c *conn, m message) (answer, error) {
	q, err := historyQueryOf(m)
	if err != nil {
		return answer{}, err
	}
	in, err := c.view.span(c.ctx, q.start, q.end)
	if err != nil {
		return answer{}, err
	}
	rows, err := c.view.history(c.ctx, c.who, q, in)
	return answer{result: compressRows(rows)}, err
}

func historyStream(c *conn, m message) (answer, error) {
	q, err := historyQueryOf(m)
	if err != nil {
		return answer{}, err
	}
	in, err := c.view.streamed(c.ctx, q.start, q.end)
	if err != nil {
		return answer{}, err
	}
	return answer{stream: func(ctx context.Context, tell func(...any) error) error {
		leave, err := c.view.enter(ctx)
		if err != nil {
			return err
		}
		defer leave()
		rows, err := c.view.history(ctx, c.who, q, in)
		if err != nil {
			return err
		}
		start, end := seconds(q.start), seconds(c.view.until(q.end))
		if err := tell(historyMessage{compressRows(rows), &start, &end}); err != nil || !in.live {
			return err
		}
		leave()
		return c.view.followHistory(ctx, in.to, c.who, q, func(h historyMessage) error { return tell(h) })
	}}, nil
}

// until is the end of a question about the past, where the client may have named none.
func (v *view) until(end time.Time) time.Time {
	if end.IsZero() || end.After(v.clock()) {
		return v.clock()
	}
	return end
}

// logbookQueryOf reads what the logbook is asked for.
func logbookQueryOf(c *conn, m message) (logbookQuery, error) {
	asked := struct {
		period
		Context *string `json:"context_id"`
	}{}
	if err := m.decode(&asked); err != nil {
		return logbookQuery{}, err
	}
	var q logbookQuery
	var err error
	if q.start, q.end, err = asked.times(); err != nil {
		return q, err
	}
	if asked.Context != nil {
		id, ok := parseContextID(*asked.Context)
		if !ok || id.database != c.view.origins.tag {
			return q, notFound("there is no such context here")
		}
		q.cause = id.position
	}
	q.ids, err = asked.entityIDs(c.view.now())
	return q, err
}

func logbookGetEvents(c *conn, m message) (answer, error) {
	q, err := logbookQueryOf(c, m)
	if err != nil {
		return answer{}, err
	}
	in, err := c.view.span(c.ctx, q.start, q.end)
	if err != nil {
		return answer{}, err
	}
	entries, err := c.view.logbook(c.ctx, c.who, q, in)
	return answer{result: compressEntries(entries)}, err
}

func logbookEventStream(c *conn, m message) (answer, error) {
	q, err := logbookQueryOf(c, m)
	if err != nil {
		return answer{}, err
	}
	in, err := c.view.streamed(c.ctx, q.start, q.end)
	if err != nil {
		return answer{}, err
	}
	return answer{stream: func(ctx context.Context, tell func(...any) error) error {
		leave, err := c.view.enter(ctx)
		if err != nil {
			return err
		}
		defer leave()
		entries, err := c.view.logbook(ctx, c.who, q, in)
		if err != nil {
			return err
		}
		start, end := seconds(q.start), seconds(c.view.until(q.end))
		if err := tell(logbookMessage{compressEntries(entries), &start, &end}); err != nil || !in.live {
			return err
		}
		leave()
		return c.view.followLogbook(ctx, in.to, c.who, q, func(l logbookMessage) error { return tell(l) })
	}}, nil
}

func recorderInfo(*conn, message) (answer, error) {
	return answer{result: map[string]any{
		"backlog": 0, "max_backlog": 0, "migration_in_progress": false, "migration_is_live": false,
		"recording": true, "thread_running": true,
	}}, nil
}

func fireEvent(c *conn, m message) (answer, error) {
	var asked struct {
		Type string     `json:"event_type"`
		Data jsonObject `json:"event_data"`
	}
	if err := m.decode(&asked); err != nil {
		return answer{}, err
	}
	context, err := c.view.fire(c.ctx, c.who, asked.Type, asked.Data)
	return answer{result: map[string]any{"context": context}}, err
}
