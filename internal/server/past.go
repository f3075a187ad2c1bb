package server

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// positionHeader says which position an answer is of.
const positionHeader = "Statehouse-Position"

// notModified says in the headers which moment an answer is of and how long it is good, and answers 304 if the client
// has it. An answer that is final may be kept, and costs a question whether it is still good; the present has a tag
// and is not kept.
func notModified(w http.ResponseWriter, r *http.Request, h *statehouse.House, at api.At, as api.AsOf) bool {
	setPosition(w, as.Position)
	if !as.Final && at != (api.At{}) {
		return false // the same question may get the same position, and then be final
	}
	return tagged(w, r, newCursor(h, as.Position).String(), as.Final)
}

func setPosition(w http.ResponseWriter, p eventstore.Position) {
	w.Header().Set(positionHeader, strconv.FormatUint(uint64(p), 10))
}

// tagged sets the tag of an answer and whether it may be kept, and answers 304 if the client has it.
func tagged(w http.ResponseWriter, r *http.Request, name string, final bool) bool {
	tag := `"` + name + `"`
	w.Header().Set("ETag", tag)
	if final {
		w.Header().Set("Cache-Control", "no-cache")
	}
	for _, header := range r.Header.Values("If-None-Match") {
		for have := range strings.SplitSeq(header, ",") {
			have = strings.TrimPrefix(strings.TrimSpace(have), "W/")
			if have == tag || have == "*" {
				w.WriteHeader(http.StatusNotModified)
				return true
			}
		}
	}
	return false
}

// notModifiedBetween sets the headers of an answer about what lies between two moments, as notModified does.
func notModifiedBetween(w http.ResponseWriter, r *http.Request, h *statehouse.House, from, to api.AsOf) bool {
	setPosition(w, to.Position)
	if !from.Final || !to.Final {
		return false
	}
	return tagged(w, r, newCursor(h, from.Position).String()+"-"+strconv.FormatUint(uint64(to.Position), 10), true)
}

// getPosition answers GET /v1/position?at=.
func (s *Server) getPosition(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	p := newParams(r, "at")
	at := p.at("at")
	if p.err != nil {
		return p.err
	}
	as, err := at.Resolve(r.Context(), h)
	if err != nil || notModified(w, r, h, at, as) {
		return err
	}
	return writeJSON(w, http.StatusOK, as)
}

// getDiff answers GET /v1/diff?from=&to=.
func (s *Server) getDiff(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	p := newParams(r, "from", "to")
	if !p.values.Has("from") {
		p.fail("from is missing: say from which moment on; %s", api.AtForms)
	}
	from, to := p.at("from"), p.at("to")
	if p.err != nil {
		return p.err
	}
	diff, err := api.NewDiff(r.Context(), h, from, to)
	if err != nil || notModifiedBetween(w, r, h, diff.From, diff.To) {
		return err
	}
	if may := seenBy(r); may != nil {
		diff = diff.Restrict(may)
	}
	return writeJSON(w, http.StatusOK, diff)
}

// getWhy answers GET /v1/why?position=&saw=.
func (s *Server) getWhy(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	p := newParams(r, "position", "saw")
	if !p.values.Has("position") {
		p.fail("position is missing: say which event is meant, or ask for an entity with /v1/why/{entity_id}")
	}
	return answerWhy(h, w, r, p, api.WhyQuery{At: p.at("position")})
}

// getWhyEntity answers GET /v1/why/{entity_id}?at=&saw=.
func (s *Server) getWhyEntity(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	p := newParams(r, "at", "saw")
	q := api.WhyQuery{Entity: r.PathValue("entity_id"), At: p.at("at")}
	if err := readable(r, q.Entity); err != nil {
		return err
	}
	return answerWhy(h, w, r, p, q)
}

// sawChain is the value of saw that stands for the entities of the chain.
const sawChain = "chain"

func answerWhy(h *statehouse.House, w http.ResponseWriter, r *http.Request, p *params, q api.WhyQuery) error {
	for _, id := range p.values["saw"] {
		switch {
		case id == sawChain:
			q.SawChain = true
		case eventstore.CheckEntityID(id) != nil:
			p.fail("saw=%.60q is no entity id, as in light.kitchen, nor %q for the entities of the chain", id, sawChain)
		default:
			q.Saw = append(q.Saw, id)
		}
	}
	if p.err != nil {
		return p.err
	}
	q.May = seenBy(r)
	why, err := api.NewWhy(r.Context(), h, q)
	if err != nil {
		return err
	}
	if len(why.Links) == 0 {
		return forbidden("the token is for some entities only, and the event is about none of them")
	}
	if notModified(w, r, h, q.At, why.AsOf) {
		return nil
	}
	return writeJSON(w, http.StatusOK, why)
}

// getHistory answers GET /v1/history/{entity_id}?from=&to=&limit=.
func (s *Server) getHistory(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	p := newParams(r, "from", "to", "limit")
	from, to, limit := api.AtOldest(), p.at("to"), int(p.number("limit", 1, api.MaxSteps))
	if p.values.Has("from") {
		from = p.at("from")
	}
	if limit == 0 {
		limit = api.MaxSteps
	}
	if p.err != nil {
		return p.err
	}
	id := r.PathValue("entity_id")
	if err := readable(r, id); err != nil {
		return err
	}
	history, err := api.NewHistory(r.Context(), h, id, from, to, limit)
	if err != nil || notModifiedBetween(w, r, h, history.From, history.To) {
		return err
	}
	if may := seenBy(r); may != nil {
		history = history.Restrict(may)
	}
	return writeJSON(w, http.StatusOK, history)
}

// getSnapshots answers GET /v1/snapshots.
func (s *Server) getSnapshots(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	if p := newParams(r); p.err != nil {
		return p.err
	}
	all, err := api.NewSnapshots(r.Context(), h)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, all)
}

// getSnapshot answers GET /v1/snapshots/{owner}/{position}: it reads and checks one.
func (s *Server) getSnapshot(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	if p := newParams(r); p.err != nil {
		return p.err
	}
	at, err := strconv.ParseUint(r.PathValue("position"), 10, 63)
	if err != nil {
		return invalid("%.40q is no position; write a whole number", r.PathValue("position"))
	}
	one, err := api.VerifySnapshot(r.Context(), h, r.PathValue("owner"), eventstore.Position(at))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, one)
}

// postSnapshot answers POST /v1/snapshots: it takes one.
func postSnapshot(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	if p := newParams(r); p.err != nil {
		return p.err
	}
	if r.ContentLength != 0 {
		return invalid("the request takes no body")
	}
	as, err := api.CreateSnapshot(r.Context(), h)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, as)
}
