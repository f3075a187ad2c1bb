package eventstore

import (
	"context"
	"errors"
	"slices"
	"testing"

	"golang.org/x/sync/semaphore"
	"pgregory.net/rapid"
)

var errDecision = errors.New("no")

// gated has the writer wait in a decision until open is called.
func gated(t testing.TB, s *Store) (open func()) {
	entered, gate, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_, err := s.Append(context.Background(), Batch{Decide: func(context.Context) ([]Event, error) {
			close(entered)
			<-gate
			return nil, nil
		}})
		if err != nil {
			t.Error(err)
		}
	}()
	<-entered
	return func() { close(gate); <-ended }
}

// sequenceStep is a kind of batch, and its error where nothing before it failed.
type sequenceStep struct {
	name  string
	batch func(e Event) Batch
	want  error
}

var sequenceSteps = []sequenceStep{
	{"events", func(e Event) Batch { return Batch{Events: []Event{e}} }, nil},
	{"decision", func(e Event) Batch { return deciding(e, nil) }, nil},
	{"nothing", func(Event) Batch {
		return Batch{Decide: func(context.Context) ([]Event, error) { return nil, nil }}
	}, nil},
	{"decision fails", func(e Event) Batch { return deciding(e, errDecision) }, errDecision},
	{"projector fails", func(e Event) Batch { e.Source = "refused"; return deciding(e, nil) }, errRefused},
	{"malformed", func(Event) Batch { return Batch{Events: []Event{{Entity: "x"}}} }, ErrInvalid},
	{"malformed decision", func(Event) Batch { return deciding(Event{Entity: "x"}, nil) }, ErrInvalid},
	{"empty", func(Event) Batch { return Batch{} }, ErrInvalid},
	{"condition", func(e Event) Batch { return Batch{Events: []Event{e}, If: []Condition{LogAt(MaxPosition)}} }, ErrConflict},
}

func deciding(e Event, err error) Batch {
	return Batch{Decide: func(context.Context) ([]Event, error) { return []Event{e}, err }}
}

// What sequences add is what they began, in order, up to the first batch of each that failed, whether they share groups or not.
func TestSequences(t *testing.T) {
	s := openInside(t, Options{})
	if err := s.Start(t.Context(), &refuser{}); err != nil {
		t.Fatal(err)
	}
	type begun struct {
		ticket   Ticket
		want     error
		appended bool
	}
	rapid.Check(t, func(rt *rapid.T) {
		base := s.Head()
		if base == 0 {
			if _, err := s.Append(t.Context(), Batch{Events: []Event{systemEvent(1)}}); err != nil {
				rt.Fatal(err)
			}
			base = s.Head()
		}
		open := func() {}
		if rapid.Bool().Draw(rt, "one group") {
			open = gated(t, s)
		}
		var sequences [2]Sequence
		var under [2][]begun
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			i := rapid.IntRange(0, 1).Draw(rt, "sequence")
			step := rapid.SampledFrom(sequenceSteps).Draw(rt, "step")
			e := systemEvent(1 + len(under[i]))
			e.Source = string(rune('a' + i))
			b := begun{want: step.want}
			if n := len(under[i]); n > 0 && under[i][n-1].want != nil {
				b.want = ErrEarlier
				if step.name == "malformed" || step.name == "empty" {
					b.want = ErrInvalid // it was not even queued
				}
			}
			b.appended = b.want == nil && step.name != "nothing"
			b.ticket = s.Begin(t.Context(), &sequences[i], step.batch(e))
			under[i] = append(under[i], b)
		}
		open()
		total := 0
		for i := range under {
			last := base
			for _, b := range under[i] {
				span, err := b.ticket.Wait()
				if !errors.Is(err, b.want) || b.want == nil && err != nil {
					rt.Errorf("sequence %d: %v, want %v", i, err, b.want)
				}
				if (span.Len() == 1) != b.appended || b.appended && span.First <= last {
					rt.Errorf("sequence %d: %v after %d, appended %v", i, span, last, b.appended)
				}
				if b.appended {
					last, total = span.Last, total+1
				}
			}
			if span, err := s.Begin(t.Context(), &sequences[i], deciding(systemEvent(1), nil)).Wait(); err != nil || span.Len() != 1 {
				rt.Errorf("when all were waited for: %v, %v", span, err)
			}
		}
		if got := int(s.Head() - base); got != total+2 {
			rt.Errorf("%d events were added, want %d", got, total+2)
		}
	})
}

