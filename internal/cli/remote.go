package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/daemon"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// remote is a running daemon.
type remote struct {
	base   *url.URL
	client *http.Client
	// where is what errors call it: its URL, or its socket.
	where string
	// db is the database that the daemon holds, empty where only its URL is known.
	db string
	// token is the token for it, empty for none.
	token string
	// damaged is called with what a daemon says of the damage of its log; nil means that nobody wants to know.
	damaged func(what string)
}

// newRemote is the daemon at an address, for which a file has a token; an empty one has none.
func newRemote(address, tokenFile string) (*remote, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, usagef("server %q: write a URL, as in http://127.0.0.1:8321", address)
	}
	r := &remote{base: base, where: base.Redacted()}
	if tokenFile != "" {
		if r.token, err = readToken(tokenFile); err != nil {
			return nil, err
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = responsePatience
	r.client = &http.Client{Transport: transport}
	return r, nil
}

// responsePatience is how long a daemon may take until it begins to answer.
const responsePatience = 30 * time.Second

// readToken is the token in a file.
func readToken(path string) (string, error) {
	token, err := mqtt.ReadPassword(path)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return token, nil
}

// newLocalRemote is the daemon that holds a database: at its socket, which asks its owner for nothing, or where it has none
// at the address that it told.
func newLocalRemote(address, db string) (*remote, error) {
	path := daemon.SocketPath(db)
	if _, err := os.Stat(path); err != nil {
		tokenFile := daemon.FirstTokenPath(db)
		if _, err := os.Stat(tokenFile); err != nil {
			tokenFile = ""
		}
		r, err := newRemote(address, tokenFile)
		if err == nil {
			r.db = db
		}
		return r, err
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		ResponseHeaderTimeout: responsePatience,
	}
	return &remote{
		base: &url.URL{Scheme: "http", Host: "localhost"}, where: path, db: db, client: &http.Client{Transport: transport},
	}, nil
}

func (r *remote) Close() error {
	r.client.CloseIdleConnections()
	return nil
}

func (r *remote) States(ctx context.Context, at api.At, where api.Where) (api.States, error) {
	query := moments("at", at)
	if !where.All() {
		query.Set("where", where.String())
	}
	var states api.States
	return states, r.get(ctx, "/v1/states", query, &states)
}

func (r *remote) Registry(ctx context.Context, at api.At) (api.Registry, error) {
	var reg api.Registry
	return reg, r.get(ctx, "/v1/registry", moments("at", at), &reg)
}

// get decodes the JSON answer to a request.
func (r *remote) get(ctx context.Context, path string, query url.Values, into any) error {
	resp, err := r.do(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return r.broken(err)
	}
	return nil
}

// do sends a request; the error of an answer that is none becomes an error of ours.
func (r *remote) do(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	target := *r.base
	target.Path = strings.TrimSuffix(target.Path, "/") + path
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, target.String(), content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := r.client.Do(req)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, r.unreachable(err)
	}
	if what := resp.Header.Get(api.DamageHeader); what != "" && r.damaged != nil {
		r.damaged(what)
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, r.refused(resp)
}

// unreachable is the error for a daemon that does not answer.
func (r *remote) unreachable(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("%w at %s: %w; is it running?", errUnreachable, r.where, err)
}

// broken is the error for an answer that ends early or is none.
func (r *remote) broken(err error) error {
	return fmt.Errorf("%w as expected at %s: %w", errUnreachable, r.where, err)
}

// codes are the errors that the daemon's codes stand for.
var codes = map[api.Code]error{
	api.CodeInvalid:         eventstore.ErrInvalid,
	api.CodeNotFound:        statehouse.ErrNotFound,
	api.CodeUnauthenticated: errDenied,
	api.CodeForbidden:       errDenied,
	api.CodeTooManyLogins:   errDenied,
	api.CodeCompacted:       eventstore.ErrCompacted,
	api.CodeTooLarge:        eventstore.ErrTooLarge,
	api.CodeCorrupt:         eventstore.ErrCorrupt,
	api.CodeReadOnly:        eventstore.ErrReadOnly,
	api.CodeUnknownOutcome:  eventstore.ErrUnknownOutcome,
	api.CodeUnavailable:     eventstore.ErrUnavailable,
	api.CodeNotReady:        errUnreachable,
	api.CodeClosed:          errUnreachable,
	api.CodeTooManyStreams:  errUnreachable,
	api.CodeWrongHost:       errUnreachable,
}

// refused is the error that an answer stands for.
func (r *remote) refused(resp *http.Response) error {
	var e api.Error
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(text, &e) != nil || e.Error.Code == "" {
		return fmt.Errorf("%w at %s: it says %s; is that a statehouse?", errUnreachable, r.where, resp.Status)
	}
	return detailError(e.Error)
}

func detailError(d api.ErrorDetail) error {
	err := errors.New(d.Message)
	if as, ok := codes[d.Code]; ok {
		return markedError{err, as}
	}
	return err
}

// Events reads the log page by page, so that a slow consumer holds no connection.
func (r *remote) Events(ctx context.Context, q eventstore.Query) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		query := url.Values{}
		query.Set("after", strconv.FormatUint(uint64(q.After), 10))
		if q.Until != 0 {
			query.Set("until", strconv.FormatUint(uint64(q.Until), 10))
		}
		for _, e := range q.Entities {
			query.Add("entity", e)
		}
		for _, k := range q.Kinds {
			query.Add("kind", string(k))
		}
		if _, err := r.events(ctx, query, yield); err != nil {
			yield(api.Event{}, err)
		}
	}
}

