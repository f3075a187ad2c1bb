package hass

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
)

// routes are all that there are, behind /api, and who may use them. /api/websocket is not among them: it authenticates by
// itself.
var routes = []route{
	{anybody, http.MethodGet, "/{$}", getRoot},
	{reading, http.MethodGet, "/config", getConfig},
	{reading, http.MethodGet, "/components", getComponents},
	{reading, http.MethodGet, "/core/state", getCoreState},
	{reading, http.MethodGet, "/states", getAllStates},
	{reading, http.MethodGet, "/states/{entity_id}", getState},
	{writing, http.MethodPost, "/states/{entity_id}", changeState},
	{writing, http.MethodDelete, "/states/{entity_id}", changeState},
	{reading, http.MethodGet, "/services", getServices},
	{commanding, http.MethodPost, "/services/{domain}/{service}", postService},
	{reading, http.MethodGet, "/events", getEvents},
	{firing, http.MethodPost, "/events/{event_type}", postEvent},
	{reading, http.MethodGet, "/history/period", getHistory},
	{reading, http.MethodGet, "/history/period/{timestamp}", getHistory},
	{reading, http.MethodGet, "/logbook", getLogbook},
	{reading, http.MethodGet, "/logbook/{timestamp}", getLogbook},
	{reading, http.MethodGet, "/stream", getStream},
	{reading, http.MethodPost, "/template", postTemplate},
}

func (q *request) json(v any) error {
	_ = writeJSON(q.w, http.StatusOK, v) // who does not take it is gone
	return nil
}

func getRoot(q *request) error { return q.json(map[string]string{"message": "API running."}) }

func getConfig(q *request) error { return q.json(q.h.config(q.view, q.who)) }

func getComponents(q *request) error { return q.json(componentsOf(q.view, q.who)) }

func getCoreState(q *request) error {
	return q.json(map[string]any{
		"state": "RUNNING", "recorder_state": map[string]bool{"migration_in_progress": false, "migration_is_live": false},
	})
}

func getAllStates(q *request) error {
	states, err := statesOf(q.Context(), q.view.origins, q.view.now(), q.who, every)
	if err != nil {
		return err
	}
	return q.json(states)
}

func getState(q *request) error {
	id := strings.ToLower(q.PathValue("entity_id"))
	m := q.view.now()
	s, ok := m.State.Get(id)
	if !ok || !q.who.May(access.Read, id) {
		return notFound("Entity not found.")
	}
	contexts, err := q.view.origins.contextsOf(q.Context(), q.who, []eventstore.Position{s.Position})
	if err != nil {
		return err
	}
	return q.json(newEntityState(m.Registry, s, contexts))
}

// changeState answers that nobody makes up a state here: states are typed, and come from what reports them.
func changeState(q *request) error {
	q.w.Header().Set("Allow", "GET, HEAD")
	return &failure{
		http.StatusMethodNotAllowed, codeNotSupported,
		"states cannot be set through Home Assistant's interface: they are what devices report; append an event instead",
	}
}

func getServices(q *request) error {
	type domain struct {
		Domain   string                  `json:"domain"`
		Services map[string]serviceEntry `json:"services"`
	}
	all := []domain{}
	for name, s := range services() {
		all = append(all, domain{name, s})
	}
	slices.SortFunc(all, func(a, b domain) int { return strings.Compare(a.Domain, b.Domain) })
	return q.json(all)
}

// serviceWait is how long a call by REST waits for devices to do what they are told: a switch takes a tenth of a second, and
// who is not there would take longer than a script should hang.
const serviceWait = 3 * time.Second

// postService calls a service, and answers with the states of the entities that it was called for and that are others now.
func postService(q *request) error {
	if err := q.view.changeable(); err != nil {
		return err
	}
	if q.URL.Query().Has("return_response") {
		return errNoResponse
	}
	data, err := q.object("The data of a service")
	if err != nil {
		return err
	}
	call, err := newServiceCall(q.PathValue("domain"), q.PathValue("service"), data, nil)
	if err != nil {
		return err
	}
	call.wait = serviceWait
	before := q.view.now()
	all, err := q.view.call(q.Context(), q.h.opts.Dispatcher(), q.who, call)
	if err != nil {
		return err
	}
	answered := map[string]bool{}
	for _, c := range all {
		answered[c.entity] = c.result.Settled != 0
	}
	was, err := statesOf(q.Context(), q.view.origins, before, q.who, func(id string) bool { return answered[id] })
	if err != nil {
		return err
	}
	states, err := statesOf(q.Context(), q.view.origins, q.view.now(), q.who, func(id string) bool { return answered[id] })
	if err != nil {
		return err
	}
	return q.json(slices.DeleteFunc(states, func(s *entityState) bool {
		return slices.ContainsFunc(was, func(w *entityState) bool { return w.EntityID == s.EntityID && same(w, s) })
	}))
}

