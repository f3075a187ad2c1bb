package timeline

import (
	"cmp"
	"container/list"
	"iter"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
)

// kept are moments that were worked out, for those who ask for the same ones or ones behind them: those that were used
// last, as many as take about limit bytes beside the ground that the newest one stands on.
//
// Moments that were folded from each other share what is the same in them, so each counts what it added, and together
// they count once the ground that they stand on.
type kept struct {
	limit int

	mu    sync.Mutex
	byAge list.List       // of *keptMoment, the last one used first
	byPos []*list.Element // sorted by position
	bytes int
}

// keptBytes is the limit of a timeline; keptMoments is how many there are at most, which bounds the search.
const (
	keptBytes   = 32 << 20
	keptMoments = 1024
)

// keptMoment is a moment, what it added to what it stands on, and that.
type keptMoment struct {
	Moment
	added    int
	states   *ground
	registry *ground
}

// ground is what moments stand on together: the states, or the registry, of a snapshot, or of a moment that had more than
// twice as many as what it was folded from.
type ground struct {
	entries int
	each    int // about how many bytes an entry takes
	moments int // that are kept
}

func (g *ground) bytes() int { return g.entries * g.each }

// at is the moment at a position, if it is kept.
func (k *kept) at(at eventstore.Position) (Moment, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, found := k.findLocked(at)
	if !found {
		return Moment{}, false
	}
	k.byAge.MoveToFront(k.byPos[n])
	return k.byPos[n].Value.(*keptMoment).Moment, true
}

// before is the last moment that is kept at a position or before it; the zero one, which is the empty house, if none is.
func (k *kept) before(at eventstore.Position) keptMoment {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, found := k.findLocked(at)
	if !found {
		n--
	}
	if n < 0 {
		return keptMoment{}
	}
	k.byAge.MoveToFront(k.byPos[n])
	return *k.byPos[n].Value.(*keptMoment)
}

// add keeps a moment.
func (k *kept) add(m keptMoment) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, found := k.findLocked(m.Position())
	if found {
		return
	}
	k.byPos = slices.Insert(k.byPos, n, k.byAge.PushFront(&m))
	k.bytes += m.added
	for _, g := range [...]*ground{m.states, m.registry} {
		if g.moments++; g.moments == 1 {
			k.bytes += g.bytes()
		}
	}
	own := m.states.bytes() + m.registry.bytes()
	for len(k.byPos) > keptMoments || k.bytes-own > k.limit && len(k.byPos) > 1 {
		k.forgetLocked(k.byAge.Back())
	}
}

func (k *kept) forgetLocked(e *list.Element) {
	m := k.byAge.Remove(e).(*keptMoment)
	n, _ := k.findLocked(m.Position())
	k.byPos = slices.Delete(k.byPos, n, n+1)
	k.bytes -= m.added
	for _, g := range [...]*ground{m.states, m.registry} {
		if g.moments--; g.moments == 0 {
			k.bytes -= g.bytes()
		}
	}
}

// findLocked is where a position is among the moments.
func (k *kept) findLocked(at eventstore.Position) (n int, found bool) {
	return slices.BinarySearchFunc(k.byPos, at, func(e *list.Element, at eventstore.Position) int {
		return cmp.Compare(e.Value.(*keptMoment).Position(), at)
	})
}

// What a state and an entry of the registry take: so many bytes, and some for each byte of its message. They were
// measured with those of sensors.
const (
	stateBytes = 400
	entryBytes = 600
	perMessage = 3
	sampled    = 256 // so many messages are looked at
)

func statesGround(r state.Revision) *ground {
	size := averageSize(r.Entities.Values(), func(s state.State) proto.Message { return s.Attributes })
	return &ground{entries: r.Entities.Len(), each: stateBytes + perMessage*size}
}

func registryGround(r registry.Revision) *ground {
	size := averageSize(r.Entities.Values(), func(e *entityv1.Entity) proto.Message { return e })
	return &ground{entries: entries(r), each: entryBytes + perMessage*size}
}

// entries is the number of entries in a registry, which devices and areas have as well as entities.
func entries(r registry.Revision) int {
	return r.Entities.Len() + r.Devices.Len() + r.Areas.Len() + r.FormerEntities.Len() + r.FormerDevices.Len() +
		r.Pending.Len()
}

// averageSize is about the size of the messages, whose order says nothing about it.
func averageSize[V any](values iter.Seq[V], message func(V) proto.Message) int {
	n, size := 0, 0
	for v := range values {
		size += proto.Size(message(v))
		if n++; n == sampled {
			break
		}
	}
	return size / max(1, n)
}

// folded is a moment that was folded from another one.
func folded(from keptMoment, m Moment) keptMoment {
	f := keptMoment{Moment: m, states: from.states, registry: from.registry}
	events := int(min(m.Position()-from.Position(), 1<<31-1))
	if states := m.State.Entities.Len(); f.states == nil || states > 2*f.states.entries {
		f.states = statesGround(m.State)
	} else {
		f.added = min(events, states) * f.states.each
	}
	switch n := entries(m.Registry); {
	case f.registry == nil || n > 2*f.registry.entries:
		f.registry = registryGround(m.Registry)
	case m.Registry.Entities != from.Registry.Entities:
		f.added += min(events, n) * f.registry.each
	}
	return f
}
