package main

import (
	"sync/atomic"

	benbjohnson "github.com/benbjohnson/immutable"
	"github.com/cilium/statedb/part"
	iradix "github.com/hashicorp/go-immutable-radix/v2"
	"github.com/hashicorp/go-memdb"
	"github.com/tidwall/btree"

	"github.com/statehouse/statehouse/immutable"
	"github.com/statehouse/statehouse/state"
)

// peerModules are the modules whose versions the page of results names.
var peerModules = []string{
	"github.com/benbjohnson/immutable",
	"github.com/cilium/statedb",
	"github.com/hashicorp/go-immutable-radix/v2",
	"github.com/hashicorp/go-memdb",
	"github.com/tidwall/btree",
	"github.com/nats-io/nats-server/v2",
	"go.etcd.io/bbolt",
	"modernc.org/sqlite",
}

// subject is a map of states behind an atomic pointer, as one that many readers share has to be: each lookup
// loads the pointer, each change stores it. The loops are part of a subject, so that nothing comes between them and the map.
type subject struct {
	name string
	// lookups gets each key and reads the whole of its state.
	lookups func(keys []string) uint64
	// walk reads all states.
	walk func() uint64
	// sets changes each key by a version of its own. It is nil in the built-in map, which has no versions.
	sets func(keys []string)
	// batch changes all keys by one version, by the means that the map has for it. It may be nil, too.
	batch func(keys []string)
}

// read reads every field of a state.
func read(s *state.State) uint64 {
	sum := uint64(len(s.EntityID)) + uint64(len(s.UpdatedBy)) + uint64(s.Position)
	sum += uint64(s.UpdatedAt.Nanosecond()) + uint64(s.ChangedAt.Nanosecond())
	if s.Attributes != nil {
		sum++
	}
	return sum
}

func newOurs(keys []string) subject {
	var p atomic.Pointer[immutable.Map[string, state.State]]
	b := immutable.NewBuilder[string, state.State]()
	for _, k := range keys {
		b.Set(k, stateOf(k))
	}
	p.Store(b.Map())
	return subject{
		name: "statehouse/immutable",
		lookups: func(keys []string) (sum uint64) {
			for _, k := range keys {
				if s, ok := p.Load().Get(k); ok {
					sum += read(&s)
				}
			}
			return sum
		},
		walk: func() (sum uint64) {
			for _, s := range p.Load().All() {
				sum += read(&s)
			}
			return sum
		},
		sets: func(keys []string) {
			for _, k := range keys {
				p.Store(p.Load().Set(k, stateOf(k)))
			}
		},
		batch: func(keys []string) {
			b := p.Load().Builder()
			for _, k := range keys {
				b.Set(k, stateOf(k))
			}
			p.Store(b.Map())
		},
	}
}

func newBuiltin(keys []string) subject {
	var p atomic.Pointer[map[string]state.State]
	m := map[string]state.State{}
	for _, k := range keys {
		m[k] = stateOf(k)
	}
	p.Store(&m)
	return subject{
		name: "built-in map",
		lookups: func(keys []string) (sum uint64) {
			for _, k := range keys {
				if s, ok := (*p.Load())[k]; ok {
					sum += read(&s)
				}
			}
			return sum
		},
		walk: func() (sum uint64) {
			for _, s := range *p.Load() {
				sum += read(&s)
			}
			return sum
		},
	}
}

func newBenbjohnson(keys []string) subject {
	var p atomic.Pointer[benbjohnson.Map[string, state.State]]
	b := benbjohnson.NewMapBuilder[string, state.State](nil)
	for _, k := range keys {
		b.Set(k, stateOf(k))
	}
	p.Store(b.Map())
	return subject{
		name: "benbjohnson",
		lookups: func(keys []string) (sum uint64) {
			for _, k := range keys {
				if s, ok := p.Load().Get(k); ok {
					sum += read(&s)
				}
			}
			return sum
		},
		walk: func() (sum uint64) {
			for it := p.Load().Iterator(); ; {
				_, s, ok := it.Next()
				if !ok {
					return sum
				}
				sum += read(&s)
			}
		},
		sets: func(keys []string) {
			for _, k := range keys {
				p.Store(p.Load().Set(k, stateOf(k)))
			}
		},
	}
}

