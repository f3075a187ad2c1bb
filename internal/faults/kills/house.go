package kills

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/internal/faults"
)

// house is a database that is killed, and what its killer knows of it.
type house struct {
	binary, db string
	rand       *rand.Rand
	devices    [publishers]device
	owner      owner
	// lines are the hashes of the events that were read so far, by position, from 1.
	lines [][sha256.Size]byte
	// setup is the position up to which the bridge was announced.
	setup eventstore.Position
}

func newHouse(binary, db string, r *rand.Rand) *house {
	return &house{binary: binary, db: db, rand: r, owner: owner{acked: map[int]eventstore.Position{}}}
}

// announce makes the devices known and stops the program.
func (h *house) announce(ctx context.Context) error {
	p, err := faults.Start(h.binary, h.db)
	if err != nil {
		return err
	}
	defer p.Kill()
	if err := p.Ready(ctx); err != nil {
		return err
	}
	c, err := faults.Dial(p.MQTT, "bridge", "", "")
	if err != nil {
		return err
	}
	if err := errors.Join(faults.Announce(c, publishers), c.Close()); err != nil {
		return err
	}
	var info api.AsOf
	if err := p.Get(ctx, "/v1/registry", &info); err != nil {
		return err
	}
	h.setup = info.Position
	return p.Stop()
}

// compare reads what the log has beyond what was read, and wants in it what it must have.
func (h *house) compare(ctx context.Context, p *faults.Program) error {
	head, err := p.Metric(ctx, "statehouse_log_position")
	if err != nil {
		return err
	}
	if int(head) < len(h.lines) {
		return fmt.Errorf("the log ends at position %d, and had %d before", int(head), len(h.lines))
	}
	var text []byte
	if err := p.Get(ctx, fmt.Sprintf("/v1/events?after=%d", len(h.lines)), &text); err != nil {
		return err
	}
	var moved []edited
	for line := range bytes.Lines(text) {
		var e api.Event
		if err := json.Unmarshal(line, &e); err != nil || e.Position == 0 {
			return fmt.Errorf("the log's line %d: %w: %.200s", len(h.lines)+1, errors.Join(err, errors.New("it is no event")), line)
		}
		if int(e.Position) != len(h.lines)+1 {
			return fmt.Errorf("position %d follows %d", e.Position, len(h.lines))
		}
		h.lines = append(h.lines, sha256.Sum256(bytes.TrimSpace(line)))
		if e.Position <= h.setup {
			continue
		}
		if err := h.take(e, &moved); err != nil {
			return fmt.Errorf("position %d: %w: %.300s", e.Position, err, line)
		}
	}
	if err := h.compareDevices(); err != nil {
		return err
	}
	if err := h.compareEdits(moved); err != nil {
		return err
	}
	return h.comparePresent(ctx, p)
}

// edited is an edit as the log has it.
type edited struct {
	n    int
	at   eventstore.Position
	kind eventstore.Kind
}

// take takes the next event in.
func (h *house) take(e api.Event, moved *[]edited) error {
	switch {
	case e.Kind == eventstore.KindStateChanged:
		for i := range h.devices {
			d := &h.devices[i]
			last := &d.logged
			switch e.EntityID {
			case faults.Humidity(i):
				last = &d.humid
			case faults.Temperature(i):
			default:
				continue
			}
			if e.State != strconv.Itoa(*last+1) {
				return fmt.Errorf("the report after %d is due", *last)
			}
			*last++
			return nil
		}
	case e.Source == "api:local":
		n, err := nameIn(e.Data)
		*moved = append(*moved, edited{n, e.Position, e.Kind})
		return err
	case e.Kind == eventstore.KindSystem:
		return nil
	}
	return errors.New("nobody did that")
}

