package linear

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/anishathalye/porcupine"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/server"
)

// things is the number of areas, and of sensors, that the clients of [HTTP] change.
const things = 3

// webState is what they can see: the end of the log, the names of the areas, empty for those that are not there, and the
// values of the sensors, empty for those that have none.
type webState struct {
	head    eventstore.Position
	areas   [things]string
	sensors [things]string
}

// webOp is a request, or an append through the Go API beside the requests.
type webOp struct {
	do    string // put, delete, append, get, get one, registry or states
	thing int
	value string
}

// webResult is what was answered.
type webResult struct {
	span    api.Span
	missing bool // 404
	seen    webState
}

// step is the specification.
func (s webState) step(op *webOp, out *webResult) (bool, webState) {
	wrote := func() bool {
		s.head++
		return !out.missing && out.span == api.Span{First: s.head, Last: s.head}
	}
	switch op.do {
	case "put":
		if s.areas[op.thing] == op.value {
			return !out.missing && out.span == api.Span{}, s
		}
		s.areas[op.thing] = op.value
		return wrote(), s
	case "delete":
		if s.areas[op.thing] == "" {
			return out.missing, s
		}
		s.areas[op.thing] = ""
		return wrote(), s
	case "append":
		s.sensors[op.thing] = op.value
		return wrote(), s
	case "get":
		return out.seen.sensors[op.thing] == s.sensors[op.thing] && out.missing == (s.sensors[op.thing] == ""), s
	case "states":
		return out.seen.head == s.head && out.seen.sensors == s.sensors, s
	default: // registry
		return out.seen.head == s.head && out.seen.areas == s.areas, s
	}
}

// web is the house's doors.
type web struct {
	house      *statehouse.House
	tcp, owner *http.Client
	url        string
}

// HTTP is [Run] over HTTP: areas are edited through the unix socket, sensors through the Go API, and both are read over
// TCP, one at a time or all at one position.
func HTTP(ctx context.Context, seed uint64, dir string) (counts map[string]int, err error) {
	h, err := statehouse.OpenContext(ctx, filepath.Join(dir, "home.db"), statehouse.Options{SnapshotEvery: 100})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	socket, tokenFile := filepath.Join(dir, "s"), filepath.Join(dir, "token")
	tokens, err := access.Open(filepath.Join(dir, "tokens"))
	if err != nil {
		return nil, err
	}
	defer tokens.Close()
	draft, err := tokens.Draft(access.Spec{Name: "reader", Scopes: access.Read})
	if err == nil {
		_, err = tokens.Add(draft)
	}
	if err := errors.Join(err, os.WriteFile(tokenFile, []byte(draft.Text()), 0o600)); err != nil {
		return nil, err
	}
	s, err := server.Start(ctx, server.Options{House: h, Address: "127.0.0.1:0", SocketPath: socket, Auth: tokens})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	if s.SocketPath() == "" {
		return nil, fmt.Errorf("%s is too long for a socket", socket)
	}
	w := &web{house: h, url: s.URL(), tcp: &http.Client{
		Transport: faults.Bearer{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, File: tokenFile},
	}, owner: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 8, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}},
	}}
	defer w.tcp.CloseIdleConnections()
	defer w.owner.CloseIdleConnections()
	history, err := record(6, 40, func(id int) client {
		r := rand.New(rand.NewPCG(seed, uint64(id))) //nolint:gosec // a seed
		return func() (any, func() (any, error)) {
			op := &webOp{
				do:    []string{"put", "put", "delete", "append", "append", "get", "states", "registry"}[r.IntN(8)],
				thing: r.IntN(things), value: fmt.Sprint(1 + r.IntN(3)),
			}
			return op, func() (any, error) { return w.do(ctx, op) }
		}
	})
	if err != nil {
		return nil, err
	}
	counts = map[string]int{}
	for _, o := range history {
		counts["HTTP "+o.Input.(*webOp).do]++
	}
	return counts, explain(history, porcupine.Model{
		Init: func() any { return webState{} },
		Step: func(before, op, out any) (bool, any) {
			ok, after := before.(webState).step(op.(*webOp), out.(*webResult))
			return ok, after
		},
	})
}

func sensorID(i int) string { return fmt.Sprintf("sensor.s%d", i) }
func areaID(i int) string   { return fmt.Sprintf("area%d", i) }

// do does an operation.
func (w *web) do(ctx context.Context, op *webOp) (*webResult, error) {
	out := &webResult{}
	var err error
	switch op.do {
	case "put":
		body, _ := json.Marshal(api.AreaEdit{Name: op.value}) // a string
		out.missing, err = ask(ctx, w.owner, http.MethodPut, "http://statehouse/v1/areas/"+areaID(op.thing), body, &out.span)
	case "delete":
		out.missing, err = ask(ctx, w.owner, http.MethodDelete, "http://statehouse/v1/areas/"+areaID(op.thing), nil, &out.span)
	case "append":
		var n float64
		_, _ = fmt.Sscan(op.value, &n) // a number
		var span eventstore.Span
		span, err = w.house.Append(ctx, check.SensorEvent(sensorID(op.thing), n))
		out.span = api.Span{First: span.First, Last: span.Last}
	case "get":
		var s api.State
		out.missing, err = ask(ctx, w.tcp, http.MethodGet, w.url+"/v1/states/"+sensorID(op.thing), nil, &s)
		out.seen.sensors[op.thing] = s.State
	case "states":
		var all api.States
		_, err = ask(ctx, w.tcp, http.MethodGet, w.url+"/v1/states", nil, &all)
		out.seen.head = all.Position
		for _, s := range all.States {
			for i := range things {
				if s.EntityID == sensorID(i) {
					out.seen.sensors[i] = s.State
				}
			}
		}
	default:
		var all api.Registry
		_, err = ask(ctx, w.tcp, http.MethodGet, w.url+"/v1/registry", nil, &all)
		out.seen.head = all.Position
		for _, a := range all.Areas {
			for i := range things {
				if a.ID == areaID(i) {
					out.seen.areas[i] = a.Name
				}
			}
		}
	}
	return out, err
}

// ask sends a request and reads its answer into v, unless that is 404.
func ask(ctx context.Context, c *http.Client, method, url string, body []byte, v any) (missing bool, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := c.Do(r)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return false, err
	case res.StatusCode == http.StatusNotFound:
		return true, nil
	case res.StatusCode != http.StatusOK:
		return false, fmt.Errorf("%s %s: %d %s", method, url, res.StatusCode, text)
	}
	return false, json.Unmarshal(text, v)
}
