//go:build acceptance

package acceptance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/client"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/faults"
)

// home is the daemon, its database, and ways to ask it.
type home struct {
	*client.Client
	binary, db, broker string
	program            *faults.Program
}

// newHome builds the program.
func newHome(t *testing.T, broker string) *home {
	t.Helper()
	dir := t.TempDir()
	binary, err := faults.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	h := &home{binary: binary, db: filepath.Join(dir, "home.db"), broker: broker}
	if h.Client, err = client.DialSocket(h.db + ".sock"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// start returns when the daemon is connected to the broker and has replayed its log.
func (h *home) start(t *testing.T) {
	t.Helper()
	program, err := faults.Start(h.binary, h.db, "--mqtt-address", "", "--mqtt-broker-url", h.broker)
	if err != nil {
		t.Fatal(err)
	}
	h.program = program
	t.Cleanup(func() {
		program.Kill()
		if t.Failed() {
			t.Logf("the last that the daemon said:\n%s", program.Log())
		}
	})
	if err := program.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the daemon is ready", func() error { return h.ready(t) })
}

// ready is what keeps the daemon from being ready.
func (h *home) ready(t *testing.T) error {
	return h.program.Edit(t.Context(), "GET", "/readyz", "", nil)
}

// cli runs a command of the program on the database.
func (h *home) cli(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), h.binary, append(args, "--db", h.db)...)
	cmd.Stdout, cmd.Stderr, cmd.Env = &stdout, &stderr, append(os.Environ(), "HOME="+filepath.Dir(h.db))
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return stdout.String(), strings.TrimSpace(stderr.String()), cmd.ProcessState.ExitCode()
}

// head is the position of the present.
func (h *home) head(t *testing.T) eventstore.Position {
	t.Helper()
	as, err := h.Resolve(t.Context(), client.At{})
	if err != nil {
		t.Fatal(err)
	}
	return as.Position
}

// events are those that match a query.
func (h *home) events(t *testing.T, q eventstore.Query) (all []eventstore.Event) {
	t.Helper()
	for e, err := range h.Read(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// grows waits until some more events are recorded.
func (h *home) grows(t *testing.T, n eventstore.Position) {
	t.Helper()
	from := h.head(t)
	until(t, fmt.Sprintf("%d more events are recorded", n), func() error {
		if now := h.head(t); now < from+n {
			return fmt.Errorf("from position %d to %d", from, now)
		}
		return nil
	})
}

// states are those of the present, by entity.
func (h *home) states(t *testing.T) map[string]client.Entity {
	t.Helper()
	all := map[string]client.Entity{}
	for e, err := range h.List(t.Context(), client.Selection{}, client.At{}) {
		if err != nil {
			t.Fatal(err)
		}
		all[e.EntityID] = e
	}
	return all
}

// registered are the entities of the present, by the addresses of their devices, and those devices.
func (h *home) registered(t *testing.T) (map[string]*entityv1.Device, map[string][]*entityv1.Entity) {
	t.Helper()
	r, err := h.Registry(t.Context(), client.At{})
	if err != nil {
		t.Fatal(err)
	}
	devices, addresses, entities := map[string]*entityv1.Device{}, map[string]string{}, map[string][]*entityv1.Entity{}
	for _, d := range r.Devices {
		if devices[d.GetAddress()] != nil {
			t.Fatalf("there are two devices with the address %s: %v and %v", d.GetAddress(), devices[d.GetAddress()], d)
		}
		devices[d.GetAddress()], addresses[d.GetId()] = d, d.GetAddress()
	}
	for _, e := range r.Entities {
		address := addresses[e.GetDeviceId()]
		entities[address] = append(entities[address], e)
	}
	return devices, entities
}

// moment is what the daemon answered of a moment when that was the present, or later.
type moment struct {
	position         eventstore.Position
	states, registry string
}

// now is the moment that is the present.
func (h *home) now(t *testing.T) moment {
	t.Helper()
	position, states := h.get(t, "/v1/states", "states")
	m := h.at(t, position)
	m.states = states
	return m
}

// at is a moment of the past.
func (h *home) at(t *testing.T, p eventstore.Position) moment {
	t.Helper()
	_, states := h.get(t, fmt.Sprintf("/v1/states?at=@%d", p), "states")
	_, entities := h.get(t, fmt.Sprintf("/v1/registry?at=@%d", p), "entities")
	_, devices := h.get(t, fmt.Sprintf("/v1/registry?at=@%d", p), "devices")
	return moment{position: p, states: states, registry: entities + devices}
}

// get is a field of what a route answers, and the position that it is of.
func (h *home) get(t *testing.T, path, field string) (eventstore.Position, string) {
	t.Helper()
	var answer map[string]json.RawMessage
	if err := h.program.Edit(t.Context(), "GET", path, "", &answer); err != nil {
		t.Fatal(err)
	}
	var position eventstore.Position
	if err := json.Unmarshal(answer["position"], &position); err != nil || len(answer[field]) == 0 {
		t.Fatalf("%s: no position or no %s: %v", path, field, err)
	}
	return position, string(answer[field])
}
