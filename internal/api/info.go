package api

import (
	"time"

	"github.com/statehouse/statehouse/eventstore"
)

// Status says in a word how a daemon does.
type Status string

// What a Status can be.
const (
	// StatusReplaying: the log is being read; there is no state yet.
	StatusReplaying Status = "replaying"
	// StatusReady: everything works.
	StatusReady Status = "ready"
	// StatusReadOnly: the store cannot write, at present or because the log is damaged; what was recorded can be read.
	StatusReadOnly Status = "read_only"
	// StatusNotReady: a part of the daemon other than its store is not ready.
	StatusNotReady Status = "not_ready"
	// StatusClosing: the daemon is about to end.
	StatusClosing Status = "closing"
)

// DamageHeader is the header of every answer of a daemon whose log is damaged and can only be read: it says what is wrong.
const DamageHeader = "Statehouse-Damage"

// Health says how a daemon does: the answer of /readyz and, as Status and nothing else, of /healthz.
type Health struct {
	Status Status `json:"status"`
	// Reason says why it is not ready, for people.
	Reason string `json:"reason,omitempty"`
	// Warnings are what deserves a look although everything works.
	Warnings []string            `json:"warnings,omitempty"`
	Position eventstore.Position `json:"position"`
}

// Info is a daemon and its database at a glance.
type Info struct {
	Health
	Version string `json:"version"`
	// Database is the uuid of the database's file.
	Database string `json:"database"`
	// RecordedAt is when the last event was recorded, left out where there is none.
	RecordedAt *time.Time `json:"recorded_at,omitempty"`
	// Oldest is the oldest moment that can be asked for, left out where nothing of the history has been removed.
	Oldest    *Oldest   `json:"oldest,omitempty"`
	Entities  int       `json:"entities"`
	Devices   int       `json:"devices"`
	Areas     int       `json:"areas"`
	Recovered Recovered `json:"recovered"`
	Verified  Verified  `json:"verified"`
}

// Oldest is the moment behind the last event that has been removed.
type Oldest struct {
	Position   eventstore.Position `json:"position"`
	RecordedAt time.Time           `json:"recorded_at"`
}

// Recovered is what the start of the daemon found and did.
type Recovered struct {
	Position eventstore.Position `json:"position"`
	// Snapshot is the position of the snapshot that was used, 0 for none, and Replayed the number of events folded
	// after it.
	Snapshot eventstore.Position `json:"snapshot"`
	Replayed uint64              `json:"replayed"`
	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`
	// Faults are the snapshots that could not be used, and why.
	Faults []string `json:"faults,omitempty"`
	// Notices are what else deserves a look: see [eventstore.Recovery].
	Notices []string `json:"notices,omitempty"`
	// ClockBehindSeconds is how far the clock was behind the last event's recorded time, negative where ahead.
	ClockBehindSeconds float64 `json:"clock_behind_seconds"`
}

// NewRecovered is a recovery as it goes over the wire.
func NewRecovered(r eventstore.Recovery) Recovered {
	w := Recovered{
		Position: r.Position, Snapshot: r.Snapshot, Replayed: r.Replayed,
		Seconds: r.Took.Seconds(), ClockBehindSeconds: r.ClockBehind.Seconds(),
	}
	for _, err := range r.Faults {
		w.Faults = append(w.Faults, err.Error())
	}
	for _, err := range r.Notices {
		w.Notices = append(w.Notices, err.Error())
	}
	return w
}

// Span is where in the log a write's events are, both ends included; both are 0 for a write that changed nothing.
type Span struct {
	First eventstore.Position `json:"first"`
	Last  eventstore.Position `json:"last"`
}

// AreaEdit is what PUT says of an area.
type AreaEdit struct {
	Name string `json:"name"`
}
