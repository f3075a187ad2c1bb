package native

import (
	"fmt"
	"slices"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
	"github.com/statehouse/statehouse/state"
)

// Shelly2 translates what Shelly devices of the second and later generations say under their own ids. Others' topics of the
// same form are nothing to it. The zero value is ready to use.
type Shelly2 struct{ memory memory[shelly2Device] }

// shelly2Device is what is known of a device.
type shelly2Device struct {
	shellyFacts
	known known
}

var (
	_ discovery.Translator = (*Shelly2)(nil)
	_ discovery.Forgetter  = (*Shelly2)(nil)
)

// Name is "shelly2".
func (*Shelly2) Name() string { return "shelly2" }

// Filters are where the status of a component, events, and the device itself are said.
func (*Shelly2) Filters() []string {
	return []string{"+/status/+", "+/events/rpc", "+/online", "+/announce"}
}

// Translate makes an announcement of what a message is the first to speak of.
func (t *Shelly2) Translate(topic string, payload []byte) ([]discovery.Announcement, error) {
	id, what, _ := strings.Cut(topic, "/")
	component, isStatus := strings.CutPrefix(what, "status/")
	switch {
	case len(payload) == 0 || id != "shellies" && !shelly2ID.MatchString(id):
		return nil, nil
	case len(payload) > maxPayload:
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", errShelly, len(payload), maxPayload)
	case what == "announce":
		return t.announce(id, payload)
	case id == "shellies":
		return nil, nil
	case what == "online":
		if string(payload) == "true" { // whatever was lost of what was announced is announced again
			t.Forget(id)
		}
		return nil, nil
	case isStatus && !shelly2Knows(component), !isStatus && what != "events/rpc":
		return nil, nil
	}
	v, err := state.ValueFromJSON(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errShelly, err)
	}
	var all []discovery.Announcement
	err = t.memory.with(id, func(d *shelly2Device) error {
		r := shelly2Reporting{shelly2Device: d, shellyModel: modelOf(id, shelly2Models), id: id}
		r.common = common(id+"/online", "true", "false", r.sleeps)
		if isStatus {
			r.status(component, v)
		} else {
			r.rpc(dialect.Node{Value: v})
		}
		if all = announce(id, d.device(id, r.shellyModel, id), r.found); all == nil {
			return r.err
		}
		return nil
	})
	return all, err
}

// Forget has the device of a key be announced again as its messages speak of what it has.
func (t *Shelly2) Forget(key string) {
	t.memory.renew(key, func(d *shelly2Device) (keep bool) {
		d.known = nil
		return true
	})
}

// announce takes in what a device says of itself, under its id or where all do.
func (t *Shelly2) announce(level string, payload []byte) ([]discovery.Announcement, error) {
	v, err := state.ValueFromJSON(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errShelly, err)
	}
	n := dialect.Node{Value: v}
	id := n.Str("id")
	if !n.Has("gen") || !shelly2ID.MatchString(id) || level != "shellies" && !strings.EqualFold(level, id) {
		return nil, nil // of the first generation, or of a device whose topics have another beginning
	}
	if level != "shellies" {
		id = level
	}
	var all []discovery.Announcement
	err = t.memory.with(id, func(d *shelly2Device) error {
		facts := readShelly(n, "ver", "fw_id")
		isNew, err := d.known.add("announce", "update")
		if err != nil || !isNew && facts == d.shellyFacts {
			return err
		}
		d.shellyFacts = facts
		r := shelly2Reporting{shelly2Device: d, shellyModel: modelOf(id, shelly2Models), id: id}
		r.common = common(id+"/online", "true", "false", r.sleeps)
		all = announce(id, d.device(id, r.shellyModel, id), []entity{r.update()})
		return nil
	})
	return all, err
}

// shelly2Knows says that a component may have something to announce.
func shelly2Knows(component string) bool {
	kind, _ := shelly2Component(component)
	return len(shelly2Readings[kind]) > 0 || shelly2Makes(kind)
}