func newRadix(keys []string) subject {
	var p atomic.Pointer[iradix.Tree[state.State]]
	batch := func(keys []string) {
		txn := p.Load().Txn()
		for _, k := range keys {
			txn.Insert([]byte(k), stateOf(k))
		}
		p.Store(txn.Commit())
	}
	p.Store(iradix.New[state.State]())
	batch(keys)
	return subject{
		name: "go-immutable-radix",
		lookups: func(keys []string) (sum uint64) {
			for _, k := range keys {
				if s, ok := p.Load().Get([]byte(k)); ok {
					sum += read(&s)
				}
			}
			return sum
		},
		walk: func() (sum uint64) {
			for it := p.Load().Root().Iterator(); ; {
				_, s, ok := it.Next()
				if !ok {
					return sum
				}
				sum += read(&s)
			}
		},
		sets: func(keys []string) {
			for _, k := range keys {
				next, _, _ := p.Load().Insert([]byte(k), stateOf(k))
				p.Store(next)
			}
		},
		batch: batch,
	}
}

// newMemDB has a database of its own pointer to its current version, and states that are pointed to.
func newMemDB(keys []string) subject {
	const table, index = "states", "id"
	must := func(err error) {
		if err != nil {
			panic(err) // of a schema and values that are fixed here
		}
	}
	db, err := memdb.NewMemDB(&memdb.DBSchema{Tables: map[string]*memdb.TableSchema{table: {
		Name: table,
		Indexes: map[string]*memdb.IndexSchema{
			index: {Name: index, Unique: true, Indexer: &memdb.StringFieldIndex{Field: "EntityID"}},
		},
	}}})
	must(err)
	batch := func(keys []string) {
		txn := db.Txn(true)
		for _, k := range keys {
			s := stateOf(k)
			must(txn.Insert(table, &s))
		}
		txn.Commit()
	}
	batch(keys)
	return subject{
		name: "go-memdb",
		lookups: func(keys []string) (sum uint64) {
			for _, k := range keys {
				found, err := db.Txn(false).First(table, index, k)
				must(err)
				if s, ok := found.(*state.State); ok {
					sum += read(s)
				}
			}
			return sum
		},
		walk: func() (sum uint64) {
			it, err := db.Txn(false).Get(table, index)
			must(err)
			for found := it.Next(); found != nil; found = it.Next() {
				sum += read(found.(*state.State))
			}
			return sum
		},
		sets: func(keys []string) {
			for i := range keys {
				batch(keys[i : i+1])
			}
		},
		batch: batch,
	}
}

func newPart(keys []string) subject {
	var p atomic.Pointer[part.Map[string, state.State]]
	batch := func(keys []string) {
		txn := p.Load().Txn()
		for _, k := range keys {
			txn.Set(k, stateOf(k))
		}
		next := txn.Commit()
		p.Store(&next)
	}
	p.Store(&part.Map[string, state.State]{})
	batch(keys)
	return subject{
		name: "statedb/part",
		lookups: func(keys []string) (sum uint64) {
			for _, k := range keys {
				if s, ok := p.Load().Get(k); ok {
					sum += read(&s)
				}
			}
			return sum
		},
		walk: func() (sum uint64) {
			for _, s := range p.Load().All() {
				sum += read(&s)
			}
			return sum
		},
		sets: func(keys []string) {
			for _, k := range keys {
				next := p.Load().Set(k, stateOf(k))
				p.Store(&next)
			}
		},
		batch: batch,
	}
}

func newBTree(keys []string) subject {
	var p atomic.Pointer[btree.Map[string, state.State]]
	batch := func(keys []string) {
		next := p.Load().Copy()
		for _, k := range keys {
			next.Set(k, stateOf(k))
		}
		p.Store(next)
	}
	p.Store(&btree.Map[string, state.State]{})
	batch(keys)
	return subject{
		name: "tidwall/btree",
		lookups: func(keys []string) (sum uint64) {
			for _, k := range keys {
				if s, ok := p.Load().Get(k); ok {
					sum += read(&s)
				}
			}
			return sum
		},
		walk: func() (sum uint64) {
			p.Load().Scan(func(_ string, s state.State) bool {
				sum += read(&s)
				return true
			})
			return sum
		},
		sets: func(keys []string) {
			for i := range keys {
				batch(keys[i : i+1])
			}
		},
		batch: batch,
	}
}
