package powercut

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/internal/faults/load"
)

// sum is a hash of everything that a reader sees of an event.
type sum [sha256.Size]byte

func sumOf(e eventstore.Event) (sum, error) {
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(e.Payload)
	if err != nil {
		return sum{}, err
	}
	b := make([]byte, 0, 256)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Position))
	b = binary.BigEndian.AppendUint64(b, uint64(e.RecordedAt.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Timestamp.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(e.CausePosition))
	b = fmt.Appendf(b, "%q %q %q %v ", e.Entity, e.Source, e.CorrelationID, e.Kind)
	return sha256.Sum256(append(b, payload...)), nil
}

// readLog reads a house's log, which has to make its present, and returns it, and behind which position it begins. Each event
// is given to each, which may be nil.
func readLog(ctx context.Context, h *statehouse.House, each func(e eventstore.Event) error) (base eventstore.Position, log []sum, err error) {
	base, _ = h.Base()
	err = check.Quick(ctx, h, func(e eventstore.Event) error {
		s, err := sumOf(e)
		log = append(log, s)
		if err == nil && each != nil {
			err = each(e)
		}
		return err
	})
	return base, log, err
}

// messages finds a fleet's messages in a log.
type messages struct {
	fleet load.Fleet
	// at is the position that was read.
	at int
	// whole are those that are there, with all that they changed, and where they end.
	whole map[int]int
	// devices is how many of them are registered.
	devices int
	// n and got are the message whose changes are being read, and how many of them were.
	n, got int
}

func newMessages(f load.Fleet) *messages { return &messages{fleet: f, whole: map[int]int{}} }

// add takes the next event.
func (m *messages) add(e eventstore.Event) error {
	defer func() { m.at++ }()
	if e.Payload.GetDeviceRegistered() != nil {
		m.devices++
	}
	n, ok := number(e)
	if !ok || n <= load.List {
		return m.end()
	}
	if n != m.n {
		if err := m.end(); err != nil {
			return err
		}
	}
	m.n = n
	m.got++
	return nil
}

// end ends the message whose changes were read.
func (m *messages) end() error {
	if m.got > 0 {
		if m.got != m.fleet.Sensors {
			return fmt.Errorf("message %d: %d of its %d changes are in the log", m.n, m.got, m.fleet.Sensors)
		}
		if m.whole[m.n] == 0 { // what is retained comes again at a start
			m.whole[m.n] = m.at
		}
	}
	m.got = 0
	return nil
}

// number is the number that a sensor of the fleet has after an event.
func number(e eventstore.Event) (int, bool) {
	if !strings.HasPrefix(e.Entity, "sensor.device_") {
		return 0, false
	}
	v, ok := e.Payload.GetStateChanged().GetAttributes().GetSensor().GetValue().(*entityv1.Sensor_Number)
	if !ok {
		return 0, false
	}
	return int(v.Number), true
}

// missing says what of the acknowledged messages is not there, nil for nothing.
func (m *messages) missing(acked []int) error {
	for _, n := range acked {
		switch {
		case n != load.List && m.whole[n] == 0:
			return fmt.Errorf("%w: message %d was acknowledged and is not in the log", ErrLost, n)
		case n == load.List && m.devices < m.fleet.Devices:
			return fmt.Errorf("%w: the list of devices was acknowledged and is not in the log", ErrLost)
		}
	}
	return nil
}