// shelly2Component reads a component's name: a kind, and for most a number.
func shelly2Component(component string) (kind, number string) {
	kind, number, _ = strings.Cut(component, ":")
	const most = 5
	if len(number) > most || strings.ContainsFunc(number, func(r rune) bool { return r < '0' || r > '9' }) {
		return "", ""
	}
	return kind, number
}

// shelly2Reporting is a device while one of its messages is taken in.
type shelly2Reporting struct {
	*shelly2Device
	shellyModel
	id     string
	common fields
	found  []entity
	err    error // of what was left out
}

// add adds an entity that is new.
func (r *shelly2Reporting) add(component, part string, describe func() entity) {
	isNew, err := r.known.add(component, part)
	if err != nil {
		r.err = err
	}
	if isNew {
		r.found = append(r.found, describe())
	}
}

// status is what is new in the status of a component, or in a part of it.
func (r *shelly2Reporting) status(component string, v *entityv1.Value) {
	kind, number := shelly2Component(component)
	if v.GetStructValue() == nil {
		return
	}
	c := shelly2Part{shelly2Reporting: r, component: component, kind: kind, number: number}
	c.addMain(v)
	for _, reading := range shelly2Readings[kind] {
		if dialect.IsNull(at(v, reading.knownBy())) {
			continue
		}
		key := reading.key()
		r.add(component, key, func() entity { return c.read(key, reading) })
	}
}

// rpc is what is new in a notification.
func (r *shelly2Reporting) rpc(n dialect.Node) {
	params := n.Get("params")
	switch n.Str("method") {
	case "NotifyStatus", "NotifyFullStatus":
		for _, f := range params.Value.GetStructValue().GetFields() {
			if shelly2Knows(f.GetName()) {
				r.status(f.GetName(), f.GetValue())
			}
		}
	case "NotifyEvent":
		for _, event := range params.List("events") {
			component := event.Str("component")
			kind, number := shelly2Component(component)
			if kind == "input" && slices.Contains(shelly2Events, event.Str("event")) {
				c := shelly2Part{shelly2Reporting: r, component: component, kind: kind, number: number}
				r.add(component, "event", c.inputEvent)
			}
		}
	}
}

// shelly2Part is a component of a device while a message of it is taken in.
type shelly2Part struct {
	*shelly2Reporting
	component, kind, number string
}

// key is that of an entity of the component.
func (c shelly2Part) key(part string) string {
	key := c.kind
	if c.number != "" {
		key += "_" + c.number
	}
	if part != "" {
		key += "_" + part
	}
	return key
}

// name is what the component is called.
func (c shelly2Part) name() string {
	shown, ok := shelly2Channels[c.kind]
	switch {
	case !ok || shown == "" || c.number == "":
		return ""
	case !shelly2Numbered[c.kind] && c.number == "0": // mostly the only one
		return shown
	}
	return c.channel(c.kind, shown, c.number)
}

// from are where a value is said: in the component's status, and among those of which a notification says what is new. The
// template is made of the path to the component.
func (c shelly2Part) from(template func(path ...any) string) []any {
	return sources(source{c.id + "/status/" + c.component, template()}, source{c.id + "/events/rpc", template("params", c.component)})
}

// read is the entity of a reading.
func (c shelly2Part) read(key string, r shelly2Reading) entity {
	from := c.from(func(path ...any) string {
		switch {
		case r.template == nil:
			return inJSON(append(path, r.path...)...)
		case len(path) == 0:
			return r.template(jsonPath(), "true")
		default:
			return r.template(jsonPath(path...), "value_json.method == 'NotifyFullStatus'")
		}
	})
	e := r.entity(c.key(key), c.name(), from, c.common)
	if c.bare() && c.number != "0" {
		e.name = r.name + " " + c.number
	}
	return e
}

// bare says that what is read of the component says already what it is.
func (c shelly2Part) bare() bool {
	shown, ok := shelly2Channels[c.kind]
	return ok && shown == ""
}

// call is what asks a device for something, from an address of our own, so that its answer comes to nobody else.
func call(method, params string) string {
	return `{"id":1,"src":"statehouse","method":"` + method + `","params":{` + params + `}}`
}
