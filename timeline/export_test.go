package timeline

import "fmt"

// LimitKept makes the timeline keep moments of so many bytes only.
func (t *Timeline) LimitKept(bytes int) { t.kept.limit = bytes }

// CheckKept says what is wrong with the account of what is kept.
func (t *Timeline) CheckKept() error {
	k := &t.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	bytes, own, grounds := 0, 0, map[*ground]int{}
	for i, e := range k.byPos {
		m := e.Value.(*keptMoment)
		bytes += m.added
		own = max(own, m.states.bytes()+m.registry.bytes())
		grounds[m.states]++
		grounds[m.registry]++
		if i > 0 && k.byPos[i-1].Value.(*keptMoment).Position() >= m.Position() {
			return fmt.Errorf("position %d is kept behind %d", m.Position(), k.byPos[i-1].Value.(*keptMoment).Position())
		}
	}
	for g, moments := range grounds {
		bytes += g.bytes()
		if g.moments != moments {
			return fmt.Errorf("%d moments stand on a ground that counts %d", moments, g.moments)
		}
	}
	switch {
	case bytes != k.bytes:
		return fmt.Errorf("%d bytes are counted, and there are %d", k.bytes, bytes)
	case bytes-own > k.limit && len(k.byPos) > 1:
		return fmt.Errorf("%d moments with %d bytes are kept, and the limit is %d", len(k.byPos), bytes, k.limit)
	case len(k.byPos) > keptMoments || k.byAge.Len() != len(k.byPos):
		return fmt.Errorf("%d moments are kept by age, and %d by position", k.byAge.Len(), len(k.byPos))
	}
	return nil
}
