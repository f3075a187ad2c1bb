package statehouse

import (
	"log/slog"
	"time"

	"github.com/statehouse/statehouse/eventstore"
)

// Options change how a database is opened. The zero value is right for nearly everybody.
type Options struct {
	// Logger takes what happens beside the calls; nil means nothing is logged.
	Logger *slog.Logger
	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
	// SnapshotEvery is the number of events after which the present is saved again; 0 means
	// four for each entity, device and area, but at least 10,000 and at most 50,000.
	SnapshotEvery int
	// ReadOnlyIfDamaged opens a damaged house for reading only, as far as it can be read: [House.Damage] says what is wrong.
	// Without it the damage is the error of the opening. Either way nothing of the files is changed.
	ReadOnlyIfDamaged bool
	// Projectors are folds of the program's own, kept by the writer as those of the house are: whatever [House.Now]
	// shows, they have promoted. Each has a name of its own, which is none of "state", "registry" and "present". They get
	// the whole log when they are added to it; one that is new to a log from which events have been removed ends the
	// opening with [eventstore.ErrCompacted].
	Projectors []eventstore.Projector
}