// A batch that is dropped since its context ended takes along those behind it, also those of another context.
func TestSequenceIsCancelled(t *testing.T) {
	s := openInside(t, Options{})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	open := gated(t, s)
	var q Sequence
	ctx, cancel := context.WithCancel(t.Context())
	tickets := []Ticket{
		s.Begin(t.Context(), &q, deciding(systemEvent(1), nil)),
		s.Begin(ctx, &q, deciding(systemEvent(2), nil)),
		s.Begin(t.Context(), &q, deciding(systemEvent(3), nil)),
	}
	cancel()
	tickets = append(tickets, s.Begin(ctx, &q, deciding(systemEvent(4), nil)), s.Begin(t.Context(), &q, deciding(systemEvent(5), nil)))
	if _, err := tickets[1].Wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled one: %v", err)
	}
	open()
	for i, want := range map[int]error{0: nil, 2: ErrEarlier, 3: context.Canceled, 4: ErrEarlier} {
		if _, err := tickets[i].Wait(); !errors.Is(err, want) {
			t.Errorf("ticket %d: %v, want %v", i, err, want)
		}
	}
	if s.Head() != 1 {
		t.Errorf("the log ends at %d", s.Head())
	}
}

// Who fills the queue without waiting for anything waits for room, and gets it. Tickets that nobody waits for are done with like others.
func TestSequenceFillsTheQueue(t *testing.T) {
	s := openInside(t, Options{})
	s.room, s.queue = semaphore.NewWeighted(3*decisionSize), make(chan *request, 1)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var q Sequence
	const n = 50
	for i := range n {
		s.Begin(t.Context(), &q, deciding(systemEvent(1+i%3), nil))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Head != n || st.QueuedBatches != 0 || !hasRoom(s, 3*decisionSize) {
		t.Errorf("in the end: %+v", st)
	}
	if _, err := s.Begin(t.Context(), &q, deciding(systemEvent(1), nil)).Wait(); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// Batches that one caller has under way share a group.
func TestSequenceSharesAGroup(t *testing.T) {
	s := openInside(t, Options{})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	open := gated(t, s)
	before := s.Stats().Groups
	var q Sequence
	var tickets []Ticket
	for range 10 {
		tickets = append(tickets, s.Begin(t.Context(), &q, deciding(systemEvent(1), nil)))
	}
	open()
	var at []Position
	for _, ticket := range tickets {
		span, err := ticket.Wait()
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, span.First)
	}
	if groups := s.Stats().Groups - before; groups > 2 || !slices.IsSorted(at) { // the gate's may be one of its own
		t.Errorf("%d groups; events at %v", groups, at)
	}
}

// What a batch is begun with is copied: its caller may use the memory again while it is under way.
func TestBeginCopiesItsBatch(t *testing.T) {
	s := openInside(t, Options{})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	open := gated(t, s)
	var q Sequence
	batch := Batch{Events: []Event{systemEvent(1)}, If: []Condition{LogAt(0)}}
	ticket := s.Begin(t.Context(), &q, batch)
	batch.Events[0], batch.If[0] = Event{}, LogAt(99)
	open()
	if span, err := ticket.Wait(); err != nil || span.Len() != 1 {
		t.Errorf("%v, %v", span, err)
	}
}

// The answer to a batch that could not even be begun is why, also where the context has ended since.
func TestWaitingForWhatWasNotBegun(t *testing.T) {
	s := openInside(t, Options{})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 64 { // one of two would do to be right by chance
		ctx, cancel := context.WithCancel(t.Context())
		var q Sequence
		ticket := s.Begin(ctx, &q, Batch{})
		cancel()
		if _, err := ticket.Wait(); !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	}
}
