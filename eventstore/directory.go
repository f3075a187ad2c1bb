package eventstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sort"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

const (
	// directoryBytes bounds the filters that a directory keeps: those of 80 million events about 10,000 entities. Without
	// its filter an entry takes 56 bytes.
	directoryBytes = 64 << 20
	// directoryPage is the number of entries, or of filters, that are read in one go.
	directoryPage = 1024
)

// directory is what a store keeps in memory of its sealed segments, so that the history of one entity costs what the
// segments that it is in cost, and not a look at every segment's row: in a log of ten million events that takes longer than all
// the rest. It is read from the tables when it is first needed, and afterwards what is new behind its end. It never has
// to be read again, since sealed segments do not change, and neither does what lies between them.
//
// What is damaged when it is read is found as it is without a directory: a filter that is missing or damaged excludes
// nothing, a gap is found by who reads across it, and where the rows cannot be read the directory ends. What becomes damaged
// later is found by the reads that need it, and by [Store.Inspect].
type directory struct {
	room    int                 // in bytes of filters: directoryBytes
	page    int                 // directoryPage
	loading *semaphore.Weighted // held by who extends it
	current atomic.Pointer[listing]
}

func newDirectory() directory {
	return directory{room: directoryBytes, page: directoryPage, loading: semaphore.NewWeighted(1)}
}

// listing is a state of the directory. It does not change.
type listing struct {
	entries []listed // in the order of positions
	until   Position // up to which the tables were read
	// Only the entries from the one with the index held on have their filters with them, which take size bytes.
	held, size int
}

// listed is what there is to know about a sealed segment.
type listed struct {
	first, last                 Position
	firstRecorded, lastRecorded int64
	filter                      filter // nil where it excludes nothing
}

// loaded is the directory as it is, which may be empty.
func (d *directory) loaded() *listing {
	if l := d.current.Load(); l != nil {
		return l
	}
	return &listing{}
}

// upTo is the directory of the segments up to a position up to which the log is sealed, or up to the first one before it
// whose row cannot be read.
func (d *directory) upTo(ctx context.Context, db querier, sealed Position) (*listing, error) {
	if l := d.loaded(); l.until >= sealed {
		return l, nil
	}
	if err := d.loading.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer d.loading.Release(1)
	l := d.loaded()
	for l.until < sealed {
		next, err := l.extended(ctx, db, sealed, d.page)
		next.forget(d.room)
		d.current.Store(next)
		if isDamage(err) {
			return next, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the directory of the log behind position %d: %w", next.until, err)
		}
		l = next
	}
	return l, nil
}

// extended is the listing with the next page of entries, up to a position at most. It is of use also where it fails.
func (l *listing) extended(ctx context.Context, db querier, sealed Position, limit int) (*listing, error) {
	next := *l
	// Who has the listing from before does not look behind its end.
	err := next.readEntries(ctx, db, sealed, limit)
	added := next.entries[len(l.entries):]
	if err == nil && len(added) < limit {
		next.until = sealed
	} else if len(added) > 0 {
		next.until = added[len(added)-1].last
	}
	if len(added) == 0 {
		return &next, err
	}
	filters, unread := readFilters(ctx, db, added)
	for i, f := range filters {
		added[i].filter, next.size = f, next.size+len(f)
	}
	if unread != nil {
		return l, unread
	}
	return &next, err
}

func (l *listing) readEntries(ctx context.Context, db querier, sealed Position, limit int) error {
	rows, err := db.QueryContext(ctx, `SELECT last_position, first_position, first_recorded, last_recorded FROM segments
		WHERE last_position > ? AND last_position <= ? ORDER BY last_position LIMIT ?`, int64(l.until), int64(sealed), limit)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // what it could say, Err has said
	for rows.Next() {
		var e listed
		if err := rows.Scan(&e.last, &e.first, &e.firstRecorded, &e.lastRecorded); err != nil {
			return misread(err)
		}
		l.entries = append(l.entries, e)
	}
	return rows.Err()
}