// nameIn is the number that an edit gave as a name.
func nameIn(data []byte) (int, error) {
	var d struct {
		Area           struct{ Name string }
		Device, Entity struct {
			UserName string `json:"user_name"`
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return 0, err
	}
	return strconv.Atoi(d.Area.Name + d.Device.UserName + d.Entity.UserName)
}

func (h *house) compareDevices() error {
	for i := range h.devices {
		d := &h.devices[i]
		switch {
		case d.humid != d.logged:
			return fmt.Errorf("device %d: half a message is in the log: %d and %d", i, d.logged, d.humid)
		case d.logged < d.acked:
			return fmt.Errorf("device %d: %d messages were acknowledged, and the log has %d", i, d.acked, d.logged)
		case d.logged > d.sent:
			return fmt.Errorf("device %d: %d messages were sent, and the log has %d", i, d.sent, d.logged)
		}
		d.acked, d.sent = d.logged, d.logged
	}
	return nil
}

func (h *house) compareEdits(moved []edited) error {
	o := &h.owner
	for _, e := range moved {
		o.logged++
		if e.n != o.logged || e.kind != editOf(e.n).kind {
			return fmt.Errorf("position %d has the edit %d as %s, and %d is due", e.at, e.n, e.kind, o.logged)
		}
		if at, ok := o.acked[e.n]; ok && at != e.at {
			return fmt.Errorf("edit %d was answered with position %d and is at %d", e.n, at, e.at)
		}
		delete(o.acked, e.n)
	}
	if len(o.acked) > 0 {
		return fmt.Errorf("edits that were acknowledged are not in the log, which has %d of %d: %v", o.logged, o.sent, o.acked)
	}
	o.sent = o.logged
	return nil
}

// comparePresent compares what is served with what the log says.
func (h *house) comparePresent(ctx context.Context, p *faults.Program) error {
	for i := range h.devices {
		if h.devices[i].logged == 0 {
			continue
		}
		for _, id := range []string{faults.Temperature(i), faults.Humidity(i)} {
			var s api.State
			if err := p.Get(ctx, "/v1/states/"+id, &s); err != nil {
				return err
			}
			if s.State != strconv.Itoa(h.devices[i].logged) {
				return fmt.Errorf("%s is %s, and %d by the log", id, s.State, h.devices[i].logged)
			}
		}
	}
	var now api.Registry
	if err := p.Get(ctx, "/v1/registry", &now); err != nil {
		return err
	}
	names := map[string]string{}
	for _, a := range now.Areas {
		names["/v1/areas/"+a.ID] = a.Name
	}
	for _, d := range now.Devices {
		names["/v1/devices/"+d.ID] = d.Name
	}
	for _, e := range now.Entities {
		// It is called by its device's name and its own.
		names["/v1/entities/"+e.ID] = e.Name[strings.LastIndexByte(e.Name, ' ')+1:]
	}
	seen := map[string]bool{}
	for n := h.owner.logged; n > 0 && n > h.owner.logged-editPaths; n-- {
		e := editOf(n)
		if name := names[e.path]; !seen[e.path] && name != strconv.Itoa(n) {
			return fmt.Errorf("%s is named %q, and %d by the log", e.path, name, n)
		}
		seen[e.path] = true // earlier names are not its name any more
	}
	return nil
}

// end stops the house cleanly, opens it, and looks at all of it.
func (h *house) end(ctx context.Context) (err error) {
	p, err := faults.Start(h.binary, h.db)
	if err != nil {
		return err
	}
	defer p.Kill()
	if err := p.Ready(ctx); err != nil {
		return err
	}
	if err := errors.Join(h.compare(ctx, p), p.Stop()); err != nil {
		return fmt.Errorf("after the last start: %w", err)
	}
	open, err := statehouse.OpenContext(ctx, h.db, statehouse.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, open.Close()) }()
	if faults := open.Recovered().Faults; len(faults) > 0 {
		return fmt.Errorf("snapshots that cannot be used: %w", errors.Join(faults...))
	}
	if err := check.House(ctx, open); err != nil {
		return err
	}
	n := 0
	for e, err := range open.Read(ctx, eventstore.Query{Until: eventstore.Position(len(h.lines))}) {
		if err != nil {
			return err
		}
		w, err := api.NewEvent(e)
		if err != nil {
			return err
		}
		var line bytes.Buffer
		enc := json.NewEncoder(&line)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(w); err != nil {
			return err
		}
		if n++; sha256.Sum256(bytes.TrimSpace(line.Bytes())) != h.lines[n-1] {
			return fmt.Errorf("position %d is not what it was: %s", n, line.Bytes())
		}
	}
	if n != len(h.lines) {
		return fmt.Errorf("the log has %d of %d events", n, len(h.lines))
	}
	return nil
}
