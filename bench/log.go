package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// logMeasures are the measures of the log. All of them write to files in the system's directory for temporary ones.
func logMeasures() []Measure {
	return []Measure{
		{"log.append.1", inDir(appendAlone)},
		{"log.append.8", inDir(appendTogether(8, 0.9))},
		{"log.append.64", inDir(appendTogether(64, 0.8))},
		{"log.append.512", inDir(appendTogether(512, 0.5))},
		{"log.append.batch1000", inDir(appendBatches)},
		{"log.replay", inDir(replay)},
		{"log.bytes", inDir(logBytes)},
		{"log.history", inDir(history)},
		{"log.subscribers", inDir(subscribers)},
		{"log.wear", inDir(wear)},
	}
}

// inDir gives a measure a directory on a disk, and removes it afterwards.
func inDir(measure func(dir string) ([]Figure, error)) func() ([]Figure, error) {
	return func() (figures []Figure, err error) {
		dir, err := diskDir()
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		return measure(dir)
	}
}

// diskDir makes a directory for temporary files, all of which are on one disk. It fails in a file system in memory: there a
// sync is free, and everything that syncs would look better than it is.
func diskDir() (string, error) {
	dir, err := os.MkdirTemp("", "statehouse-bench-")
	if err != nil {
		return "", err
	}
	memory, err := inMemory(dir)
	if err == nil && memory {
		err = fmt.Errorf("%s is in memory, where a sync costs nothing: set TMPDIR to a directory on a disk", filepath.Dir(dir))
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(dir))
	}
	return dir, nil
}

// side is one of those that take turns.
type side func() (float64, error)

// takeTurnsOrFail is [takeTurns] for sides that can fail. After the first failure nothing more is done.
func takeTurnsOrFail(rounds int, sides ...side) ([]float64, error) {
	var failed error
	turns := make([]func() float64, len(sides))
	for i, s := range sides {
		turns[i] = func() float64 {
			if failed != nil {
				return 0
			}
			var value float64
			value, failed = s()
			return value
		}
	}
	medians := takeTurns(rounds, turns...)
	return medians, failed
}

// atLeast is the goal that ours is at least ratio times the reference.
func atLeast(ratio float64) *Goal {
	return &Goal{
		Text: fmt.Sprintf("≥ %g×", ratio),
		Met:  func(ours, reference float64) bool { return ours >= ratio*reference },
	}
}

// atMostOf is a goal in the unit of the figure, whatever the reference is.
func atMostOf(value float64, unit string) *Goal {
	return &Goal{
		Text: fmt.Sprintf("≤ %s", amount(value, unit)),
		Met:  func(ours, _ float64) bool { return ours <= value },
	}
}

// atLeastRate is a goal in events a second, whatever the reference is.
func atLeastRate(value float64) *Goal {
	return &Goal{
		Text: fmt.Sprintf("≥ %s", amount(value, "/s")),
		Met:  func(ours, _ float64) bool { return ours >= value },
	}
}

// both is the goal that two goals are reached.
func both(a, b *Goal) *Goal {
	return &Goal{
		Text: a.Text + ", " + b.Text,
		Met:  func(ours, reference float64) bool { return a.Met(ours, reference) && b.Met(ours, reference) },
	}
}

// quantile answers the smallest of the values that a share of them does not exceed. There must be one at least.
func quantile(values []time.Duration, share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, min(len(sorted)-1, int(float64(len(sorted))*share+0.999999)-1))]
}

// microseconds answers a duration as figures have it.
func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// fleetSize is the number of sensors that the events of all measures but log.bytes' recorded house are about.
const fleetSize = 10_000

// fleetSource is as long as the sources of real events are.
const fleetSource = "zigbee2mqtt/default/zigbee2mqtt"

var fleetNames = func() []string {
	names := make([]string, fleetSize)
	for i := range names {
		names[i] = fmt.Sprintf("sensor.fleet_%05d", i)
	}
	return names
}()

// fleet makes reports of sensors one after the other: a number with one decimal each, near that sensor's last one.
type fleet struct {
	rng    *rand.Rand
	tenths []int16
	// next answers which sensor reports next.
	next func() int
	// at is when the next one does.
	at    time.Time
	every time.Duration
	// registers is how many of the sensors are to be registered before the next report.
	registers int
}