// events yields the events of one answer of the log, which streams JSON lines.
func (r *remote) events(ctx context.Context, query url.Values, yield func(api.Event, error) bool) (goOn bool, err error) {
	resp, err := r.do(ctx, http.MethodGet, "/v1/events", query, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	for d := json.NewDecoder(resp.Body); ; {
		var line struct {
			api.Event
			api.Error
		}
		err := d.Decode(&line)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if err != nil {
			return false, r.broken(err)
		}
		if line.Error.Error.Code != "" {
			return false, detailError(line.Error.Error)
		}
		if !yield(line.Event, nil) {
			return false, nil
		}
	}
}

// changes yields the stream of changes: from the beginning, or after a message that was seen before.
func (r *remote) changes(ctx context.Context, lastID string) iter.Seq2[api.Message, error] {
	return func(yield func(api.Message, error) bool) {
		query := url.Values{}
		if lastID != "" {
			query.Set("last_event_id", lastID)
		}
		resp, err := r.do(ctx, http.MethodGet, "/v1/changes", query, nil)
		if err != nil {
			yield(api.Message{}, err)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		for m, err := range api.Messages(resp.Body) {
			if ctx.Err() != nil {
				yield(api.Message{}, context.Cause(ctx))
				return
			}
			if err != nil {
				err = r.broken(err)
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// EditEntity implements source.
func (r *remote) EditEntity(ctx context.Context, id string, edit statehouse.EntityEdit) (api.Span, error) {
	return r.write(ctx, http.MethodPatch, "/v1/entities/"+id, edit)
}

// EditDevice implements source.
func (r *remote) EditDevice(ctx context.Context, id string, edit statehouse.DeviceEdit) (api.Span, error) {
	return r.write(ctx, http.MethodPatch, "/v1/devices/"+id, edit)
}

// SetArea implements source.
func (r *remote) SetArea(ctx context.Context, id, name string) (api.Span, error) {
	if name == "" {
		return r.write(ctx, http.MethodDelete, "/v1/areas/"+id, nil)
	}
	return r.write(ctx, http.MethodPut, "/v1/areas/"+id, api.AreaEdit{Name: name})
}

// write sends a change.
func (r *remote) write(ctx context.Context, method, path string, body any) (span api.Span, err error) {
	return span, r.send(ctx, method, path, body, &span)
}

// send is write that decodes any answer.
func (r *remote) send(ctx context.Context, method, path string, body, into any) error {
	resp, err := r.do(ctx, method, path, nil, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return r.broken(err)
	}
	return nil
}

// verify lets the daemon verify its database.
func (r *remote) verify(ctx context.Context, to *verifyReport) (result api.Verification, err error) {
	return result, report(ctx, r, "/v1/verify", nil, func(line api.VerifyLine) (done bool, err error) {
		switch {
		case line.Error != nil:
			return true, detailError(*line.Error)
		case line.Result != nil:
			result = *line.Result
			return true, nil
		case line.Finding != nil:
			to.finding(*line.Finding)
		case line.Progress != nil:
			to.progress(*line.Progress)
		}
		return false, nil
	})
}

// Compact implements source.
func (r *remote) Compact(ctx context.Context, before api.At, dryRun bool, progress func(api.Progress)) (result api.Compaction, err error) {
	query := url.Values{}
	query.Set("before", before.String())
	if dryRun {
		query.Set("dry_run", "1")
	}
	return result, report(ctx, r, "/v1/compact", query, func(line api.CompactLine) (done bool, err error) {
		switch {
		case line.Error != nil:
			return true, detailError(*line.Error)
		case line.Result != nil:
			result = *line.Result
			return true, nil
		case line.Progress != nil:
			progress(*line.Progress)
		}
		return false, nil
	})
}

// report has the daemon do something long, and takes each line of its answer until that is done.
func report[T any](ctx context.Context, r *remote, path string, query url.Values, take func(line T) (done bool, err error)) error {
	resp, err := r.do(ctx, http.MethodPost, path, query, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	for d := json.NewDecoder(resp.Body); ; {
		var line T
		err := d.Decode(&line)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return r.broken(err)
		}
		if done, err := take(line); done {
			return err
		}
	}
}
