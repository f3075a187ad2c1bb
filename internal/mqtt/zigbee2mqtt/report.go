package zigbee2mqtt

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// report is what a device said of itself, read.
type report struct {
	fields   []*entityv1.Field // by name
	at       time.Time
	seen     bool      // at is the device's own last_seen, and tells two presses apart
	lastSeen time.Time // as the source says it, however wrong; zero for nothing
	retained bool
	digest   digest // of the payload, where it is retained
}

// How far a device's last_seen may be from the message's arrival. A stored report may be of any time before.
const (
	maxAhead  = time.Minute
	maxBehind = time.Hour
)

// maxFields is ten times what the largest real report has.
const maxFields = 2000

var (
	errNotObject     = errors.New("not a JSON object")
	errTooManyFields = fmt.Errorf("%w: a report may have %d properties", eventstore.ErrTooLarge, maxFields)
)

func parseReport(m mqtt.Message) (report, error) {
	v, err := state.ValueFromJSON(m.Payload)
	if err != nil {
		return report{}, err
	}
	if v.GetStructValue() == nil {
		return report{}, errNotObject
	}
	if len(v.GetStructValue().GetFields()) > maxFields {
		return report{}, errTooManyFields
	}
	r := report{fields: v.GetStructValue().GetFields(), at: m.ReceivedAt, retained: m.Retained}
	if at, ok := dialect.MomentOf(dialect.Node{Value: v}.Get(propertyLastSeen).Value); ok {
		r.lastSeen = at
		if ahead := at.Sub(m.ReceivedAt); ahead <= maxAhead && (ahead >= -maxBehind || m.Retained) {
			r.at, r.seen = at, at.Nanosecond() != 0 // whole seconds do not tell two presses apart
		}
	}
	if m.Retained {
		r.digest = sha256.Sum256(m.Payload)
	}
	return r, nil
}

// unspoken are the properties that say nothing of a device's state. The last one is the name of an extra of ours.
var unspoken = map[string]bool{
	propertyLastSeen: true, "linkquality": true, "elapsed": true, "device": true, extraAvailability: true,
}

// draft is what a report makes of one part's state.
type draft struct {
	state    state.State
	old, new *entityv1.Attributes // old is nil before the state was fetched, new before something may be different
	spoken   bool                 // the report says something of it beyond null
}

// merge appends to b what a report changes. It is a function of the pending state and the report, and has no effect
// beside b, so that it may be run again. It fails with eventstore.ErrTooLarge.
func (b *batch) merge(pl *plan, r report) error {
	var few [12]draft // most devices have no more parts, and need no memory for them
	drafts := few[:]
	if len(pl.parts) > len(few) {
		drafts = make([]draft, len(pl.parts))
	}
	drafts = drafts[:len(pl.parts)]
	for _, f := range r.fields {
		v := f.GetValue()
		if dialect.IsNull(v) {
			v = nil
		}
		bindings, claimed := pl.bindings[f.GetName()]
		if !claimed {
			if pl.main >= 0 && !unspoken[f.GetName()] {
				b.set(pl, drafts, binding{part: pl.main, set: keep}, f.GetName(), v, r)
			}
			continue
		}
		for _, bound := range bindings {
			if bound.part >= 0 {
				b.set(pl, drafts, bound, f.GetName(), v, r)
			}
		}
	}
	for i := range drafts {
		if n := drafts[i].new; n != nil && pl.parts[i].domain != domainEvent {
			n.Extra = slices.DeleteFunc(n.Extra, func(f *entityv1.Field) bool {
				bound, claimed := pl.bindings[f.GetName()]
				return claimed && !slices.ContainsFunc(bound, func(b binding) bool { return b.part == i })
			})
			if len(n.Extra) == 0 {
				n.Extra = nil
			}
		}
		if err := b.settle(pl.parts[i], &drafts[i], r); err != nil {
			return err
		}
	}
	return nil
}

