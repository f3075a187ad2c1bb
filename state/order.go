package state

import (
	"cmp"
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// ranked is a state to be sorted: by eight bytes of its id, since comparing words that lie side by side is what sorting
// is quick with. Most ids of a house begin alike, and so the words that follow are looked at only where those before
// are equal.
type ranked struct {
	word uint64
	at   int32
}

// sortedOrder answers the indexes of the states in the order of their ids.
func sortedOrder(states []State) []int32 {
	all := make([]ranked, len(states))
	for i := range all {
		all[i].at = int32(i)
	}
	s := sorting{states}
	const many = 4096
	if len(all) < many {
		s.sort(all, 0)
	} else {
		var runs [][]ranked
		s.sortWord(all, 0, func(run []ranked) { runs = append(runs, run) })
		var next atomic.Int64
		var workers sync.WaitGroup
		for range min(runtime.GOMAXPROCS(0), len(runs)) {
			workers.Go(func() {
				for i := int(next.Add(1)) - 1; i < len(runs); i = int(next.Add(1)) - 1 {
					s.sort(runs[i], wordSize)
				}
			})
		}
		workers.Wait()
	}
	order := make([]int32, len(all))
	for i := range all {
		order[i] = all[i].at
	}
	return order
}

type sorting struct{ states []State }

const wordSize = 8

// sort sorts states whose ids have their first bytes in common, so many of them.
func (s sorting) sort(all []ranked, common int) {
	const few = 12
	if len(all) <= few {
		slices.SortFunc(all, func(a, b ranked) int { return cmp.Compare(s.rest(a, common), s.rest(b, common)) })
		return
	}
	runtime.Gosched() // a snapshot is taken in the background
	s.sortWord(all, common, func(run []ranked) { s.sort(run, common+wordSize) })
}

// sortWord sorts states by the word behind what their ids have in common, and calls each with those of one word, if more
// than one id goes on behind it.
func (s sorting) sortWord(all []ranked, common int, each func([]ranked)) {
	for i := range all {
		all[i].word = word(s.rest(all[i], common))
	}
	slices.SortFunc(all, func(a, b ranked) int { return cmp.Compare(a.word, b.word) })
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

func (s sorting) rest(r ranked, common int) string {
	id := s.states[r.at].EntityID
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
