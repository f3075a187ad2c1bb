package eventstore

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// Position is an event's place in the one total order of a log. The first event has position 1, and there are no gaps.
type Position uint64

const (
	// FromStart is the position before every event: reading after it reads everything, and fails with [ErrCompacted] once
	// events have been removed.
	FromStart Position = 0
	// FromOldest is the position before the oldest event that is there when a read or a subscription begins.
	FromOldest Position = 1<<64 - 2
	// FromNow is the position of whatever event is the last one when a subscription begins.
	FromNow Position = 1<<64 - 1
	// MaxPosition is the highest position that a log can reach.
	MaxPosition Position = 1<<63 - 1
)

// Event is one fact in the log.
//
// The caller of [Store.Append] fills Timestamp, Entity, Source, CorrelationID, CausePosition and Payload; Position,
// RecordedAt and Kind are the store's and are ignored there. An event that the store hands out is shared: neither it
// nor its payload may be modified.
type Event struct {
	// Position is the event's place in the log, from 1.
	Position Position
	// RecordedAt is when the store accepted the event, in UTC. It never decreases from one event to the next.
	RecordedAt time.Time
	// Timestamp is when it happened, as the source says, in UTC with nanoseconds, from behind 1970's first moment to 2262. The zero time in
	// an append means that the source does not say, and stands for RecordedAt.
	Timestamp time.Time
	// Kind follows from the payload: the name of the field that is set in it, or the kind of a custom one.
	Kind Kind
	// Entity is the id of the entity that the event is about, empty where it is about none.
	Entity string
	// Source says who reported the fact: "zigbee2mqtt", "api:alice".
	Source string
	// CorrelationID ties events together that belong together. Empty in an append means the batch's own, which is
	// "@" and the position of the batch's first event.
	CorrelationID string
	// CausePosition is the position of the event that caused this one, 0 where none is known. It is before this one's own; a
	// decision, which knows the positions that its events get, may name an event of the same batch.
	CausePosition Position
	// Payload is what the event says.
	Payload *eventv1.Payload
}

// Kind names what sort of fact an event is.
type Kind string

// The kinds that the store itself knows. Every other kind is an embedder's own and has at least one dot in its name.
const (
	KindStateChanged       Kind = "state_changed"
	KindStateReported      Kind = "state_reported"
	KindEntityRegistered   Kind = "entity_registered"
	KindEntityUnregistered Kind = "entity_unregistered"
	KindEntityRenamed      Kind = "entity_renamed"
	KindDeviceRegistered   Kind = "device_registered"
	KindDeviceUnregistered Kind = "device_unregistered"
	KindAreaRegistered     Kind = "area_registered"
	KindAreaUnregistered   Kind = "area_unregistered"
	KindCommandIssued      Kind = "command_issued"
	KindCommandSettled     Kind = "command_settled"
	KindSystem             Kind = "system"
	KindHistoryRemoved     Kind = "history_removed"
)

// KindOf is the kind that a payload stands for, empty for a payload that says nothing.
func KindOf(p *eventv1.Payload) Kind {
	switch k := p.GetKind().(type) {
	case *eventv1.Payload_StateChanged:
		return KindStateChanged
	case *eventv1.Payload_StateReported:
		return KindStateReported
	case *eventv1.Payload_EntityRegistered:
		return KindEntityRegistered
	case *eventv1.Payload_EntityUnregistered:
		return KindEntityUnregistered
	case *eventv1.Payload_EntityRenamed:
		return KindEntityRenamed
	case *eventv1.Payload_DeviceRegistered:
		return KindDeviceRegistered
	case *eventv1.Payload_DeviceUnregistered:
		return KindDeviceUnregistered
	case *eventv1.Payload_AreaRegistered:
		return KindAreaRegistered
	case *eventv1.Payload_AreaUnregistered:
		return KindAreaUnregistered
	case *eventv1.Payload_CommandIssued:
		return KindCommandIssued
	case *eventv1.Payload_CommandSettled:
		return KindCommandSettled
	case *eventv1.Payload_System:
		return KindSystem
	case *eventv1.Payload_HistoryRemoved:
		return KindHistoryRemoved
	case *eventv1.Payload_Custom:
		return Kind(k.Custom.GetKind())
	default:
		return ""
	}
}

// Limits of what one append may carry.
const (
	// MaxEntityID is the longest entity id, in bytes.
	MaxEntityID = 255
	// MaxName is the longest source, correlation id and custom kind, in bytes.
	MaxName = 255
	// MaxEventBytes is the largest encoded event.
	MaxEventBytes = 4 << 20
	// MaxBatchBytes is the largest encoded batch.
	MaxBatchBytes = 128 << 20
	// MaxBatchEvents is the most events that one batch may have.
	MaxBatchEvents = 1 << 20
)

