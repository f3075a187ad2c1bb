package dialect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// House is where events go. [*statehouse.House] is one.
type House interface {
	Decide(ctx context.Context, decide func(p statehouse.Pending) ([]eventstore.Event, error)) (eventstore.Span, error)
}

// Intake is what every dialect has: the house, and what it counts and complains of. A dialect embeds one.
type Intake struct {
	house      House
	source     string
	log        *slog.Logger
	Counters   Counters
	complaints mqtt.Complaints
	options    Options
}

// Options are what all dialects let be set. The zero value works.
type Options struct {
	// SilentAfter is for how long an entity must have been silent for a report that changes nothing to be an event.
	// Zero means one hour.
	SilentAfter time.Duration
	// MaxEntities is the most entities that the house may have for the dialect to add one, those of other sources and
	// those that are gone and remembered included. Zero means 100,000. A device that would bring more is left out.
	MaxEntities int
	// MinInterval is the least time between two events about an entity of which nothing differs but numbers that it measures;
	// what comes sooner is counted and not recorded. nil, or zero for an entity, means none.
	MinInterval func(entity string) time.Duration
	// Logger takes complaints; nil means none.
	Logger *slog.Logger
}

const (
	defaultSilentAfter = time.Hour
	// DefaultMaxEntities is that of [Options].MaxEntities.
	DefaultMaxEntities = 100_000
)

// Init makes the intake ready. Source names the dialect in its events and in the registry entries that it makes.
func (in *Intake) Init(house House, source string, opts Options) {
	if opts.SilentAfter == 0 {
		opts.SilentAfter = defaultSilentAfter
	}
	if opts.MaxEntities == 0 {
		opts.MaxEntities = DefaultMaxEntities
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	in.house, in.source, in.log, in.options = house, source, opts.Logger, opts
}

// House is where the dialect's events go.
func (in *Intake) House() House { return in.house }

// Source names the dialect in its events and in the registry entries that it makes.
func (in *Intake) Source() string { return in.source }

// NewBatch begins a decision whose events are of the time at.
func (in *Intake) NewBatch(p statehouse.Pending, at time.Time) *Batch {
	return &Batch{
		Pending: p, Source: in.source, At: at, SilentAfter: in.options.SilentAfter, MaxEntities: in.options.MaxEntities,
		MinInterval: in.options.MinInterval,
	}
}

// Stats returns the counts so far.
func (in *Intake) Stats() Stats {
	s := in.Counters.stats()
	s.Suppressed = in.complaints.Total()
	return s
}

// Complain counts a message that is dropped and logs it, if there is room for it.
func (in *Intake) Complain(m mqtt.Message, reason Reason, err error) {
	in.Counters.Ignore(reason)
	suppressed, ok := in.complaints.Allow(m.Topic, m.ReceivedAt)
	if !ok {
		return
	}
	problem, level := "", slog.LevelWarn
	if err != nil {
		problem = mqtt.Clip(err.Error())
	}
	if errors.Is(err, ErrFault) { // ours to mend: the stack with it
		problem, level = err.Error(), slog.LevelError
	}
	in.log.Log(context.Background(), level, "message dropped", "source", in.source, "topic", mqtt.Clip(m.Topic), "bytes", len(m.Payload),
		"client", mqtt.Clip(m.Client), "reason", string(reason), "error", problem, "suppressed_before", suppressed)
}

// Contain has f do something with a message. Where that panics the message is dropped, counted and complained of, and nil is
// returned: it would panic again, and hold up all that its broker has behind it.
func (in *Intake) Contain(m mqtt.Message, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = nil
			in.Complain(m, ReasonFault, panicked(p))
		}
	}()
	return f()
}

// ErrFault is what a decision that panicked fails with. Its text has the stack.
var ErrFault = errors.New("panic")

// panicked is called where the stack still says where that was.
func panicked(p any) error { return fmt.Errorf("%w: %v\n%s", ErrFault, p, debug.Stack()) }

// Decide runs one decision about a message and counts what came of it. A message whose events the log refuses for what
// they are is dropped: it would be refused again. So is one whose decision panics; see [Intake.Contain]. Any other error of the decision or
// of the house is returned.
func (in *Intake) Decide(ctx context.Context, m mqtt.Message, decide func(statehouse.Pending) (*Batch, error)) error {
	_, err := in.Take(ctx, m, decide)
	return err
}

// Take is Decide for those who keep what they decided: taken says that it is in the log, and false without an error that the
// message was dropped.
func (in *Intake) Take(ctx context.Context, m mqtt.Message, decide func(statehouse.Pending) (*Batch, error)) (taken bool, err error) {
	d := decision{decide: decide}
	_, err = in.house.Decide(ctx, d.run)
	return err == nil, in.settle(m, &d, err)
}

// Begin is Decide in two steps, as one of a sequence: the function that it returns waits for what becomes of the decision, and
// says whether it is to be done again, since it came to nothing because of one before it. nil says that the house has no sequences.
func (in *Intake) Begin(ctx context.Context, q *eventstore.Sequence, m mqtt.Message,
	decide func(statehouse.Pending) (*Batch, error)) (wait func() (again bool, err error)) {
	house, ok := in.house.(beginner)
	if !ok {
		return nil
	}
	d := &decision{decide: decide}
	ticket := house.Begin(ctx, q, d.run)
	return func() (again bool, err error) {
		_, err = ticket.Wait()
		if errors.Is(err, eventstore.ErrEarlier) {
			return ctx.Err() == nil, err
		}
		return false, in.settle(m, d, err)
	}
}

// beginner is a [House] that has sequences.
type beginner interface {
	Begin(ctx context.Context, q *eventstore.Sequence, decide func(p statehouse.Pending) ([]eventstore.Event, error)) eventstore.Ticket
}

// decision is one about a message, and what its last run came to.
type decision struct {
	decide            func(statehouse.Pending) (*Batch, error)
	recorded, tooSoon int
	tooMany           error
}

// run is the decision as the house has it.
func (d *decision) run(p statehouse.Pending) (events []eventstore.Event, err error) {
	defer func() {
		if p := recover(); p != nil {
			events, err = nil, panicked(p)
		}
	}()
	b, err := d.decide(p)
	if err != nil {
		return nil, err
	}
	d.recorded, d.tooMany, d.tooSoon = len(b.Events), b.TooMany(), b.tooSoon
	return b.Events, nil
}

// settle counts what came of a decision.
func (in *Intake) settle(m mqtt.Message, d *decision, err error) error {
	if err == nil {
		for range d.tooSoon {
			in.Counters.Ignore(ReasonTooSoon)
		}
	}
	if err == nil && d.tooMany != nil {
		in.Complain(m, ReasonTooMany, d.tooMany)
	}
	switch {
	case errors.Is(err, eventstore.ErrTooLarge):
		in.Complain(m, ReasonTooLarge, err)
		return nil
	case errors.Is(err, ErrFault):
		in.Complain(m, ReasonFault, err)
		return nil
	case errors.Is(err, eventstore.ErrInvalid):
		in.Complain(m, ReasonMalformed, err)
		return nil
	case err != nil:
		return err
	case d.recorded == 0 && m.Retained && d.tooMany == nil:
		in.Counters.Ignore(ReasonRetained)
	case d.recorded == 0 && d.tooMany == nil && d.tooSoon == 0:
		in.Counters.Ignore(ReasonUnchanged)
	}
	in.Counters.Events.Add(uint64(d.recorded))
	return nil
}
