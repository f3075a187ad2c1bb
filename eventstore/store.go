package eventstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/statehouse/statehouse/storage"
)

// Options change how a store works. The zero value is right for nearly everybody.
type Options struct {
	// Clock tells the time; nil means time.Now. It may jump: recorded times do not go back. A time before 1970 or after
	// 2261 cannot be stored: what is appended then is recorded at the time of the last event, in an empty log in 1970.
	Clock func() time.Time
	// Logger takes what happens beside the calls; nil means nothing is logged.
	Logger *slog.Logger
	// SnapshotEvery is the number of events after which the projectors are saved again; 0 means four for each record of
	// the last snapshot, but at least 10,000 and at most 50,000.
	SnapshotEvery int
	// QueueBytes bounds the encoded events that wait for the writer; appends beyond it wait for room.
	// 0 means 256 MiB, and less than MaxBatchBytes counts as that.
	QueueBytes int64
	// GroupBytes is the size from which a group takes no further batch; 0 means 8 MiB.
	GroupBytes int
	// ReadOnlyIfDamaged makes Open and Start go on where the log is damaged, for reading only: [Store.Damage] says what is
	// wrong. Without it they fail.
	ReadOnlyIfDamaged bool
	// SealAfter is the number of events that come together before they are sealed: merged and compressed in the
	// background. 0 means 4,096, and less than 0 that only [Store.Seal] seals.
	SealAfter int
}

func (o *Options) setDefaults() {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = 256 << 20
	}
	o.QueueBytes = max(o.QueueBytes, MaxBatchBytes)
	if o.GroupBytes <= 0 {
		o.GroupBytes = 8 << 20
	}
	if o.SealAfter == 0 {
		o.SealAfter = sealedEvents
	}
}

// Store is a log. [Open], then [Store.Start] with the projectors; then all methods may be called by any number of
// goroutines.
type Store struct {
	db         *storage.DB
	opts       Options
	uuid       []byte
	projectors projectors
	recovered  Recovery

	// damage is why the log is open for reading only, nil where it is not. It does not change after Start.
	damage error
	anchor anchorFile

	segmentBytes int64 // the size beyond which a group becomes several: maxSegmentBytes

	queue chan *request
	room  *semaphore.Weighted // the bytes of opts.QueueBytes that are not taken
	// appending is the number of appends that are under way, from their callers' side.
	appending atomic.Int64
	writer    sync.WaitGroup

	sealing    chan struct{} // tells the sealer that there is enough
	sealer     sync.WaitGroup
	stopSealer context.CancelFunc
	sealStep   *semaphore.Weighted // held while segments are sealed or removed; the writer never takes it

	base        atomic.Pointer[base]
	compacting  *semaphore.Weighted // held while history is removed
	restRemoved bool                // nothing is left of what is before the base; guarded by sealStep
	// needsNothing says of each projector that its Restore wants no event at all.
	needsNothing []bool

	snapshots snapshotter

	started atomic.Bool // says that Start was called

	// life is held while the store starts, and while it closes: each ends before the other begins, and of those who close
	// it the first one does it. All else may be locked under it.
	life sync.Mutex

	// closing guards closed, and the sending side of queue: senders hold it shared, so that the queue is closed
	// only when nobody is about to send.
	closing sync.RWMutex
	closed  bool

	directory directory

	head atomic.Pointer[head]
	// promoting is the position that is being promoted, or was last.
	promoting atomic.Uint64
	tail      tail
	waker     waker
	waking    sync.WaitGroup // for the waker's goroutine
	cursors   cursors
	// keysDamage says what is wrong with the keys of appends. It does not change after Start.
	keysDamage error
	followers  followers
	stats      counters
}

// head is the end of the log: what the next event continues. It changes as one.
type head struct {
	position Position
	recorded int64 // of the last event, in nanoseconds
	chain    chain
}

