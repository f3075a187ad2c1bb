package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
)

// fedHouse is a house with an embedded broker, of which what is retained is fetched by meddle: with the broker's own look-up.
type fedHouse struct {
	house  *statehouse.House
	broker *broker.Broker
	intake *intake
	took   chan int
}

func newFedHouse(t *testing.T, meddle func(h *fedHouse, topic string) (mqtt.Message, bool)) *fedHouse {
	t.Helper()
	house, err := statehouse.OpenContext(t.Context(), filepath.Join(t.TempDir(), "home.db"), statehouse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &fedHouse{house: house, took: make(chan int, 1000)}
	feed := newRetainedFeed(func(n int) { h.took <- n })
	engine := discovery.NewEngine(house, discovery.NewHomeAssistant(discovery.HomeAssistantOptions{}), discovery.Options{Subscriber: feed})
	h.intake = newIntake([]dialect.Dialect{engine}, nil, true)
	if h.broker, err = broker.Start(t.Context(), broker.Options{Address: "127.0.0.1:0", Handler: h.intake}); err != nil {
		t.Fatal(err)
	}
	if err := h.intake.open(t.Context(), h.broker.Retained); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { engine.Run(ctx) })
	running.Go(func() {
		feed.run(ctx, h.intake, func(topic string) (mqtt.Message, bool) { return meddle(h, topic) })
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		if err := h.broker.Close(); err != nil {
			t.Error(err)
		}
		if err := house.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// hear is a message that the broker has taken: it is handled, and then retained.
func (h *fedHouse) hear(t *testing.T, topic, payload string, retain bool) {
	t.Helper()
	if err := h.intake.Handle(t.Context(), mqtt.Message{Topic: topic, Payload: []byte(payload), Retain: retain, QoS: 1, ReceivedAt: mqtt.Now()}); err != nil {
		t.Fatal(err)
	}
	if retain {
		h.retain(t, topic, payload)
	}
}

func (h *fedHouse) retain(t *testing.T, topic, payload string) {
	t.Helper()
	if err := h.broker.Publish(t.Context(), topic, []byte(payload), 1, true); err != nil {
		t.Fatal(err)
	}
}

// text is what an entity says.
func (h *fedHouse) text(id string) string {
	st, _ := h.house.Now().State.Get(id)
	return st.Attributes.GetSensor().GetText()
}

const announcedOn, announced = "homeassistant/sensor/x/config",
	`{"name":null,"unique_id":"x","state_topic":"x/state","device":{"identifiers":["d"],"name":"X"}}`

// What is retained is never recorded after a message that was taken in later, whenever that comes: also one that is not retained, and
// one that is recorded and not in the broker's file yet.
func TestWhatIsRetainedIsOvertaken(t *testing.T) {
	for name, retain := range map[string]bool{"the device retains": true, "it does not": false} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, before the look-up %t", name, before), func(t *testing.T) {
				var once sync.Once
				h := newFedHouse(t, func(h *fedHouse, topic string) (mqtt.Message, bool) {
					speak := func() {
						if topic == "x/state" {
							once.Do(func() { h.hear(t, topic, "2", retain) })
						}
					}
					if before {
						m, ok := h.broker.RetainedOn(topic) // the file does not have it yet
						speak()
						return m, ok
					}
					speak()
					return h.broker.RetainedOn(topic)
				})
				h.hear(t, "x/state", "1", true)
				h.hear(t, announcedOn, announced, true)
				<-h.took
				if got := h.text("sensor.x"); got != "2" {
					t.Errorf("the device said 2 last, and the state is %q", got)
				}
				// It says again what it is, and so does everybody.
				h.hear(t, announcedOn, announced, true)
				<-h.took
				if got := h.text("sensor.x"); got != "2" {
					t.Errorf("the device said 2 last, and the state is %q", got)
				}
			})
		}
	}
}

// What an engine subscribed to is for engines: the other dialects had what was retained, and what came since is newer.
func TestTheFeedIsForEnginesAlone(t *testing.T) {
	other := &taker{}
	in := newIntake([]dialect.Dialect{other}, nil, true)
	if err := in.fetched(t.Context(), mqtt.Message{Topic: "x/state", Payload: []byte("1"), Retained: true}); err != nil || other.taken != 0 {
		t.Errorf("a dialect that subscribes to nothing got %d messages (%v)", other.taken, err)
	}
}

// taker is a dialect that wants everything.
type taker struct {
	dialect.Dialect
	taken int
}

func (*taker) Wants(string) bool { return true }

func (d *taker) Handle(context.Context, mqtt.Message) error {
	d.taken++
	return nil
}

// faulty is a dialect that panics over messages whose payload says where.
type faulty struct {
	dialect.Intake
	log bytes.Buffer
}

