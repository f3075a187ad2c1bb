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
	"github.com/statehouse/statehouse/client"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/daemon"
)

// remote is a running daemon.
type remote struct {
	base   *url.URL
	client *http.Client
	// rpc is the same daemon over its typed interface, for what is not a document of JSON.
	rpc *client.Client
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
	var opts []client.Option
	if tokenFile != "" {
		if r.token, err = readToken(tokenFile); err != nil {
			return nil, err
		}
		opts = append(opts, client.WithToken(func(context.Context) (string, error) { return r.token, nil }))
	}
	if r.rpc, err = client.Dial(base.String(), opts...); err != nil {
		return nil, markedError{err, errUsage}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = responsePatience
	r.client = newHTTPClient(transport)
	return r, nil
}

// newHTTPClient is a client that goes where it is told and nowhere else: a token is for this server alone.
func newHTTPClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// responsePatience is how long a daemon may take until it begins to answer.
const responsePatience = 30 * time.Second

// readToken is the token in a file.
func readToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", usagef("%s holds no token: write one there, and nothing else", path)
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
	rpc, err := client.DialSocket(path)
	if err != nil {
		return nil, err
	}
	return &remote{
		base: &url.URL{Scheme: "http", Host: "localhost"}, where: path, db: db, client: newHTTPClient(transport), rpc: rpc,
	}, nil
}

func (r *remote) Close() error {
	r.client.CloseIdleConnections()
	r.rpc.Close()
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
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 400 {
		return nil, fmt.Errorf("%w at %s: it says %s, which is not followed, since a token is for one server; give --server where the daemon is",
			errUnreachable, r.where, resp.Status)
	}
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
	api.CodeTooManyCommands: errUnreachable,
	api.CodeUnsupported:     command.ErrUnsupported,
	api.CodeDisabled:        command.ErrUnsupported,
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

// pageBytes is about how much of the log is read at a time.
const pageBytes = 4 << 20

// Events reads the log page by page, so that a slow consumer holds no connection: the daemon drops who takes nothing for long.
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
		for more := true; more; {
			var page []api.Event
			var err error
			page, more, err = r.page(ctx, query)
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				query.Set("after", strconv.FormatUint(uint64(e.Position), 10))
			}
			if err != nil {
				yield(api.Event{}, err)
				return
			}
		}
	}
}

// page reads events of the log, which come as JSON lines, to their end or until they are a page; then there may be more.
func (r *remote) page(ctx context.Context, query url.Values) (page []api.Event, more bool, err error) {
	resp, err := r.do(ctx, http.MethodGet, "/v1/events", query, nil)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = resp.Body.Close() }()
	for d := json.NewDecoder(resp.Body); d.InputOffset() < pageBytes; {
		var line struct {
			api.Event
			api.Error
		}
		err := d.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return page, false, nil
		case ctx.Err() != nil:
			return page, false, context.Cause(ctx)
		case err != nil:
			return page, false, r.broken(err)
		case line.Error.Error.Code != "":
			return page, false, detailError(line.Error.Error)
		}
		page = append(page, line.Event)
	}
	return page, true, nil
}

// changes yields the stream of changes: from the beginning, or after a message that was seen before. answered is called when the
// daemon begins with it.
func (r *remote) changes(ctx context.Context, lastID string, answered func()) iter.Seq2[api.Message, error] {
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
		answered()
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
	span, err := r.rpc.EditEntity(ctx, id, edit)
	return toSpan(span, r.rpcError(err))
}

// EditDevice implements source.
func (r *remote) EditDevice(ctx context.Context, id string, edit statehouse.DeviceEdit) (api.Span, error) {
	span, err := r.rpc.EditDevice(ctx, id, edit)
	return toSpan(span, r.rpcError(err))
}

// SetArea implements source.
func (r *remote) SetArea(ctx context.Context, id, name string) (api.Span, error) {
	set := func() (eventstore.Span, error) { return r.rpc.SetArea(ctx, id, name) }
	if name == "" {
		set = func() (eventstore.Span, error) { return r.rpc.RemoveArea(ctx, id) }
	}
	span, err := set()
	return toSpan(span, r.rpcError(err))
}

// CreateSnapshot implements source.
func (r *remote) CreateSnapshot(ctx context.Context) (api.AsOf, error) {
	as, err := r.rpc.CreateSnapshot(ctx)
	if err != nil {
		return api.AsOf{}, r.rpcError(err)
	}
	w := api.AsOf{Position: as.Position, Final: as.Final}
	if !as.RecordedAt.IsZero() {
		w.RecordedAt = &as.RecordedAt
	}
	return w, nil
}

// verify lets the daemon verify its database.
func (r *remote) verify(ctx context.Context, to *verifyReport) (api.Verification, error) {
	result, err := r.rpc.Verify(ctx, to.options())
	return api.NewVerification(result), r.rpcError(err)
}

// Compact implements source.
func (r *remote) Compact(ctx context.Context, before api.At, dryRun bool, progress func(api.Progress)) (api.Compaction, error) {
	c, err := r.rpc.Compact(ctx, rpcAt(before), eventstore.CompactOptions{
		DryRun: dryRun, Progress: func(done, last eventstore.Position) { progress(api.NewProgress(done, last)) },
	})
	return api.NewCompaction(c, dryRun), r.rpcError(err)
}

// rpcAt is a moment as the client has it.
func rpcAt(at api.At) client.At {
	text := at.String()
	if digits, ok := strings.CutPrefix(text, "@"); ok {
		p, _ := strconv.ParseUint(digits, 10, 64) // String wrote it
		return client.AtPosition(eventstore.Position(p))
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return client.AtTime(t)
	}
	if text != "" {
		return client.AtOldest()
	}
	return client.At{}
}

// rpcError is an error of the daemon's answer, or of the way to it.
func (r *remote) rpcError(err error) error {
	var answer *client.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, eventstore.ErrInvalid) && !errors.As(err, &answer):
		return err
	case errors.As(err, &answer):
		return detailError(api.ErrorDetail{Code: api.Code(answer.Code), Message: answer.Message})
	default:
		return r.unreachable(err)
	}
}

// send sends something, and decodes the answer.
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
