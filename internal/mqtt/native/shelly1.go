package native

import (
	"errors"
	"fmt"
	"strings"

	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
	"github.com/statehouse/statehouse/state"
)

// Shelly1 translates what Shelly devices of the first generation say, all under shellies/. The zero value is ready to use.
type Shelly1 struct{ memory memory[shelly1Device] }

// shelly1Device is what is known of a device.
type shelly1Device struct {
	shellyFacts
	known  known
	lights map[string]lightParts // by component, what it is known to have
}

var (
	_ discovery.Translator = (*Shelly1)(nil)
	_ discovery.Forgetter  = (*Shelly1)(nil)
)

var errShelly = errors.New("no message of a Shelly's")

const shelly1Prefix = "shellies/"

// Name is "shelly1".
func (*Shelly1) Name() string { return "shelly1" }

// Filters are all topics of the first generation: a device is known by what it reports.
func (*Shelly1) Filters() []string { return []string{shelly1Prefix + "#"} }

// Translate makes an announcement of what a message is the first to speak of.
func (t *Shelly1) Translate(topic string, payload []byte) ([]discovery.Announcement, error) {
	rest, ok := strings.CutPrefix(topic, shelly1Prefix)
	id, what, deep := strings.Cut(rest, "/")
	switch {
	case !ok || len(payload) == 0:
		return nil, nil
	case len(payload) > maxPayload:
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", errShelly, len(payload), maxPayload)
	case rest == "announce" || what == "announce":
		return t.announce(id, payload)
	case !deep || !plainName(id, 64):
		return nil, nil
	case what == "online":
		if string(payload) == "true" { // whatever was lost of what was announced is announced again
			t.Forget(shelly1Prefix + id)
		}
		return nil, nil
	}
	s := shelly1Topic(what)
	if !s.knows() {
		return nil, nil
	}
	var all []discovery.Announcement
	err := t.memory.with(id, func(d *shelly1Device) error {
		dev := shelly1Of(id, d)
		entities, err := dev.report(s, payload)
		all = announce(shelly1Prefix+id, d.device(id, dev.shellyModel, shelly1Prefix+id), entities)
		return err
	})
	return all, err
}

// Forget has the device of a key be announced again as its messages speak of what it has. That is known to be more than they say
// of a light, which is announced whole.
func (t *Shelly1) Forget(key string) {
	t.memory.renew(strings.TrimPrefix(key, shelly1Prefix), func(d *shelly1Device) (keep bool) {
		d.known = nil
		return true
	})
}

// announce takes in what a device says of itself. Later generations speak here, too, and have their topics elsewhere.
func (t *Shelly1) announce(level string, payload []byte) ([]discovery.Announcement, error) {
	v, err := state.ValueFromJSON(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errShelly, err)
	}
	n := dialect.Node{Value: v}
	id := n.Str("id")
	if n.Has("gen") {
		return nil, nil
	}
	if !plainName(id, 64) || level != "announce" && level != id {
		return nil, fmt.Errorf("%w: an announcement of %.80q under %.80q", errShelly, id, level)
	}
	var all []discovery.Announcement
	err = t.memory.with(id, func(d *shelly1Device) error {
		facts := readShelly(n, "fw_ver")
		isNew, err := d.known.add("announce", "update")
		if err != nil || !isNew && facts == d.shellyFacts {
			return err
		}
		d.shellyFacts = facts
		dev := shelly1Of(id, d)
		all = announce(shelly1Prefix+id, d.device(id, dev.shellyModel, shelly1Prefix+id), []entity{dev.update()})
		return nil
	})
	return all, err
}

// shelly1Reporting is a device while one of its messages is taken in.
type shelly1Reporting struct {
	*shelly1Device
	shellyModel
	id, base string
	common   fields
}

func shelly1Of(id string, d *shelly1Device) shelly1Reporting {
	base := shelly1Prefix + id + "/"
	m := modelOf(id, shelly1Models)
	return shelly1Reporting{shelly1Device: d, shellyModel: m, id: id, base: base, common: common(base+"online", "true", "false", m.sleeps)}
}

// update says whether there is newer firmware.
func (d shelly1Reporting) update() entity {
	from := []source{{d.base + "announce", inJSON("new_fw")}, {d.base + "info", inJSON("update", "has_update")}}
	e := flagged("Firmware update", "update").diagnosis().entity("update", "", sources(from...), d.common)
	e.config = e.config.with(d.fingerprint())
	return e
}

// report is what is new in a message.
func (d shelly1Reporting) report(s shelly1Said, payload []byte) ([]entity, error) {
	switch {
	case s.light:
		return d.light(s, payload)
	case s.object:
		return d.object(s, payload)
	}
	isNew, err := d.known.add(s.component, s.pattern)
	if err != nil || !isNew {
		return nil, err
	}
	if maker, ok := shelly1Makers[s.pattern]; ok {
		return []entity{maker(d, s)}, nil
	}
	r := shelly1Readings[s.pattern]
	from := source{d.base + s.topic, r.template}
	return []entity{r.entity(strings.ReplaceAll(s.topic, "/", "_"), d.channelOf(s), sources(from), d.common)}, nil
}

// channelOf is what the component that a message is of is called.
func (d shelly1Reporting) channelOf(s shelly1Said) string {
	switch {
	case s.number == "":
		return ""
	case s.kind == "emeter" && strings.HasPrefix(strings.ToLower(d.id), "shellyem3-") && s.number <= "2":
		return "Phase " + string('A'+s.number[0]-'0')
	case s.kind == "emeter":
		return "Meter " + s.number
	case s.kind == "input_event" || s.kind == "longpush":
		return d.channel("input", "Input", s.number)
	}
	return d.channel(s.kind, shelly1Channels[s.kind], s.number)
}

// shelly1Said is what a topic says that a message is of.
type shelly1Said struct {
	topic     string // without the device
	pattern   string // the topic with # for its number
	component string // its beginning, up to the number
	kind      string // its first level
	number    string // empty where there is none
	light     bool   // the status of a light
	object    bool   // an object with several readings
}

// shelly1Topic reads the part of a topic that follows the device. A number is one digit: no device has more than four of a kind.
func shelly1Topic(topic string) shelly1Said {
	kind, rest, _ := strings.Cut(topic, "/")
	s := shelly1Said{topic: topic, pattern: topic, component: topic, kind: kind, object: topic == "status" || topic == "info"}
	number, last, more := strings.Cut(rest, "/")
	if len(number) != 1 || number[0] < '0' || number[0] > '9' {
		return s
	}
	s.number, s.component, s.pattern = number, kind+"/"+number, kind+"/#"
	if more {
		s.pattern += "/" + last
	}
	s.light = more && last == "status" && (kind == "light" || kind == "color" || kind == "white")
	return s
}

// knows says that the message may say something of use.
func (s shelly1Said) knows() bool {
	_, makes := shelly1Makers[s.pattern]
	_, reads := shelly1Readings[s.pattern]
	return s.light || s.object || makes || reads
}
