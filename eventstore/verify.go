package eventstore

import (
	"context"
	"fmt"
)

// Verify recomputes checksums and chain over the whole log up to the head and returns the first damage, which matches
// [ErrCorrupt] and says where it is; nil means that the log is what was written.
func (s *Store) Verify(ctx context.Context) error {
	before := genesis(s.uuid)
	r := newRun()
	for after, until := FromStart, s.Head(); after < until; {
		p, err := segmentsFrom(ctx, s.db.Reader(), after+1, false)
		if err != nil {
			return s.orClosed(err)
		}
		if p.last == 0 {
			return fmt.Errorf("%w: it ends at position %d instead of %d", ErrCorrupt, after, until)
		}
		for i := range p.segments {
			if err := r.open(&p.segments[i], nil); err != nil {
				return err
			}
			if err := r.chainFrom(before, nil); err != nil {
				return err
			}
			for i := range r.records { // decoded for the sake of its errors
				if _, err := r.event(i); err != nil {
					return err
				}
			}
			before, after = p.segments[i].chain, p.segments[i].last
		}
	}
	return nil
}
