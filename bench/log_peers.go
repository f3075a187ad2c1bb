package main

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite" // the driver named "sqlite"

	"github.com/statehouse/statehouse/eventstore"
)

// peerLog is another way to keep events. Append makes them durable, all or none, and gives them positions.
type peerLog interface {
	append(events []eventstore.Event) error
	close() error
}

// rowLog is the log as most programs would keep it: a row per event in SQLite, and an index to find an entity's events. Driver
// and pragmas are those of ours.
type rowLog struct {
	db     *sql.DB
	insert *sql.Stmt
	last   eventstore.Position
}

// The index ends with the row's id, which is the position: it is one on (entity, position) that does not keep the
// position twice.
const (
	rowTable = `CREATE TABLE events (
		position    INTEGER PRIMARY KEY,
		recorded    INTEGER NOT NULL,
		timestamp   INTEGER NOT NULL,
		entity      TEXT NOT NULL,
		source      TEXT NOT NULL,
		correlation TEXT,
		cause       INTEGER,
		payload     BLOB NOT NULL
	) STRICT`
	rowIndex   = `CREATE INDEX events_entity ON events (entity)`
	rowInsert  = `INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	rowColumns = `position, recorded, timestamp, entity, source, correlation, cause, payload`
)

func openRowLog(path string) (*rowLog, error) {
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: path, RawQuery: url.Values{
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "mmap_size(0)"},
		"_txlock": {"immediate"},
	}.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	r := &rowLog{db: db}
	for _, statement := range []string{rowTable, rowIndex} {
		if _, err := db.Exec(statement); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	if r.insert, err = db.Prepare(rowInsert); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return r, nil
}

func (r *rowLog) close() error { return errors.Join(r.insert.Close(), r.db.Close()) }

// append needs no explicit transaction for a single row, which saves it two statements.
func (r *rowLog) append(events []eventstore.Event) error {
	recorded := time.Now().UnixNano()
	if len(events) == 1 {
		return r.add(r.insert, &events[0], recorded)
	}
	tx, err := r.db.Begin()
	if err != nil {
		return err
	}
	insert := tx.Stmt(r.insert)
	last := r.last
	for i := range events {
		if err := r.add(insert, &events[i], recorded); err != nil {
			r.last = last
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// add inserts one row. A correlation id and a cause that are not given take no room.
func (r *rowLog) add(insert *sql.Stmt, e *eventstore.Event, recorded int64) error {
	payload, err := proto.Marshal(e.Payload)
	if err != nil {
		return err
	}
	if !e.RecordedAt.IsZero() {
		recorded = e.RecordedAt.UnixNano()
	}
	var correlation, cause any
	if e.CorrelationID != "" {
		correlation = e.CorrelationID
	}
	if e.CausePosition != 0 {
		cause = int64(e.CausePosition)
	}
	if _, err := insert.Exec(int64(r.last)+1, recorded, e.Timestamp.UnixNano(), e.Entity, e.Source, correlation, cause,
		payload); err != nil {
		return err
	}
	r.last++
	return nil
}

// scanAll shows visit every event in the order of positions and answers how many there are.
func (r *rowLog) scanAll(visit func(*flatRecord) error) (int, error) {
	return r.scan(visit, `SELECT `+rowColumns+` FROM events ORDER BY position`)
}

// history shows visit an entity's last events, the newest first, and answers how many there are.
func (r *rowLog) history(entity string, limit int, visit func(*flatRecord) error) (int, error) {
	return r.scan(visit, `SELECT `+rowColumns+` FROM events WHERE entity = ? ORDER BY position DESC LIMIT ?`, entity, limit)
}

// scan copies nothing of a row that need not be.
func (r *rowLog) scan(visit func(*flatRecord) error, query string, args ...any) (count int, err error) {
	rows, err := r.db.QueryContext(context.Background(), query, args...)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var position, recorded, timestamp int64
		var entity, source, correlation, payload sql.RawBytes
		var cause sql.NullInt64
		if err := rows.Scan(&position, &recorded, &timestamp, &entity, &source, &correlation, &cause, &payload); err != nil {
			return 0, err
		}
		f := flatRecord{
			position: eventstore.Position(position), recorded: recorded, timestamp: timestamp, entity: entity,
			source: source, correlation: correlation, cause: uint64(cause.Int64), payload: payload,
		}
		if err := visit(&f); err != nil {
			return 0, err
		}
		count++
	}
	return count, rows.Err()
}

// boltLog keeps events in a bucket of bbolt by their positions. It has no index: it cannot answer what one entity's events are
// without reading all.
type boltLog struct {
	db   *bbolt.DB
	last eventstore.Position
}

var boltBucket = []byte("events")

func openBoltLog(path string) (*boltLog, error) {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(boltBucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &boltLog{db: db}, nil
}

func (b *boltLog) close() error { return b.db.Close() }

func (b *boltLog) append(events []eventstore.Event) error {
	last := b.last
	err := b.db.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(boltBucket)
		bucket.FillPercent = 1 // keys only grow
		now := time.Now()
		for i := range events {
			e := events[i]
			last++
			e.Position, e.RecordedAt = last, now
			value, err := encodeFlat(make([]byte, 0, 128), &e)
			if err != nil {
				return err
			}
			if err := bucket.Put(binary.BigEndian.AppendUint64(nil, uint64(last)), value); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		b.last = last
	}
	return err
}

// natsLog is a JetStream stream of a NATS server in this process, which syncs before it answers. The subject names the
// entity, as one would do there, and the server keeps an index of subjects.
type natsLog struct {
	server *server.Server
	conn   *nats.Conn
	stream nats.JetStreamContext
}

const natsStream = "events"

func openNATSLog(dir string) (*natsLog, error) {
	s, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: dir, SyncAlways: true, NoLog: true, NoSigs: true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("the NATS server does not start")
	}
	n := &natsLog{server: s}
	if n.conn, err = nats.Connect("", nats.InProcessServer(s)); err == nil {
		if n.stream, err = n.conn.JetStream(nats.PublishAsyncMaxPending(1000)); err == nil {
			_, err = n.stream.AddStream(&nats.StreamConfig{Name: natsStream, Subjects: []string{natsStream + ".>"}})
		}
	}
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func (n *natsLog) close() error {
	if n.conn != nil {
		n.conn.Close()
	}
	n.server.Shutdown()
	n.server.WaitForShutdown()
	return nil
}

// append publishes one event and waits for the answer, or several at once and waits for all answers. They are not all or
// none then.
func (n *natsLog) append(events []eventstore.Event) error {
	now := time.Now()
	var answers []nats.PubAckFuture
	for i := range events {
		e := events[i]
		e.RecordedAt = now
		data, err := encodeFlat(make([]byte, 0, 128), &e)
		if err != nil {
			return err
		}
		subject := natsStream + "." + e.Entity
		if len(events) == 1 {
			_, err = n.stream.Publish(subject, data)
			return err
		}
		answer, err := n.stream.PublishAsync(subject, data)
		if err != nil {
			return err
		}
		answers = append(answers, answer)
	}
	for _, a := range answers {
		select {
		case <-a.Ok():
		case err := <-a.Err():
			return err
		case <-time.After(time.Minute):
			return fmt.Errorf("no answer within a minute to what was published")
		}
	}
	return nil
}