// Recovery is what a start found and did.
type Recovery struct {
	// Position is the head of the log.
	Position Position
	// Snapshot is the lowest position at which a projector's snapshot was used, 0 where one had none.
	Snapshot Position
	// Replayed is the number of events that were folded after it.
	Replayed uint64
	// Took is how long all of it took.
	Took time.Duration
	// Faults are the snapshots that could not be used, and why. They cost time and nothing else.
	Faults []error
	// Notices are what else deserves a look although the log is whole: an anchor that is missing or torn, and damage of the
	// cursors and keys, where consumers and appends that need them fail.
	Notices []error
	// ClockBehind is how far the clock is behind the last event's recorded time, negative where it is ahead; it is
	// worth a look when it is more than a day either way. 0 for an empty log.
	ClockBehind time.Duration
}

// Open prepares the log in a database. The database stays the caller's, who closes it after the store. The error of a
// context that ends meanwhile matches the context's.
func Open(ctx context.Context, db *storage.DB, opts Options) (*Store, error) {
	opts.setDefaults()
	s := &Store{
		db: db, opts: opts, segmentBytes: maxSegmentBytes,
		queue: make(chan *request, 4096), sealing: make(chan struct{}, 1), stopSealer: func() {},
		room: semaphore.NewWeighted(opts.QueueBytes), directory: newDirectory(),
		sealStep: semaphore.NewWeighted(1), compacting: semaphore.NewWeighted(1),
	}
	s.snapshots.init(s)
	s.waker.init()
	s.cursors.init()
	if s.damage = db.Damage(); s.damage != nil && !opts.ReadOnlyIfDamaged {
		return nil, s.damage
	}
	var err error
	s.uuid, err = ensureUUID(ctx, db)
	if s.tolerate(ctx, err) {
		s.uuid, err = s.guessUUID(ctx)
	}
	if err != nil {
		s.preserve(err)
		return nil, orContext(ctx, orCorrupt(err))
	}
	err = s.loadBase(ctx, db.Reader())
	if s.tolerate(ctx, err) {
		s.moveBase(&base{}) // what is behind the removed events can be read all the same
		err = nil
	}
	if err != nil {
		s.preserve(err)
		return nil, orContext(ctx, orCorrupt(err))
	}
	return s, nil
}

// orContext adds to an error that of the context, when that has ended and made something else fail: a transaction that
// was rolled back, a statement that was interrupted.
func orContext(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}

// ensureUUID gives a new file its uuid, from which its chain starts.
func ensureUUID(ctx context.Context, db *storage.DB) ([]byte, error) {
	if db.Damage() != nil {
		return fileUUID(ctx, db.Reader())
	}
	if db.InheritedWAL() {
		uuid, err := fileUUID(ctx, db.Reader())
		if err == nil {
			return uuid, nil
		}
		var isNew bool
		if unread := db.Reader().QueryRowContext(ctx, `SELECT NOT EXISTS (SELECT 1 FROM meta) AND NOT EXISTS (SELECT 1 FROM segments)`).
			Scan(&isNew); unread != nil || !isNew { // nothing of a damaged file is changed
			return nil, err
		}
		if err := db.MoveWAL(ctx, db.Writer()); err != nil {
			return nil, fmt.Errorf("uuid: %w", err)
		}
	}
	uuid := make([]byte, uuidSize)
	if _, err := rand.Read(uuid); err != nil {
		return nil, fmt.Errorf("uuid: %w", err)
	}
	uuid[6], uuid[8] = uuid[6]&0x0f|0x40, uuid[8]&0x3f|0x80 // version 4 of RFC 9562
	// A file that has events and no uuid is damaged, not new.
	if _, err := db.Writer().ExecContext(ctx, `INSERT INTO meta (key, value, checksum) SELECT 'uuid', ?, ?
		WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'uuid') AND NOT EXISTS (SELECT 1 FROM segments)`,
		uuid, storage.RowSum("uuid", uuid)); err != nil {
		return nil, fmt.Errorf("uuid: %w", err)
	}
	return fileUUID(ctx, db.Reader())
}

// Head is the position of the last event that is committed and promoted.
func (s *Store) Head() Position {
	if h := s.head.Load(); h != nil {
		return h.position
	}
	return 0
}

