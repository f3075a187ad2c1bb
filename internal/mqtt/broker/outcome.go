package broker

import "sync"

// outcomes wait to be told. The writer never waits for that: who is told takes locks, whose holders may wait for the writer.
type outcomes struct {
	mu     sync.Mutex // guards what follows
	wake   *sync.Cond
	list   []outcome
	closed bool
}

func (o *outcomes) add(one outcome) {
	o.mu.Lock()
	o.list = append(o.list, one)
	o.wake.Signal()
	o.mu.Unlock()
}

// close says that no more come.
func (o *outcomes) close() {
	o.mu.Lock()
	o.closed = true
	o.wake.Signal()
	o.mu.Unlock()
}

// next are those that came. None are the last.
func (o *outcomes) next() []outcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.list) == 0 && !o.closed {
		o.wake.Wait()
	}
	list := o.list
	o.list = nil
	return list
}

// tell tells what became of requests, in order: of a transaction first those who do something about it, then those who wait.
func (s *store) tell() {
	defer close(s.ended)
	for list := s.told.next(); len(list) > 0; list = s.told.next() {
		for _, o := range list {
			for _, r := range o.of {
				if r.then != nil {
					r.then(o.err)
				}
			}
			for _, r := range o.of {
				if r.done != nil {
					r.done <- o.err
				}
			}
		}
	}
}