// newFleet makes a fleet whose sensors report equally often in random order, one every so often.
func newFleet(every time.Duration) *fleet {
	f := &fleet{rng: rand.New(rand.NewPCG(11, 12)), tenths: make([]int16, fleetSize), at: started, every: every}
	f.next = func() int { return f.rng.IntN(fleetSize) }
	for i := range f.tenths {
		f.tenths[i] = int16(150 + f.rng.IntN(150))
	}
	return f
}

// report answers the next report, at a time in whole microseconds, as programs take them.
func (f *fleet) report() eventstore.Event {
	if f.registers > 0 {
		f.registers--
		return registration(f.registers, f.at)
	}
	i := f.next()
	f.tenths[i] += int16(f.rng.IntN(7) - 3)
	f.at = f.at.Add(f.every)
	jitter := time.Duration(f.rng.Int64N(int64(f.every/time.Microsecond)+1)) * time.Microsecond
	return eventstore.Event{
		Timestamp: f.at.Add(jitter).Truncate(time.Microsecond), Entity: fleetNames[i], Source: fleetSource,
		Payload: sensorPayload(float64(f.tenths[i]) / 10),
	}
}

func (f *fleet) reports(count int) []eventstore.Event {
	events := make([]eventstore.Event, count)
	for i := range events {
		events[i] = f.report()
	}
	return events
}

// registration answers the event that registers a sensor, as one of five of a device.
func registration(i int, at time.Time) eventstore.Event {
	device := fmt.Sprintf("%s/0x%016x", fleetSource, i/5)
	property := []string{"temperature", "humidity", "pressure", "battery", "linkquality"}[i%5]
	return eventstore.Event{
		Timestamp: at.Truncate(time.Microsecond), Entity: fleetNames[i], Source: fleetSource,
		Payload: &eventv1.Payload{Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{
			Entity: &entityv1.Entity{
				Id: fleetNames[i], UniqueId: device + "/" + property, DeviceId: device, Name: property, DeviceClass: property,
				Unit: "%", StateClass: entityv1.StateClass_STATE_CLASS_MEASUREMENT, Property: property, Source: fleetSource,
				Capabilities: &entityv1.Capabilities{Readable: true},
			},
		}}},
	}
}

func sensorPayload(number float64) *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{
		Attributes: &entityv1.Attributes{Domain: &entityv1.Attributes_Sensor{
			Sensor: &entityv1.Sensor{Value: &entityv1.Sensor_Number{Number: number}},
		}},
	}}}
}

// ourLog is a log with a cache of states as its only projector, so that what a reader sees of an event is part of what
// the event costs. It has no registry: of a registry these events change nothing.
type ourLog struct {
	db    *storage.DB
	store *eventstore.Store
	cache *state.Cache
}

// openLog opens a log as the daemon does, with options that are the defaults where a measure does not say otherwise:
// it seals in the background and takes snapshots.
func openLog(path string, opts eventstore.Options) (*ourLog, error) {
	l := &ourLog{cache: state.New()}
	if err := l.open(path, opts, l.cache); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *ourLog) open(path string, opts eventstore.Options, projectors ...eventstore.Projector) error {
	ctx := context.Background()
	var err error
	if l.db, err = storage.Open(ctx, path, storage.Options{}); err != nil {
		return err
	}
	if l.store, err = eventstore.Open(ctx, l.db, opts); err != nil {
		return errors.Join(err, l.db.Close())
	}
	if err := l.store.Start(ctx, projectors...); err != nil {
		return errors.Join(err, l.close())
	}
	return nil
}

func (l *ourLog) close() error { return errors.Join(l.store.Close(), l.db.Close()) }

func (l *ourLog) append(events []eventstore.Event) error {
	_, err := l.store.Append(context.Background(), eventstore.Batch{Events: events})
	return err
}

// simulated is a clock that is set by who uses it.
type simulated struct{ nanos atomic.Int64 }

func (c *simulated) set(t time.Time) { c.nanos.Store(t.UnixNano()) }

func (c *simulated) now() time.Time { return time.Unix(0, c.nanos.Load()) }
