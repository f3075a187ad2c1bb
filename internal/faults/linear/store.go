package linear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"github.com/anishathalye/porcupine"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// The registers of [Store] are entities with a version, which is their position, and a value.
const (
	registers = 3
	keys      = 40
)

type register struct {
	at    eventstore.Position
	value int
}

// storeState is the whole of what clients can see: the registers, the end of the log, and the keys that were used.
type storeState struct {
	head eventstore.Position
	regs [registers]register
	keys [keys]eventstore.Position
}

// storeOp is what a client does: it writes a value to some of the registers, or reads.
type storeOp struct {
	write [registers]bool
	value int
	// Conditions: those registers whose version is to be what it is here, and the end of the log.
	ifAt  [registers]bool
	at    [registers]eventstore.Position
	ifLog bool
	log   eventstore.Position
	key   int // from 1, 0 for none
	// A read is of one register, or of all of them at one position if it is registers.
	read int
}

func (op *storeOp) writes() (n int) {
	for _, w := range op.write {
		if w {
			n++
		}
	}
	return n
}

// storeResult is what it was told.
type storeResult struct {
	first    eventstore.Position // of what was written
	conflict bool
	found    eventstore.Position
	seen     storeState // of a read: the registers, and head if all were read
}

// step is the specification.
func (s storeState) step(op *storeOp, out *storeResult) (bool, storeState) {
	if op.writes() == 0 {
		if op.read < registers {
			return s.regs[op.read] == out.seen.regs[op.read], s
		}
		return s.regs == out.seen.regs && s.head == out.seen.head, s
	}
	if op.key > 0 && s.keys[op.key-1] != 0 {
		return !out.conflict && s.keys[op.key-1] == out.first, s
	}
	for i := range registers {
		if op.ifAt[i] && op.at[i] != s.regs[i].at {
			return out.conflict && out.found == s.regs[i].at, s
		}
	}
	if op.ifLog && op.log != s.head {
		return out.conflict && out.found == s.head, s
	}
	if out.conflict || out.first != s.head+1 {
		return false, s
	}
	if op.key > 0 {
		s.keys[op.key-1] = out.first
	}
	for i := range registers {
		if op.write[i] {
			s.head++
			s.regs[i] = register{s.head, op.value}
		}
	}
	return true, s
}

// storeClient does what it does at random, but for versions, which are those that it saw last, so that some hold.
type storeClient struct {
	s     *eventstore.Store
	cache *state.Cache
	rand  *rand.Rand
	seen  storeState
}

func registerID(i int) string { return fmt.Sprintf("sensor.r%d", i) }

func (c *storeClient) next() *storeOp {
	op := &storeOp{read: c.rand.IntN(registers + 1)}
	if c.rand.IntN(3) == 0 {
		return op
	}
	op.value = c.rand.IntN(1000)
	op.write[c.rand.IntN(registers)] = true
	op.write[c.rand.IntN(registers)] = true
	if c.rand.IntN(4) == 0 {
		// Who repeats the append of a key must want the same.
		op.key = 1 + c.rand.IntN(keys)
		op.value = op.key
		op.write = [registers]bool{}
		op.write[op.key%registers] = true
	}
	for i := range registers {
		op.ifAt[i], op.at[i] = c.rand.IntN(3) == 0, c.seen.regs[i].at
	}
	op.ifLog, op.log = c.rand.IntN(6) == 0, c.seen.head
	return op
}

func (c *storeClient) do(ctx context.Context, op *storeOp) (*storeResult, error) {
	out := &storeResult{}
	if op.writes() == 0 {
		c.look(op, out)
		return out, nil
	}
	var b eventstore.Batch
	for i := range registers {
		if op.write[i] {
			b.Events = append(b.Events, check.SensorEvent(registerID(i), float64(op.value)))
		}
		if op.ifAt[i] {
			b.If = append(b.If, eventstore.EntityAt(registerID(i), op.at[i]))
		}
	}
	if op.ifLog {
		b.If = append(b.If, eventstore.LogAt(op.log))
	}
	if op.key > 0 {
		b.Key.ID = fmt.Sprint(op.key)
	}
	if events := b.Events; op.key == 0 && c.rand.IntN(2) == 0 {
		b.Events, b.Decide = nil, func(context.Context) ([]eventstore.Event, error) { return events, nil }
	}
	span, err := c.s.Append(ctx, b)
	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		out.conflict, out.found, err = true, conflict.Found, nil
	}
	out.first = span.First
	return out, err
}

// look reads one register, or all of them at one position.
func (c *storeClient) look(op *storeOp, out *storeResult) {
	if op.read < registers {
		st, _ := c.cache.Get(registerID(op.read))
		out.seen.regs[op.read] = register{st.Position, int(check.SensorValue(st.Attributes))}
		c.seen.regs[op.read] = out.seen.regs[op.read]
		return
	}
	r := c.cache.Revision()
	out.seen.head = r.Position
	for i := range registers {
		st, _ := r.Entities.Get(registerID(i))
		out.seen.regs[i] = register{st.Position, int(check.SensorValue(st.Attributes))}
	}
	c.seen = out.seen
}

// Store is [Run] over the Go API of a store: appends of one or two events, with conditions and keys, as events or as
// decisions, and reads of one register or of all.
func Store(ctx context.Context, seed uint64, dir string) (counts map[string]int, err error) {
	db, err := storage.Open(ctx, filepath.Join(dir, "log.db"), storage.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, err := eventstore.Open(ctx, db, eventstore.Options{SealAfter: 64, SnapshotEvery: 100})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	cache := state.New()
	if err := s.Start(ctx, cache); err != nil {
		return nil, err
	}
	history, err := record(6, 80, func(id int) client {
		c := &storeClient{s: s, cache: cache, rand: rand.New(rand.NewPCG(seed, uint64(id)))} //nolint:gosec // a seed
		return func() (any, func() (any, error)) {
			op := c.next()
			return op, func() (any, error) { return c.do(ctx, op) }
		}
	})
	if err != nil {
		return nil, err
	}
	counts, appended := map[string]int{}, map[eventstore.Position]bool{}
	for _, o := range history {
		op, out := o.Input.(*storeOp), o.Output.(*storeResult)
		switch {
		case op.writes() == 0:
			counts["reads"]++
		case out.conflict:
			counts["conflicts"]++
		case appended[out.first]:
			counts["repeats"]++
		default:
			counts["appends"]++
			appended[out.first] = true
		}
	}
	return counts, explain(history, porcupine.Model{
		Init: func() any { return storeState{} },
		Step: func(before, op, out any) (bool, any) {
			ok, after := before.(storeState).step(op.(*storeOp), out.(*storeResult))
			return ok, after
		},
	})
}
