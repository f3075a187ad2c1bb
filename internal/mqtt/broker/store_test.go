package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

// TestLate: however long the file cannot be written, what is kept to be tried again is no more than what the sessions and the file have, and
// when it can be written again, it holds what it would without the failure.
func TestLate(t *testing.T) {
	db, err := openBolt(filepath.Join(t.TempDir(), "mqtt.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	st := &store{db: db, log: slog.New(slog.DiscardHandler)}
	st.told.wake = sync.NewCond(&st.told.mu)
	file := func() map[string]string {
		all := map[string]string{}
		if err := st.read(func(tx *bbolt.Tx) {
			for _, name := range [][]byte{bucketClients, bucketQueued} {
				_ = tx.Bucket(name).ForEach(func(k, v []byte) error { all[string(k)] = string(v); return nil })
			}
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	rnd, want := rand.New(rand.NewPCG(1, 2)), map[string]string{}
	for round := range 200 {
		fails := round%10 != 9
		var group []request
		for range 1 + rnd.IntN(5) {
			session, id := string(rune('a'+rnd.IntN(3))), uint16(1+rnd.IntN(4))
			key := string(idKey(session, id))
			switch rnd.IntN(6) {
			case 0:
				group = append(group, delSession(session))
				delete(want, session)
				for id := range uint16(5) {
					delete(want, string(idKey(session, id)))
				}
			case 1:
				group = append(group, putClient(client{ID: session, Expiry: uint32(round + 1)}))
				want[session] = fmt.Sprintf(`{"id":%q,"version":0,"expiry":%d}`, session, round+1)
			case 2, 3:
				group = append(group, delMessage(session, id))
				delete(want, key)
			default:
				m := message{Topic: "t", Seq: int64(round)}
				r, err := putMessage(session, id, m)
				if err != nil {
					t.Fatal(err)
				}
				b, _ := m.encode()
				group = append(group, r)
				want[key] = string(b)
			}
		}
		if fails {
			full := func(*bbolt.Tx) error { return errors.New("the disk is full") }
			group = append(group, request{changes: []change{full}, done: make(chan error, 1)})
		}
		st.commit(group)
		things := len(want) + 3 // a removal of each session
		for key := range file() {
			if _, also := want[key]; !also {
				things++
			}
		}
		if len(st.late) > things {
			t.Fatalf("round %d: %d requests wait, of %d things", round, len(st.late), things)
		}
		if fails {
			continue
		}
		if diff := cmp.Diff(want, file()); diff != "" || len(st.late) > 0 {
			t.Fatalf("round %d, %d wait: %s", round, len(st.late), diff)
		}
	}
}