// readFilters reads the filters of neighbouring segments: nil for those that have none, or none that is whole.
func readFilters(ctx context.Context, db querier, of []listed) ([]filter, error) {
	filters := make([]filter, len(of))
	rows, err := db.QueryContext(ctx, `SELECT last_position, filter FROM segment_filters
		WHERE last_position BETWEEN ? AND ? ORDER BY last_position`, int64(of[0].last), int64(of[len(of)-1].last))
	if err == nil {
		defer func() { _ = rows.Close() }() // what it could say, Err has said
		for i := 0; err == nil && rows.Next(); {
			var last Position
			var raw sql.RawBytes
			if err = misread(rows.Scan(&last, &raw)); err != nil {
				break
			}
			for i < len(of) && of[i].last < last {
				i++
			}
			if i < len(of) && of[i].last == last && filter(raw).intact(last) {
				filters[i] = filter(slices.Clone(raw))
			}
		}
		if err == nil {
			err = rows.Err()
		}
	}
	if err != nil && !isDamage(err) {
		return nil, fmt.Errorf("read the filters of positions %d to %d: %w", of[0].first, of[len(of)-1].last, err)
	}
	return filters, nil
}

// forget drops the filters of the oldest segments when there are more than there is room for, some at once.
func (l *listing) forget(room int) {
	if l.size <= room {
		return
	}
	l.entries = slices.Clone(l.entries) // others use those from before
	for ; l.size > room-room/4; l.held++ {
		e := &l.entries[l.held]
		l.size -= len(e.filter)
		e.filter = nil
	}
}

// end is the position of the last event of the last segment, 0 if there is none.
func (l *listing) end() Position {
	if n := len(l.entries); n > 0 {
		return l.entries[n-1].last
	}
	return 0
}

// index is that of the first segment that ends at a position or behind it.
func (l *listing) index(at Position) int {
	return sort.Search(len(l.entries), func(i int) bool { return l.entries[i].last >= at })
}

// narrow brings the positions between which that of a recorded time is, together as far as the directory knows.
func (l *listing) narrow(low, high Position, recorded int64) (Position, Position) {
	i := sort.Search(len(l.entries), func(i int) bool { return l.entries[i].lastRecorded > recorded })
	if i > 0 {
		low = max(low, l.entries[i-1].last)
	}
	if i < len(l.entries) {
		if e := &l.entries[i]; e.firstRecorded <= recorded {
			high = min(high, e.last)
		} else {
			high = min(high, e.first-1)
		}
	}
	return low, high
}

// search goes through the directory for the segments that may hold events about some entities.
type search struct {
	db       querier
	list     *listing
	hashes   []uint64 // of the entities
	from, to Position // backward if to is before from; from must not be behind the end of the directory
	backward bool
	next     int // the index of the next entry
	page     int // the number of filters to read in one go, where the directory does not have them

	// passed are the positions that were looked at.
	passed page
	// filters are those that the directory does not have with it, of the entries from the one with the index filtersAt on.
	filters   []filter
	filtersAt int
}

// candidate is the next segment that may hold what is looked for, nil behind the last one. It fails with ErrCorrupt
// where segments do not follow each other without a gap.
func (c *search) candidate(ctx context.Context) (*listed, error) {
	for c.next >= 0 && c.next < len(c.list.entries) && !c.passed.holds(c.to) {
		e := &c.list.entries[c.next]
		if err := c.passed.add(c.from, c.backward, e.first, e.last, e.firstRecorded); err != nil {
			return nil, fmt.Errorf("read the log from position %d: %w", c.from, err)
		}
		f, err := c.filter(ctx, c.next)
		if err != nil {
			return nil, err
		}
		if c.next++; c.backward {
			c.next -= 2
		}
		if f == nil || f.claims(c.hashes) {
			return e, nil
		}
	}
	return nil, nil
}

// filter is that of the entry with an index.
func (c *search) filter(ctx context.Context, i int) (filter, error) {
	if i >= c.list.held {
		return c.list.entries[i].filter, nil
	}
	if i < c.filtersAt || i >= c.filtersAt+len(c.filters) {
		low, high := i, min(i+c.page, c.list.held)
		if c.backward {
			low, high = max(0, i+1-c.page), i+1
		}
		var err error
		if c.filters, err = readFilters(ctx, c.db, c.list.entries[low:high]); err != nil {
			return nil, err
		}
		c.filtersAt = low
	}
	return c.filters[i-c.filtersAt], nil
}