func newFaulty(house dialect.House) *faulty {
	d := &faulty{}
	d.Init(house, "faulty", dialect.Options{Logger: slog.New(slog.NewTextHandler(&d.log, nil))})
	return d
}

func (*faulty) Filters() []string          { return []string{"#"} }
func (*faulty) Wants(string) bool          { return true }
func (*faulty) Claim(string) dialect.Claim { return dialect.Claim{} }

func (*faulty) Render(dialect.Target, command.Checked) (dialect.Rendered, error) {
	return dialect.Rendered{}, errors.New("nothing")
}

func (*faulty) panicIn(where string, m mqtt.Message) {
	if string(m.Payload) == where {
		panic("over " + where)
	}
}

func (d *faulty) Handle(ctx context.Context, m mqtt.Message) error {
	d.panicIn("Handle", m)
	return d.Decide(ctx, m, d.decision(m))
}

func (d *faulty) decision(m mqtt.Message) func(p statehouse.Pending) (*dialect.Batch, error) {
	return func(p statehouse.Pending) (*dialect.Batch, error) {
		d.panicIn("decide", m)
		return d.NewBatch(p, m.ReceivedAt), nil
	}
}

func (d *faulty) Begin(ctx context.Context, q *eventstore.Sequence, m mqtt.Message) func() error {
	d.panicIn("Begin", m)
	wait := d.Intake.Begin(ctx, q, m, d.decision(m))
	return func() error {
		d.panicIn("wait", m)
		again, err := wait()
		if again {
			return d.Decide(ctx, m, d.decision(m))
		}
		return err
	}
}

// A message over which its dialect panics is dropped, counted and complained of, with the stack: it would panic again, and its broker has
// all that comes after it behind it. Nor does what a broker had retained end the process.
func TestAPanicCostsItsMessage(t *testing.T) {
	house, err := statehouse.OpenContext(t.Context(), filepath.Join(t.TempDir(), "home.db"), statehouse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = house.Close() }()
	message := func(payload string) mqtt.Message {
		return mqtt.Message{Topic: "a/" + payload, Payload: []byte(payload), ReceivedAt: mqtt.Now()}
	}
	for _, where := range []string{"Handle", "decide", "Begin", "wait"} {
		for _, way := range []string{"handled", "in a sequence", "retained"} {
			d := newFaulty(house)
			in := newIntake([]dialect.Dialect{d}, nil, true)
			var took error
			panics := where == "Handle" || where == "decide"
			switch way {
			case "retained":
				took = in.open(t.Context(), func(string) iter.Seq[mqtt.Message] { return slices.Values([]mqtt.Message{message(where)}) })
			case "handled":
				close(in.opened)
				took = in.Handle(t.Context(), message(where))
			default:
				close(in.opened)
				panics = where != "Handle"
				q := in.Sequence()
				bad, good := q.Begin(t.Context(), message(where)), q.Begin(t.Context(), message("good"))
				took = errors.Join(bad(), good())
			}
			if took != nil {
				t.Errorf("%s, %s: not accepted: %v", where, way, took)
			}
			if n := d.Stats().Ignored[dialect.ReasonFault]; (n == 1) != panics || strings.Contains(d.log.String(), "intake_test.go") != panics {
				t.Errorf("%s, %s: %d dropped, logged:\n%s", where, way, n, &d.log)
			}
		}
	}
}

// A device that starts says what it is, and a moment later, which is when what it had retained is fetched, how it is. What it said
// last, and was acknowledged, is what is recorded last.
func TestADeviceThatStarts(t *testing.T) {
	d := start(t, testConfig(t), Options{})
	thing := connect(t, d)
	const n = 12
	for i := range n {
		thing.say(t, fmt.Sprintf("x%d/state", i), "1", true)
	}
	for i := range n {
		thing.say(t, fmt.Sprintf("homeassistant/sensor/x%d/config", i),
			fmt.Sprintf(`{"name":"X%d","unique_id":"x%d","state_topic":"x%d/state","device":{"identifiers":["d%d"],"name":"D%d"}}`, i, i, i, i, i), true)
		time.Sleep(time.Duration(46+i%8) * time.Millisecond)
		thing.say(t, fmt.Sprintf("x%d/state", i), "2", true)
	}
	last := map[string]string{}
	for e, err := range d.house.Read(t.Context(), eventstore.Query{Kinds: []eventstore.Kind{eventstore.KindStateChanged}}) {
		if err != nil {
			t.Fatal(err)
		}
		last[e.Entity] = e.Payload.GetStateChanged().GetAttributes().GetSensor().GetText()
	}
	if len(last) != n {
		t.Errorf("%d entities have a state, not %d", len(last), n)
	}
	for id, text := range last {
		if text != "2" {
			t.Errorf("%s said 2 last, and the state is %q", id, text)
		}
	}
}