// CheckEntityID returns nil for a well-formed entity id, "<domain>.<name>", and otherwise an error that matches
// [ErrInvalid] and says what is wrong.
func CheckEntityID(id string) error {
	if len(id) > MaxEntityID {
		return fmt.Errorf("%w: entity id %.40q… has %d bytes, at most %d are allowed", ErrInvalid, id, len(id), MaxEntityID)
	}
	domain, name, ok := strings.Cut(id, ".")
	if !ok || domain == "" || name == "" {
		return fmt.Errorf("%w: entity id %q is not <domain>.<name>, as in light.kitchen", ErrInvalid, id)
	}
	for i := range len(id) {
		c := id[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || i == len(domain) {
			continue
		}
		return fmt.Errorf("%w: entity id %q has %q at byte %d; only a-z, 0-9 and _ are allowed around the one dot",
			ErrInvalid, id, id[i:i+1], i)
	}
	return nil
}

// check says what keeps an event from being appended, nil for nothing.
func (e *Event) check() error {
	kind := KindOf(e.Payload)
	if kind == "" {
		return fmt.Errorf("%w: the event has no payload", ErrInvalid)
	}
	if c := e.Payload.GetCustom(); c != nil {
		if !strings.Contains(c.GetKind(), ".") || len(c.GetKind()) > MaxName {
			return fmt.Errorf("%w: custom kind %.60q must have a dot and at most %d bytes, as in acme.door_opened",
				ErrInvalid, c.GetKind(), MaxName)
		}
	}
	if e.Entity != "" || kind.needsEntity() {
		if err := CheckEntityID(e.Entity); err != nil {
			return err
		}
	}
	if err := checkKindFields(e); err != nil {
		return err
	}
	for _, f := range [...]struct{ name, value string }{{"source", e.Source}, {"correlation id", e.CorrelationID}} {
		if len(f.value) > MaxName || !utf8.ValidString(f.value) {
			return fmt.Errorf("%w: %s %.60q must be UTF-8 of at most %d bytes", ErrInvalid, f.name, f.value, MaxName)
		}
	}
	if strings.HasPrefix(e.CorrelationID, "@") {
		return fmt.Errorf("%w: correlation id %q begins with @, which the store keeps for its own", ErrInvalid, e.CorrelationID)
	}
	if e.CausePosition > MaxPosition {
		return fmt.Errorf("%w: cause position %d is beyond the highest possible one", ErrInvalid, e.CausePosition)
	}
	if !e.Timestamp.IsZero() && !storable(e.Timestamp) {
		return fmt.Errorf("%w: timestamp %s is outside %s to %s", ErrInvalid, e.Timestamp.Format(time.RFC3339Nano),
			minTime.Format(time.RFC3339Nano), maxTime.Format(time.RFC3339Nano))
	}
	return nil
}

// Times are stored as nanoseconds in 64 bits, which reach from 1678 to 2262; nothing recorded is older than 1970.
var (
	minTime = time.Unix(0, 1).UTC()
	maxTime = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
)

func storable(t time.Time) bool { return !t.Before(minTime) && !t.After(maxTime) }

// needsEntity says that an event of this kind is meaningless without an entity.
func (k Kind) needsEntity() bool {
	switch k {
	case KindStateChanged, KindStateReported, KindEntityRegistered, KindEntityUnregistered, KindEntityRenamed,
		KindCommandIssued, KindCommandSettled:
		return true
	default:
		return false
	}
}

// ofHouse says that an event of this kind is about a device or an area, and so about no entity.
func (k Kind) ofHouse() bool {
	switch k {
	case KindDeviceRegistered, KindDeviceUnregistered, KindAreaRegistered, KindAreaUnregistered:
		return true
	default:
		return false
	}
}

// checkKindFields checks what an event of each kind must name, and what it must not. It is for what is appended alone: logs of
// before may have devices and areas with an entity, and are read as they are.
func checkKindFields(e *Event) error {
	kind := KindOf(e.Payload)
	missing := func(what string) error {
		return fmt.Errorf("%w: %s without %s", ErrInvalid, kind, what)
	}
	// With an entity on it, who may write that one would seem to be one who may change the house.
	if e.Entity != "" && kind.ofHouse() {
		return fmt.Errorf("%w: the event is about %q, and %s is about no entity", ErrInvalid, e.Entity, kind)
	}
	switch p := e.Payload.GetKind().(type) {
	case *eventv1.Payload_StateChanged:
		if p.StateChanged.GetAttributes() == nil {
			return missing("attributes")
		}
	case *eventv1.Payload_EntityRegistered:
		if id := p.EntityRegistered.GetEntity().GetId(); id != e.Entity {
			return fmt.Errorf("%w: the event is about %q and registers %q", ErrInvalid, e.Entity, id)
		}
	case *eventv1.Payload_EntityRenamed:
		return CheckEntityID(p.EntityRenamed.GetNewId())
	case *eventv1.Payload_DeviceRegistered:
		if p.DeviceRegistered.GetDevice().GetId() == "" {
			return missing("a device id")
		}
	case *eventv1.Payload_DeviceUnregistered:
		if p.DeviceUnregistered.GetDeviceId() == "" {
			return missing("a device id")
		}
	case *eventv1.Payload_AreaRegistered:
		if p.AreaRegistered.GetArea().GetId() == "" {
			return missing("an area id")
		}
	case *eventv1.Payload_AreaUnregistered:
		if p.AreaUnregistered.GetAreaId() == "" {
			return missing("an area id")
		}
	case *eventv1.Payload_CommandIssued:
		if p.CommandIssued.GetAction() == "" {
			return missing("an action")
		}
	case *eventv1.Payload_CommandSettled:
		if p.CommandSettled.GetCommand() == 0 {
			return missing("the position of the command")
		}
		if p.CommandSettled.GetOutcome() == eventv1.CommandOutcome_COMMAND_OUTCOME_UNSPECIFIED {
			return missing("an outcome")
		}
	}
	return nil
}
