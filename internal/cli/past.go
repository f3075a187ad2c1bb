package cli

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// What a daemon is asked about the past.

// moments are moments as parameters of a request, by name; the present needs none.
func moments(name string, at api.At) url.Values {
	query := url.Values{}
	if text := at.String(); text != "" {
		query.Set(name, text)
	}
	return query
}

// Position implements source.
func (r *remote) Position(ctx context.Context, at api.At) (api.AsOf, error) {
	var as api.AsOf
	return as, r.get(ctx, "/v1/position", moments("at", at), &as)
}

// Diff implements source.
func (r *remote) Diff(ctx context.Context, from, to api.At) (api.Diff, error) {
	query := moments("to", to)
	query.Set("from", from.String())
	var diff api.Diff
	return diff, r.get(ctx, "/v1/diff", query, &diff)
}

// Why implements source.
func (r *remote) Why(ctx context.Context, q api.WhyQuery) (api.Why, error) {
	path, query := "/v1/why/"+q.Entity, moments("at", q.At)
	if q.Entity == "" {
		path, query = "/v1/why", moments("position", q.At)
	}
	for _, id := range q.Saw {
		query.Add("saw", id)
	}
	if q.SawChain {
		query.Add("saw", "chain")
	}
	var why api.Why
	return why, r.get(ctx, path, query, &why)
}

// History implements source.
func (r *remote) History(ctx context.Context, id string, from, to api.At) (api.History, error) {
	query := moments("to", to)
	query.Set("from", from.String())
	var history api.History
	return history, r.get(ctx, "/v1/history/"+id, query, &history)
}

// Snapshots implements source.
func (r *remote) Snapshots(ctx context.Context) (api.Snapshots, error) {
	var all api.Snapshots
	return all, r.get(ctx, "/v1/snapshots", nil, &all)
}

// VerifySnapshot implements source.
func (r *remote) VerifySnapshot(ctx context.Context, owner string, at eventstore.Position) (api.Snapshot, error) {
	var one api.Snapshot
	return one, r.get(ctx, "/v1/snapshots/"+owner+"/"+strconv.FormatUint(uint64(at), 10), nil, &one)
}

// asOf says which position an answer is for.
func asOf(as api.AsOf) string {
	text := "position " + count(as.Position)
	if as.RecordedAt == nil {
		return text + ", before everything"
	}
	return text + ", recorded " + as.RecordedAt.Local().Format("2006-01-02 15:04:05")
}

// sayAsOf tells a person which position an answer about a moment is for.
func (a *app) sayAsOf(asked when, as api.AsOf) {
	a.notef("as of %s%s", asOf(as), notFinal(asked, as))
}

// notFinal says why the same question may be answered with a later position, if it may.
func notFinal(asked when, as api.AsOf) string {
	switch {
	case as.Final:
		return ""
	case asked.oldest:
		return " (the oldest moment)"
	case asked.given():
		return " (not final: nothing was recorded after that time yet)"
	}
	return " (the present)"
}

// timestamp is a time for people, to the millisecond.
func timestamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.000") }
