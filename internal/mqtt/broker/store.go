package broker

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/statehouse/statehouse/storage"
)

// The buckets of the file, and its format.
var (
	bucketMeta     = []byte("meta")
	bucketRetained = []byte("retained") // topic → message
	bucketClients  = []byte("clients")  // client id → client
	bucketSubs     = []byte("subscriptions")
	bucketQueued   = []byte("queued")   // client id, NUL, packet id → message
	bucketIncoming = []byte("incoming") // client id, NUL, packet id of a QoS 2 message between PUBREC and PUBREL
	keyFormat      = []byte("format")
)

const storeFormat = "statehouse-mqtt-1"

var (
	// errStoreClosed is what a store says after close.
	errStoreClosed = errors.New("the broker's file is closed")
	// errCommit says that changes may be in the file all the same. After any other error they are not.
	errCommit = errors.New("commit")
)

// change is one step of a transaction.
type change func(tx *bbolt.Tx) error

// request is steps that belong together. A nil done means that nobody waits: then about says what of a session the file is to have, or,
// where it is removed, to have no more. then is told when they are on disk, and, before that, when they could not be written.
type request struct {
	changes []change
	done    chan error
	then    func(error)
	about   subject
	removes bool
}

// subject is something that the file has of a session: a message towards it, the record of its client, or all of it.
type subject struct {
	session string
	part    sessionPart
	id      uint16 // of the message
}

type sessionPart byte

const (
	wholeSession sessionPart = iota
	clientRecord
	queuedMessage
)

// outcome is what became of requests.
type outcome struct {
	of  []request
	err error
}

// store keeps retained messages and sessions in a bbolt file. One goroutine writes: it takes everything that waits, and
// commits it, synced, as one transaction. With an empty path it does nothing.
type store struct {
	db    *bbolt.DB
	log   *slog.Logger
	queue chan request
	stop  chan struct{}
	over  chan struct{} // closed when nothing is written any more
	ended chan struct{} // closed when everybody was told, too
	late  []request     // of those that failed, what is tried again; the writer's own
	told  outcomes
	// unsure says that what the file holds need not be on the disk; the writer's own.
	unsure bool
	// fault is why the last transaction failed, nil if it did not.
	fault atomic.Pointer[error]

	retained retainedCount
	delta    tally        // of the transaction that is being written; the writer's own
	memory   memory       // has what is retained when there is no file
	touched  atomic.Int64 // bytes of records that were read since the pages were given back
}

// openStore opens or creates the file.
func openStore(path string, log *slog.Logger) (*store, error) {
	s := &store{log: log, queue: make(chan request, 256), stop: make(chan struct{}), over: make(chan struct{}), ended: make(chan struct{})}
	if path == "" {
		s.memory.records = map[string][]byte{}
		close(s.ended)
		return s, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("mqtt broker: data folder: %w", err)
	}
	if err := makeBolt(path); err != nil {
		return nil, err
	}
	db, err := openBolt(path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("mqtt broker: data file: %w", err), db.Close())
	}
	// bbolt syncs the file, and nobody its name: a power cut would take both. Whoever made it may have ended before this.
	if err := storage.SyncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("mqtt broker: data folder: %w", err), db.Close())
	}
	s.db = db
	s.told.wake = sync.NewCond(&s.told.mu)
	go s.run()
	go s.tell()
	return s, nil
}

// makeBolt makes the file, if there is none: whole, or not at all. bbolt would begin with a file that it could not open
// after a power cut.
func makeBolt(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // what is wrong with it, the opening says
	}
	draft := path + ".new"
	err := os.Remove(draft) // of somebody who did not finish
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("mqtt broker: data file: %w", err)
	}
	db, err := openBolt(draft)
	if err != nil {
		return err
	}
	if err := errors.Join(db.Close(), os.Rename(draft, path)); err != nil {
		return fmt.Errorf("mqtt broker: data file: %w", err)
	}
	return nil
}