func getEvents(q *request) error {
	type listeners struct {
		Event string `json:"event"`
		Count int    `json:"listener_count"`
	}
	var all []listeners
	for _, name := range ownEvents {
		all = append(all, listeners{name, 0})
	}
	return q.json(all)
}

func postEvent(q *request) error {
	data, err := q.object("Event data")
	if err != nil {
		return err
	}
	name := q.PathValue("event_type")
	if _, err := q.view.fire(q.Context(), q.who, name, data); err != nil {
		return err
	}
	return q.json(map[string]string{"message": fmt.Sprintf("Event %s fired.", name)})
}

// object is the body: a JSON object, or nothing. what names it in errors.
func (q *request) object(what string) (data jsonObject, err error) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	if body = bytes.TrimSpace(body); len(body) > 0 {
		if !json.Valid(body) {
			return nil, invalid("%s should be valid JSON.", what)
		}
		if err := json.Unmarshal(body, &data); err != nil {
			return nil, invalid("%s should be a JSON object", what)
		}
	}
	if media, _, err := mime.ParseMediaType(q.Header.Get("Content-Type")); len(body) > 0 && (err != nil || media != "application/json") {
		return nil, &failure{http.StatusUnsupportedMediaType, codeInvalidFormat, what + " should be JSON, with Content-Type: application/json."}
	}
	if err := q.who.Ended(); err != nil { // the body may have come long after the head
		return nil, &failure{http.StatusUnauthorized, codeUnauthorized, err.Error()}
	}
	return data, nil
}

func postTemplate(*request) error {
	return &failure{http.StatusBadRequest, codeTemplate, "templates are not rendered here"}
}

const day = 24 * time.Hour

// entityIDs are ids with commas between them, which Home Assistant reads in small letters.
func entityIDs(text string) []string {
	ids := strings.Split(strings.ToLower(text), ",")
	for i, id := range ids {
		ids[i] = strings.TrimSpace(id)
	}
	return ids
}

// start is the time in the path, or else a day before now.
func (q *request) start() (time.Time, error) {
	text := q.PathValue("timestamp")
	if text == "" {
		return q.view.clock().Add(-day), nil
	}
	t, ok := parseTime(text)
	if !ok {
		return t, invalid("Invalid datetime")
	}
	return t, nil
}

// end is the time in end_time, the zero one where there is none.
func (q *request) end() (time.Time, error) {
	text := q.URL.Query().Get("end_time")
	if text == "" {
		return time.Time{}, nil
	}
	t, ok := parseTime(text)
	if !ok {
		return t, invalid("Invalid end_time")
	}
	return t, nil
}

func getHistory(q *request) error {
	values := q.URL.Query()
	ids := entityIDs(values.Get("filter_entity_id"))
	if values.Get("filter_entity_id") == "" {
		return invalid("filter_entity_id is missing")
	}
	query := historyQuery{
		ids: append([]string{}, ids...), startState: !values.Has("skip_initial_state"), minimal: values.Has("minimal_response"),
		noAttributes: values.Has("no_attributes"), significant: values.Get("significant_changes_only") != "0",
	}
	var err error
	if query.start, err = q.start(); err != nil {
		return err
	}
	if query.end, err = q.end(); err != nil {
		return err
	}
	if query.end.IsZero() {
		query.end = query.start.Add(day)
	}
	if err := query.check(); err != nil {
		return err
	}
	in, err := q.view.span(q.Context(), query.start, query.end)
	if err != nil {
		return err
	}
	rows, err := q.view.history(q.Context(), q.who, query, in)
	if err != nil {
		return err
	}
	return q.json(inOrder(ids, rows))
}

func getLogbook(q *request) error {
	values := q.URL.Query()
	var query logbookQuery
	var err error
	if query.start, err = q.start(); err != nil {
		return err
	}
	if query.end, err = q.end(); err != nil {
		return err
	}
	days := 1
	if text := values.Get("period"); text != "" {
		if days, err = strconv.Atoi(text); err != nil || days < 1 || days > 36500 {
			return invalid("period is a number of days")
		}
	}
	if query.end.IsZero() {
		query.end = query.start.Add(time.Duration(days) * day)
	}
	if text := values.Get("entity"); text != "" {
		ids := entityIDs(text)
		if query.ids, err = (period{IDs: &ids}).entityIDs(q.view.now()); err != nil {
			return err
		}
	}
	in, err := q.view.span(q.Context(), query.start, query.end)
	if err != nil {
		return err
	}
	entries, err := q.view.logbook(q.Context(), q.who, query, in)
	if err != nil {
		return err
	}
	all := make([]logbookEntry, len(entries))
	for i, e := range entries {
		all[i] = e.rest()
	}
	return q.json(all)
}