// committed is the position of the last event that is committed. Its projectors may be about to promote it: what a reader of
// theirs has seen is at or before it, where the head may be behind for a moment.
func (s *Store) committed() Position { return max(Position(s.promoting.Load()), s.Head()) }

// Reached says whether the log has come to a position: that the event there is committed. What a projector shows may be at
// a position that [Store.Head] has not come to for another moment.
func (s *Store) Reached(at Position) bool { return at <= s.committed() }

// UUID names the log's file for good, in the text form of RFC 9562. Positions of two logs mean nothing to each other.
func (s *Store) UUID() string { return formatUUID(s.uuid) }

func formatUUID(u []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// Recovered says what Start found and did.
func (s *Store) Recovered() Recovery { return s.recovered }

// Close ends the store: followers are stopped, appends that were queued are finished, cursors are stored, a snapshot is
// taken if more than a thousand events follow the last one, and subscriptions end with [ErrClosed]. Close may be called
// again.
func (s *Store) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	s.snapshots.stop() // before others are waited for, who may wait for history that is being removed
	s.followers.stop()
	s.stopSealer()
	s.sealer.Wait()
	s.closing.Lock()
	first := !s.closed
	if first {
		s.closed = true
		close(s.queue)
	}
	s.closing.Unlock()
	s.writer.Wait()
	if first {
		s.waker.close()
	}
	s.waking.Wait()
	return s.anchor.close()
}

// counters are what Stats reports.
type counters struct {
	events, groups, batches, failed atomic.Uint64
	queuedBytes                     atomic.Int64
	appends                         latency
	queuedBatches                   atomic.Int64
	waiting                         atomic.Int64
	snapshot                        atomic.Uint64
	sealed                          atomic.Uint64
	fault                           atomic.Pointer[error]
}

// Stats are figures about a store since its start.
type Stats struct {
	// Head is the position of the last event, HeadRecorded when it was recorded.
	Head         Position
	HeadRecorded time.Time
	// Events, Batches and Groups were committed; Failed batches were answered with an error.
	Events, Batches, Groups, Failed uint64
	// Appends is how long the callers of those that were committed waited for their answer.
	Appends Latency
	// QueuedBytes and QueuedBatches wait for the writer.
	QueuedBytes, QueuedBatches int64
	// QueueLimit is the most that QueuedBytes can be. WaitingForRoom is the number of callers that wait because the
	// queue is full.
	QueueLimit, WaitingForRoom int64
	// Snapshot is the position of the newest snapshot that was taken or used since the start.
	Snapshot Position
	// Sealed is the position up to which the log is sealed.
	Sealed Position
	// Followers are in the order in which they were made.
	Followers []FollowerStats
	// Consumers are those that are open, by name; those of the followers are among them.
	Consumers []ConsumerStats
	// Fault says why the store cannot write at present, nil if it can.
	Fault error
}

// Stats are figures about the store.
func (s *Store) Stats() Stats {
	st := Stats{
		Events: s.stats.events.Load(), Batches: s.stats.batches.Load(), Groups: s.stats.groups.Load(),
		Failed: s.stats.failed.Load(), QueuedBytes: s.stats.queuedBytes.Load(),
		QueuedBatches: s.stats.queuedBatches.Load(), Snapshot: Position(s.stats.snapshot.Load()),
		Sealed: Position(s.stats.sealed.Load()), QueueLimit: s.opts.QueueBytes,
		WaitingForRoom: s.stats.waiting.Load(), Followers: s.followers.stats(), Consumers: s.cursors.stats(),
		Appends: s.stats.appends.stats(),
	}
	if h := s.head.Load(); h != nil {
		st.Head = h.position
		if h.recorded != 0 {
			st.HeadRecorded = time.Unix(0, h.recorded).UTC()
		}
	}
	if f := s.stats.fault.Load(); f != nil {
		st.Fault = *f
	}
	if s.damage != nil {
		st.Fault = s.damage
	}
	return st
}

var errNotStarted = errors.New("the store was not started")
