package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
)

// The registers of TestLinearizable are entities with a version, which is their position, and a value.
const (
	registers  = 3
	linearKeys = 40
)

type register struct {
	at    eventstore.Position
	value int
}

// linearState is the whole of what clients can see: the registers, the end of the log, and the keys that were used.
type linearState struct {
	head eventstore.Position
	regs [registers]register
	keys [linearKeys]eventstore.Position
}

// linearOp is what a client does: it writes a value to some of the registers, or reads.
type linearOp struct {
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

func (op *linearOp) writes() (n int) {
	for _, w := range op.write {
		if w {
			n++
		}
	}
	return n
}

// linearResult is what it was told.
type linearResult struct {
	first    eventstore.Position // of what was written
	conflict bool
	found    eventstore.Position
	seen     linearState // of a read: the registers, and head if all were read
}

// step is the specification.
func (s linearState) step(op *linearOp, out *linearResult) (bool, linearState) {
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

// linearClient does what it does at random, but for versions, which are those that it saw last, so that some hold.
type linearClient struct {
	s     *eventstore.Store
	cache *state.Cache
	rand  *rand.Rand
	seen  linearState
}

func registerID(i int) string { return fmt.Sprintf("sensor.r%d", i) }

func (c *linearClient) next() *linearOp {
	op := &linearOp{read: c.rand.IntN(registers + 1)}
	if c.rand.IntN(3) == 0 {
		return op
	}
	op.value = c.rand.IntN(1000)
	op.write[c.rand.IntN(registers)] = true
	op.write[c.rand.IntN(registers)] = true
	if c.rand.IntN(4) == 0 {
		// Who repeats the append of a key must want the same.
		op.key = 1 + c.rand.IntN(linearKeys)
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

func (c *linearClient) do(t *testing.T, op *linearOp) *linearResult {
	out := &linearResult{}
	if op.writes() == 0 {
		c.look(op, out)
		return out
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
	span, err := c.s.Append(t.Context(), b)
	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		out.conflict, out.found = true, conflict.Found
	} else if err != nil {
		t.Error(err)
	}
	out.first = span.First
	return out
}

// look reads one register, or all of them at one position.
func (c *linearClient) look(op *linearOp, out *linearResult) {
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

// Appends, with conditions and keys, and reads of the present are linearizable: whatever clients do at the same time,
// there is an order, in which nobody's next operation comes before the previous one, that explains what they were told.
func TestLinearizable(t *testing.T) {
	const clients, operations = 6, 80
	cache := state.New()
	s, _ := open(t, tempDB(t), eventstore.Options{SealAfter: 64, SnapshotEvery: 100}, cache)
	var clock atomic.Int64
	histories := make([][]porcupine.Operation, clients)
	var wg sync.WaitGroup
	for id := range clients {
		wg.Go(func() {
			c := &linearClient{s: s, cache: cache, rand: rand.New(rand.NewPCG(uint64(id), uint64(time.Now().UnixNano())))} //nolint:gosec // a test
			for range operations {
				op := c.next()
				called := clock.Add(1)
				out := c.do(t, op)
				histories[id] = append(histories[id], porcupine.Operation{
					ClientId: id, Input: op, Output: out, Call: called, Return: clock.Add(1),
				})
			}
		})
	}
	wg.Wait()
	var history []porcupine.Operation
	conflicts, repeats, appended := 0, 0, map[eventstore.Position]bool{}
	for _, h := range histories {
		history = append(history, h...)
		for _, o := range h {
			op, out := o.Input.(*linearOp), o.Output.(*linearResult)
			switch {
			case op.writes() == 0:
			case out.conflict:
				conflicts++
			case appended[out.first]:
				repeats++
			default:
				appended[out.first] = true
			}
		}
	}
	model := porcupine.Model{
		Init: func() any { return linearState{} },
		Step: func(before, op, out any) (bool, any) {
			ok, after := before.(linearState).step(op.(*linearOp), out.(*linearResult))
			return ok, after
		},
	}
	if result := porcupine.CheckOperationsTimeout(model, history, time.Minute); result != porcupine.Ok {
		for _, o := range history {
			t.Logf("%d to %d: %+v: %+v", o.Call, o.Return, o.Input, o.Output)
		}
		t.Fatalf("the history is not linearizable: %v", result)
	}
	if conflicts == 0 || repeats == 0 || len(appended) == 0 {
		t.Errorf("%d conflicts, %d repeats, %d appends: not all was tested", conflicts, repeats, len(appended))
	}
}
