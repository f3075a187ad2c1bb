package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// verifyLines are the lines of an answer.
func decodeVerify(t *testing.T, text []byte) (progress int, found []api.Finding, last api.VerifyLine) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		last = api.VerifyLine{}
		if err := d.Decode(&last); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		switch {
		case last.Progress != nil:
			progress++
		case last.Finding != nil:
			found = append(found, *last.Finding)
		default:
			if d.More() {
				t.Errorf("lines follow the last one: %s", text)
			}
			return progress, found, last
		}
	}
}

// TestVerify: the owner of the database has it verified through the socket, and nobody over TCP.
func TestVerify(t *testing.T) {
	path := filepath.Join(shortDir(t), "home.db")
	h := openHouse(t, path)
	t.Cleanup(func() { _ = h.Close() }) // before it is checked: it is left damaged
	furnish(t, h)
	appendEvents(t, h, lightEvent("light.hall", 50))
	s := start(t, Options{House: h, SocketPath: path + ".sock"})
	c := socketClient(t, s.SocketPath())
	const target = "http://statehouse/v1/verify"
	r := do(t, c, http.MethodPost, target, nil)
	progress, found, last := decodeVerify(t, r.body)
	if r.status != 200 || progress == 0 || len(found) != 0 || last.Result == nil || last.Result.Position != 9 || last.Result.Findings != 0 {
		t.Errorf("%d %s", r.status, r.body)
	}
	behind(t, path, `UPDATE segments SET body = x'00000000' WHERE last_position = 9`)
	r = do(t, c, http.MethodPost, target, nil)
	_, found, last = decodeVerify(t, r.body)
	if len(found) != 1 || found[0].Kind != eventstore.FindingSegment || found[0].First != 9 || found[0].RecordedFrom == nil ||
		!strings.Contains(found[0].Text, "position 9") || last.Result == nil || last.Result.Findings != 1 || last.Result.Events != 8 {
		t.Errorf("%s", r.body)
	}
	if r := do(t, c, http.MethodPost, target, strings.NewReader("{}")); r.status != 400 || r.code(t) != api.CodeInvalid {
		t.Errorf("with a body: %d %s", r.status, r.body)
	}
	if r := do(t, c, http.MethodPost, target+"?fast=1", nil); r.status != 400 {
		t.Errorf("with a parameter: %d %s", r.status, r.body)
	}
	if r := do(t, c, http.MethodGet, target, nil); r.status != 405 {
		t.Errorf("GET: %d %s", r.status, r.body)
	}
	if r := do(t, http.DefaultClient, http.MethodPost, s.URL()+"/v1/verify", nil); r.status != 403 {
		t.Errorf("with a token to read: %d %s", r.status, r.body)
	}
}

// endlessVerifier verifies until its context ends.
type endlessVerifier struct{ ended chan error }

func (v endlessVerifier) Verify(ctx context.Context, opts eventstore.InspectOptions) (eventstore.Inspection, error) {
	opts.Progress(1, 2)
	<-ctx.Done()
	v.ended <- context.Cause(ctx)
	return eventstore.Inspection{}, ctx.Err()
}

func (endlessVerifier) Verified() api.Verified {
	at := time.Unix(1_700_000_000, 0)
	return api.Verified{At: &at, AgeSeconds: 60, Findings: 2, Damage: "segment with position 7: it is gone"}
}

// TestVerifyEnds: a verification ends with its client, or with the server, and there is one at a time.
func TestVerifyEnds(t *testing.T) {
	v := endlessVerifier{make(chan error, 1)}
	s := start(t, Options{House: newHouse(t), SocketPath: filepath.Join(shortDir(t), "s"), Verifier: v})
	c := socketClient(t, s.SocketPath())
	begin := func(ctx context.Context) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://statehouse/v1/verify", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Do(req)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
		return res
	}
	ctx, cancel := context.WithCancel(t.Context())
	res := begin(ctx)
	if r := do(t, c, http.MethodPost, "http://statehouse/v1/verify", nil); r.status != 503 || r.code(t) != api.CodeUnavailable ||
		r.header.Get("Retry-After") == "" {
		t.Errorf("a second one: %d %s", r.status, r.body)
	}
	cancel()
	if err := <-v.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the client went, and it ended with %v", err)
	}
	_ = res.Body.Close()
	var again reply
	eventually(t, "the first one has ended", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://statehouse/v1/verify", nil)
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return false
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			again.body, _ = io.ReadAll(res.Body)
		}()
		closeServer(t, s)
		<-done
		return true
	})
	if err := <-v.ended; !errors.Is(err, errClosing) {
		t.Errorf("the server closed, and it ended with %v", err)
	}
	if _, _, last := decodeVerify(t, again.body); last.Error == nil || last.Error.Code != api.CodeClosed {
		t.Errorf("%s", again.body)
	}
}

// TestVerifiedIsShown: what is known of the last verification is in the health, the info and the metrics.
func TestVerifiedIsShown(t *testing.T) {
	s := start(t, Options{House: newHouse(t), Verifier: endlessVerifier{}})
	var health api.Health
	r := get(t, s.URL()+"/readyz")
	r.decode(t, &health)
	if r.status != 200 || len(health.Warnings) != 1 || !strings.Contains(health.Warnings[0], "2 things wrong, the first: segment with position 7") {
		t.Errorf("%d %s", r.status, r.body)
	}
	var info api.Info
	get(t, s.URL()+"/v1/info").decode(t, &info)
	if info.Verified.At == nil || info.Verified.AgeSeconds != 60 || info.Verified.Findings != 2 {
		t.Errorf("%+v", info.Verified)
	}
	text := string(get(t, s.URL()+"/metrics").body)
	for _, want := range []string{"statehouse_verify_last_timestamp_seconds 1.7e+09", "statehouse_verify_age_seconds 60", "statehouse_verify_findings 2"} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}
