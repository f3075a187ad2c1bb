package broker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"runtime/debug"

	"go.etcd.io/bbolt"
)

// saved is everything in the file.
type saved struct {
	retained tally
	expiring []message // of the retained ones, without their payloads
	sessions map[string]*savedSession
	bad      int
}

// savedSession is one session of it.
type savedSession struct {
	client   client
	subs     []subscription
	queued   map[uint16]message
	incoming []uint16
}

// load reads the sessions, and counts what is retained. Records that cannot be read are counted and left out.
func (s *store) load() (all saved, err error) {
	all.sessions = map[string]*savedSession{}
	if s.db == nil {
		return all, nil
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged(s.db.Path(), r)
		}
	}()
	err = s.db.View(func(tx *bbolt.Tx) error {
		all.retained, all.bad = countRetained(tx.Bucket(bucketRetained), func(m message) {
			m.Payload = nil
			all.expiring = append(all.expiring, m)
		})
		return errors.Join(
			tx.Bucket(bucketClients).ForEach(func(_, v []byte) error { all.addClient(v); return nil }),
			tx.Bucket(bucketSubs).ForEach(func(k, v []byte) error { all.addSubscription(k, v); return nil }),
			tx.Bucket(bucketQueued).ForEach(func(k, v []byte) error { all.addQueued(k, v); return nil }),
			tx.Bucket(bucketIncoming).ForEach(func(k, _ []byte) error { all.addIncoming(k); return nil }),
		)
	})
	if err != nil {
		return all, damaged(s.db.Path(), err)
	}
	s.retained.set(all.retained)
	s.release()
	return all, nil
}

func (all *saved) addClient(v []byte) {
	var c client
	if err := json.Unmarshal(v, &c); err != nil || c.ID == "" {
		all.bad++
		return
	}
	all.sessions[c.ID] = &savedSession{client: c, queued: map[uint16]message{}}
}

func (all *saved) addSubscription(k, v []byte) {
	ss, _ := all.owner(k)
	var sub subscription
	if err := json.Unmarshal(v, &sub); err != nil || ss == nil {
		all.bad++
		return
	}
	ss.subs = append(ss.subs, sub)
}

func (all *saved) addQueued(k, v []byte) {
	ss, rest := all.owner(k)
	m, err := decodeMessage(v)
	if err != nil || ss == nil || len(rest) != 2 {
		all.bad++
		return
	}
	ss.queued[binary.BigEndian.Uint16(rest)] = m
}

func (all *saved) addIncoming(k []byte) {
	ss, rest := all.owner(k)
	if ss == nil || len(rest) != 2 {
		all.bad++
		return
	}
	ss.incoming = append(ss.incoming, binary.BigEndian.Uint16(rest))
}

// owner finds the session that a key belongs to.
func (all *saved) owner(k []byte) (*savedSession, []byte) {
	for i, c := range k {
		if c == 0 {
			return all.sessions[string(k[:i])], k[i+1:]
		}
	}
	return nil, nil
}