// openBolt opens the file, makes the buckets, and turns a damaged file's panics into errors.
func openBolt(path string) (db *bbolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged(path, r)
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("mqtt broker: data file %q is in use by another process: stop it or choose another file", path)
	case errors.As(err, new(*fs.PathError)):
		return nil, fmt.Errorf("mqtt broker: data file: %w", err)
	case err != nil:
		return nil, damaged(path, err)
	}
	if err := renew(db); err != nil { // whoever had it before may have ended after a failure
		return nil, errors.Join(fmt.Errorf("mqtt broker: data file: %w", err), db.Close())
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			if k, _ := tx.Cursor().First(); k != nil {
				return fmt.Errorf("data file %q belongs to another program: choose another file", path)
			}
		} else if got := string(meta.Get(keyFormat)); got != storeFormat {
			return fmt.Errorf("data file %q has format %q, this version knows %q: use the version that wrote it, or another file", path, got, storeFormat)
		}
		for _, name := range [][]byte{bucketMeta, bucketRetained, bucketClients, bucketSubs, bucketQueued, bucketIncoming} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keyFormat, []byte(storeFormat))
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mqtt broker: %w", err), db.Close())
	}
	return db, nil
}

// renew writes what the file holds again. After a sync that failed, what reads back, since the kernel has it in memory, need
// not be on the disk, and no later sync would bring it there: not even a transaction whose commit failed, and which bbolt
// goes on from. The two pages that say what of the others counts go last.
func renew(db *bbolt.DB) (err error) {
	f, err := os.OpenFile(db.Path(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	heads := 2 * int64(db.Info().PageSize)
	buf := make([]byte, 64<<10)
	for _, part := range [][2]int64{{heads, info.Size()}, {0, heads}} {
		for at := part[0]; at < part[1]; {
			n, err := f.ReadAt(buf[:min(int64(len(buf)), part[1]-at)], at)
			if err != nil {
				return err
			}
			if _, err := f.WriteAt(buf[:n], at); err != nil {
				return err
			}
			at += int64(n)
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// damaged is the error for a file that cannot be read.
func damaged(path string, cause any) error {
	return fmt.Errorf("mqtt broker: data file %q is damaged (%v): move it away to go on without its retained messages and sessions, or restore it", path, cause)
}

// retryEvery is how often a file that cannot be written is tried again where nothing else is to be written.
const retryEvery = 5 * time.Second

// run is the writer.
func (s *store) run() {
	defer s.told.close()
	defer close(s.over)
	for {
		var retry <-chan time.Time
		if s.fault.Load() != nil {
			retry = time.After(retryEvery)
		}
		select {
		case r := <-s.queue:
			s.commit(s.drain(r))
		case <-retry:
			s.commit([]request{{changes: []change{func(*bbolt.Tx) error { return nil }}, done: make(chan error, 1)}})
		case <-s.stop:
			for {
				select {
				case r := <-s.queue:
					s.commit(s.drain(r))
				default:
					if len(s.late) > 0 {
						s.commit(nil)
					}
					return
				}
			}
		}
	}
}

// drain takes everything that waits.
func (s *store) drain(first request) []request {
	group := []request{first}
	for len(group) < cap(s.queue) {
		select {
		case r := <-s.queue:
			group = append(group, r)
		default:
			return group
		}
	}
	return group
}

// commit writes a group. When that fails, those who wait are told, and the others' steps are tried again with the next
// group, before it.
func (s *store) commit(group []request) {
	all := slices.Concat(s.late, group)
	var changes []change
	for _, r := range all {
		changes = append(changes, r.changes...)
	}
	err := s.update(changes)
	if err == nil {
		s.late = nil
		s.fault.Store(nil)
		s.told.add(outcome{all, nil})
		return
	}
	s.fault.Store(&err)
	s.log.Error("mqtt broker: cannot write the data file; nothing is acknowledged that needs it", "error", err)
	s.late = s.last(all)
	s.told.add(outcome{group, err})
}

// last is what is left to be done of requests that failed, in their order: about each subject the last one, and no removal of what the file
// does not have. So it never is more than what the file and the sessions have, however long nothing can be written.
func (s *store) last(all []request) (left []request) {
	seen := map[subject]bool{}
	for _, r := range slices.Backward(all) {
		if r.done != nil || seen[r.about] || seen[subject{session: r.about.session}] {
			continue
		}
		seen[r.about] = true
		if !r.removes || s.mayHave(r.about) {
			left = append(left, r)
		}
	}
	slices.Reverse(left)
	return left
}

// mayHave says that the file has something of a subject, or cannot be asked.
func (s *store) mayHave(what subject) (has bool) {
	err := s.read(func(tx *bbolt.Tx) {
		if what.part == queuedMessage {
			has = tx.Bucket(bucketQueued).Get(idKey(what.session, what.id)) != nil
			return
		}
		has = tx.Bucket(bucketClients).Get([]byte(what.session)) != nil
		for _, name := range sessionBuckets {
			k, _ := tx.Bucket(name).Cursor().Seek(sessionPrefix(what.session))
			has = has || bytes.HasPrefix(k, sessionPrefix(what.session))
		}
	})
	return has || err != nil
}

// update is one transaction, synced when it returns nil.
func (s *store) update(changes []change) (err error) {
	if len(changes) == 0 {
		return nil
	}
	committing := false
	defer func() {
		if r := recover(); r != nil {
			err = damaged(s.db.Path(), r)
		}
		if err != nil {
			s.unsure = true
			if committing {
				err = fmt.Errorf("%w: %w", errCommit, err)
			}
		}
	}()
	recount := s.unsure
	if s.unsure {
		if err := renew(s.db); err != nil {
			return err
		}
		s.unsure = false
	}
	s.delta = tally{}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		for _, c := range changes {
			if err := c(tx); err != nil {
				return err
			}
		}
		if recount { // a transaction whose commit failed may be there all the same
			s.delta, _ = countRetained(tx.Bucket(bucketRetained), func(message) {})
		}
		committing = true
		return nil
	})
	switch {
	case err != nil:
		return err
	case recount:
		s.retained.set(s.delta)
	default:
		s.retained.add(s.delta)
	}
	return nil
}

// read has a function look at the file, and turns a damaged file's panics into errors. It must wait for nothing.
func (s *store) read(f func(tx *bbolt.Tx)) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged(s.db.Path(), r)
		}
	}()
	return s.db.View(func(tx *bbolt.Tx) error {
		f(tx)
		return nil
	})
}

