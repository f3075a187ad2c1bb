package broker

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// Retained messages are in the file alone: what is in memory of them is their number. They are read in small pieces, each in a transaction
// of its own that nothing waits in, since a reading transaction keeps the file's writer from making the file larger.

// tally is how many retained messages there are, and their bytes (message.size).
type tally struct{ messages, bytes int64 }

// add counts a topic's record, with a sign. One that cannot be read is none.
func (t *tally) add(topic string, record []byte, sign int64) {
	if m, err := viewMessage(record); err == nil && m.Topic == topic {
		t.messages += sign
		t.bytes += sign * int64(m.size())
	}
}

// retainedCount is the tally for everybody to read. It is written by the store's writer, or under the lock of the memory.
type retainedCount struct{ messages, bytes atomic.Int64 }

func (c *retainedCount) add(t tally) {
	c.messages.Add(t.messages)
	c.bytes.Add(t.bytes)
}

func (c *retainedCount) set(t tally) {
	c.messages.Store(t.messages)
	c.bytes.Store(t.bytes)
}

// retain has a topic's record replaced, or taken away where the new one is nil, and other changes made with it. It waits until
// all that is on disk.
func (s *store) retain(topic string, record []byte, others ...change) error {
	if s.db == nil {
		s.retained.add(s.memory.replace(topic, record))
		return nil
	}
	key := []byte(topic)
	return s.write(append(others, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketRetained)
		s.delta.add(topic, b.Get(key), -1)
		if record == nil {
			return b.Delete(key)
		}
		s.delta.add(topic, record, 1)
		return b.Put(key, record)
	})...)
}

// view has a function walk over the retained messages. What it is given is gone when it returns. It must wait for nothing.
func (s *store) view(f func(cur cursor)) error {
	if s.db == nil {
		s.memory.view(f)
		return nil
	}
	return s.read(func(tx *bbolt.Tx) { f(tx.Bucket(bucketRetained).Cursor()) })
}

// retainedSize is what a topic's message counts for in the tally; there may be none.
func (s *store) retainedSize(topic string) (size int, ok bool, err error) {
	err = s.view(func(cur cursor) {
		if key, record := cur.Seek([]byte(topic)); string(key) == topic {
			m, bad := viewMessage(record)
			size, ok = m.size(), bad == nil && m.Topic == topic
		}
	})
	return size, ok, err
}

// countRetained counts all that is retained, and has expiring called with what will not always be.
func countRetained(b *bbolt.Bucket, expiring func(m message)) (t tally, bad int) {
	cur := b.Cursor()
	for k, v := cur.First(); k != nil; k, v = cur.Next() {
		m, err := viewMessage(v)
		if err != nil || m.Topic != string(k) {
			bad++
			continue
		}
		t.messages++
		t.bytes += int64(m.size())
		if m.Expires > 0 {
			expiring(m)
		}
	}
	return t, bad
}

// releaseAfter is how many bytes of records are read before the mapped pages of the file are given back: they count as the process's
// memory as long as they are mapped, and are in the kernel's anyway.
const releaseAfter = 1 << 20

// wasRead notes that so many bytes of records were read. Unlike what it counts, the pages that it gives back may be in use: they come again.
func (s *store) wasRead(n int) {
	if s.touched.Add(int64(n)) >= releaseAfter {
		s.release()
	}
}

// release gives the mapped pages of the file back.
func (s *store) release() {
	if s.db == nil {
		return
	}
	s.touched.Store(0)
	_ = s.db.View(func(tx *bbolt.Tx) error { // while it lasts, the file stays where it is mapped
		unmap(s.db.Info().Data, uintptr(tx.Size()))
		return nil
	})
}

// memory is where retained messages are without a file: sorted, since a cursor walks over them. A new topic moves those behind it, 16 bytes
// each; what is replaced moves nothing.
type memory struct {
	mu      sync.RWMutex // guards what follows
	topics  []string
	records map[string][]byte
}

// replace sets a topic's record, or takes it away where it is nil.
func (m *memory) replace(topic string, record []byte) (t tally) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, replaces := m.records[topic]
	t.add(topic, old, -1)
	i, _ := slices.BinarySearch(m.topics, topic)
	switch {
	case record == nil && replaces:
		delete(m.records, topic)
		m.topics = slices.Delete(m.topics, i, i+1)
	case record != nil && !replaces:
		m.topics = slices.Insert(m.topics, i, topic)
	}
	if record != nil {
		m.records[topic] = record
		t.add(topic, record, 1)
	}
	return t
}

func (m *memory) view(f func(cur cursor)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	f(&memoryCursor{m: m})
}

// memoryCursor is a cursor over it.
type memoryCursor struct {
	m  *memory
	at int
}

// Seek and Next implement cursor.
func (c *memoryCursor) Seek(topic []byte) (key, record []byte) {
	c.at, _ = slices.BinarySearchFunc(c.m.topics, topic, func(t string, want []byte) int { return bytes.Compare([]byte(t), want) })
	return c.get()
}

func (c *memoryCursor) Next() (key, record []byte) {
	c.at++
	return c.get()
}

func (c *memoryCursor) get() (key, record []byte) {
	if c.at >= len(c.m.topics) {
		return nil, nil
	}
	topic := c.m.topics[c.at]
	return []byte(topic), c.m.records[topic]
}
