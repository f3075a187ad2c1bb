package state

import (
	"cmp"
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/statehouse/statehouse/immutable"
)

// ranked is an entry to be sorted: by eight bytes of its id, since comparing words that lie side by side is what sorting
// is quick with. Most ids of a house begin alike, and so the words that follow are looked at only where those before
// are equal.
type ranked struct {
	word uint64
	immutable.Entry[EntityID, State]
}

// sorted answers the entries of entities in the order of their ids. No state is copied: a million of them would be a hundred
// megabytes. It gives way every now and then.
func sorted(entities *immutable.Map[EntityID, State], giveWay func()) []ranked {
	all := make([]ranked, 0, entities.Len())
	s := sorting{giveWay: giveWay}
	for e := range entities.Entries() {
		all = append(all, ranked{Entry: e})
		s.looked()
	}
	const many = 4096
	if len(all) < many {
		s.sort(all, 0)
		return all
	}
	var runs [][]ranked
	s.sortWord(all, 0, func(run []ranked) { runs = append(runs, run) })
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(runs)) {
		workers.Go(func() {
			s := sorting{giveWay: giveWay}
			for i := int(next.Add(1)) - 1; i < len(runs); i = int(next.Add(1)) - 1 {
				s.sort(runs[i], wordSize)
			}
		})
	}
	workers.Wait()
	return all
}

const wordSize = 8

// sorting is what one goroutine sorts with.
type sorting struct {
	giveWay func()
	count   int // of the entries that were looked at
}

// looked counts, and gives way after some ten microseconds.
func (s *sorting) looked() {
	if s.count++; s.count%1024 == 0 {
		s.giveWay()
	}
}

// sort sorts entries whose ids have their first bytes in common, so many of them.
func (s *sorting) sort(all []ranked, common int) {
	const few = 12
	if len(all) <= few {
		slices.SortFunc(all, func(a, b ranked) int {
			s.looked()
			return cmp.Compare(a.rest(common), b.rest(common))
		})
		return
	}
	s.sortWord(all, common, func(run []ranked) { s.sort(run, common+wordSize) })
}

// sortWord sorts entries by the word behind what their ids have in common, and calls each with those of one word, if more
// than one id goes on behind it.
func (s *sorting) sortWord(all []ranked, common int, each func([]ranked)) {
	for i := range all {
		s.looked()
		all[i].word = word(all[i].rest(common))
	}
	slices.SortFunc(all, func(a, b ranked) int {
		s.looked()
		return cmp.Compare(a.word, b.word)
	})
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].word == all[0].word {
			n++
		}
		if n > 1 {
			each(all[:n])
		}
		all = all[n:]
	}
}

func (r *ranked) rest(common int) string {
	id := r.Key()
	return id[min(common, len(id)):]
}

// word is the first eight bytes of a text, with zeros behind a shorter one, which is less than any byte of an id: words
// compare as the texts do.
func word(text string) uint64 {
	if len(text) >= wordSize {
		return binary.BigEndian.Uint64([]byte(text[:wordSize]))
	}
	var padded [wordSize]byte
	copy(padded[:], text)
	return binary.BigEndian.Uint64(padded[:])
}