// set applies one property to one part.
func (b *batch) set(pl *plan, drafts []draft, bound binding, property string, v *entityv1.Value, r report) {
	d := &drafts[bound.part]
	if bound.set == nil {
		b.act(pl.parts[bound.part], d, v, r)
		return
	}
	if v == nil && d.new == nil {
		// Most of what most reports say: what was not known still is not.
		_, old := b.StateOf(pl.parts[bound.part].id)
		if _, has := dialect.FindExtra(old, property); old.GetDomain() == nil && !has {
			return
		}
	}
	if v != nil && d.new == nil && bound.says != nil && b.isKnown(d, pl.parts[bound.part], bound, v, r) {
		d.spoken = true
		return
	}
	d.open(b, pl.parts[bound.part])
	d.spoken = d.spoken || v != nil
	dialect.SetExtra(d.new, property, bound.set(d.new, v))
}

// isKnown says that a part has a value already and was heard of lately, so that nothing follows from hearing it again: what
// [dialect.Batch.Report] would find after the part's attributes were made anew. Of most devices most values are such.
func (b *batch) isKnown(d *draft, p part, bound binding, v *entityv1.Value, r report) bool {
	d.fetch(b, p)
	return len(d.old.GetExtra()) == 0 && bound.says(d.old, v) &&
		(r.retained || r.at.Sub(d.state.UpdatedAt) < b.SilentAfter && len(b.Pending.PendingCommands(p.id)) == 0)
}

// fetch fetches the state under the draft.
func (d *draft) fetch(b *batch, p part) {
	if d.old == nil {
		d.state, d.old = b.StateOf(p.id)
	}
}

// open begins new attributes.
func (d *draft) open(b *batch, p part) {
	if d.new != nil {
		return
	}
	d.fetch(b, p)
	if p.composite {
		d.new = proto.CloneOf(d.old)
	} else { // its setter puts a new typed part in place of the shared one
		d.new = &entityv1.Attributes{
			Availability: d.old.GetAvailability(), Extra: slices.Clone(d.old.GetExtra()), Domain: d.old.GetDomain(),
		}
	}
}

// act records an action. Zigbee2MQTT may follow it with an empty one, which is none.
func (b *batch) act(p part, d *draft, v *entityv1.Value, r report) {
	action, ok := dialect.WordOf(v)
	if !ok || action == "" || r.retained {
		return
	}
	d.open(b, p)
	occurred := r.at.UnixNano()
	if last := d.old.GetEvent(); last.GetOccurred() >= occurred && !r.seen {
		occurred = last.GetOccurred() + 1 // two messages are two actions, however coarse the clock is
	}
	d.new.Domain = &entityv1.Attributes_Event{Event: &entityv1.Event{EventType: &action, Occurred: &occurred}}
	availability := dialect.ExtraOf(d.new, extraAvailability)
	d.new.Extra = nil
	dialect.SetExtra(d.new, extraAvailability, availability)
	for _, f := range r.fields {
		if strings.HasPrefix(f.GetName(), propertyAction+"_") && !dialect.IsNull(f.GetValue()) {
			dialect.SetExtra(d.new, f.GetName(), f.GetValue())
		}
	}
}

// settle appends the event that follows from a draft, if any. It fails with eventstore.ErrTooLarge.
func (b *batch) settle(p part, d *draft, r report) error {
	if d.new == nil {
		return nil
	}
	if p.finish != nil {
		p.finish(d.new)
	}
	return b.Report(p.id, dialect.Report{
		Before: d.state, Old: d.old, New: d.new, At: r.at, Spoken: d.spoken, Stored: r.retained,
	})
}

// decideReport is the decision about one report of one device.
func (d *Dialect) decideReport(b *batch, r route, rep report) error {
	if err := r.check(b.Pending); err != nil {
		return err
	}
	return b.merge(d.planOf(r.device, b.Pending.DeviceEntities(r.device)), rep)
}

// planOf is the plan of a device's entities, remembered for the next report.
func (d *Dialect) planOf(deviceID string, entries []*entityv1.Entity) *plan {
	if known, ok := d.plans.Load(deviceID); ok {
		if pl, ok := known.(*plan); ok && pl.madeOf(entries) {
			return pl
		}
	}
	pl := compile(entries)
	d.plans.Store(deviceID, pl)
	return pl
}