// write waits until the changes, and all that were enqueued before them, are on disk.
func (s *store) write(changes ...change) error {
	if s.db == nil {
		return nil
	}
	done := make(chan error, 1)
	select {
	case s.queue <- request{changes: changes, done: done}:
	case <-s.over:
		return errStoreClosed
	}
	select {
	case err := <-done:
		return err
	case <-s.ended:
		select {
		case err := <-done:
			return err
		default:
			return errStoreClosed
		}
	}
}

// enqueue has a request for which nobody waits written soon, in order, and waits for nothing but a place in the queue.
func (s *store) enqueue(r request) {
	if s.db == nil {
		return
	}
	select {
	case s.queue <- r:
	case <-s.over:
	}
}

// close writes what waits and closes the file.
func (s *store) close() error {
	if s.db == nil {
		return nil
	}
	close(s.stop)
	<-s.ended
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("mqtt broker: close data file: %w", err)
	}
	return nil
}

// idKey is a session's key for a packet id; sessionPrefix what its keys begin with. Client ids contain no NUL.
func idKey(clientID string, id uint16) []byte {
	return binary.BigEndian.AppendUint16(sessionPrefix(clientID), id)
}

func sessionPrefix(clientID string) []byte { return append([]byte(clientID), 0) }

// put and del are the steps.
func put(bucket, key, value []byte) change {
	return func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put(key, value) }
}

func del(bucket, key []byte) change {
	return func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Delete(key) }
}

// putJSON encodes in the caller.
func putJSON(bucket, key []byte, v any) change {
	b, err := json.Marshal(v)
	return func(tx *bbolt.Tx) error {
		if err != nil {
			return err
		}
		return tx.Bucket(bucket).Put(key, b)
	}
}

// putMessage and delMessage are about a message towards a session, putClient about the client's record.
func putMessage(session string, id uint16, m message) (request, error) {
	b, err := m.encode()
	if err != nil {
		return request{}, err
	}
	return request{changes: []change{put(bucketQueued, idKey(session, id), b)}, about: subject{session, queuedMessage, id}}, nil
}

func delMessage(session string, id uint16) request {
	return request{changes: []change{del(bucketQueued, idKey(session, id))}, about: subject{session, queuedMessage, id}, removes: true}
}

func putClient(c client) request {
	return request{changes: []change{putJSON(bucketClients, []byte(c.ID), c)}, about: subject{session: c.ID, part: clientRecord}}
}

// sessionBuckets are where a session is, beside its client's record.
var sessionBuckets = [][]byte{bucketSubs, bucketQueued, bucketIncoming}

// delSession forgets all of a session.
func delSession(clientID string) request {
	return request{about: subject{session: clientID}, removes: true, changes: []change{func(tx *bbolt.Tx) error {
		for _, name := range sessionBuckets {
			c, prefix := tx.Bucket(name).Cursor(), sessionPrefix(clientID)
			for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
				if err := c.Delete(); err != nil {
					return err
				}
			}
		}
		return tx.Bucket(bucketClients).Delete([]byte(clientID))
	}}}
}
