package access

import (
	"net/netip"
	"sync"
	"time"
)

// What failed logins cost.
const (
	// freeFailures may fail one after another before anybody has to wait.
	freeFailures = 5
	firstWait    = time.Second
	longestWait  = time.Minute
	// forgetAfter is how long nothing may fail for the past to be forgotten.
	forgetAfter = 10 * time.Minute
	// maxAddresses is how many addresses are remembered.
	maxAddresses = 4096
)

// limiter counts the failed logins of addresses. Who has a token is not its concern: whatever a neighbour tries, a token
// that is right is taken, and 256 bits cannot be guessed; what it saves is the work and the noise.
type limiter struct {
	now func() time.Time

	mu        sync.Mutex
	addresses map[netip.Prefix]*failures
}

type failures struct {
	count int
	last  time.Time
	until time.Time // nothing is tried before
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, addresses: map[netip.Prefix]*failures{}}
}

// failed counts a failure, and says that it was one too many.
func (l *limiter) failed(remoteAddr string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	f := l.of(addressOf(remoteAddr), now)
	if wait := f.until.Sub(now); wait > 0 {
		return &TooManyError{RetryAfter: wait}
	}
	f.count++
	f.last = now
	if f.count <= freeFailures {
		return nil
	}
	wait := longestWait
	if n := f.count - freeFailures - 1; n < 6 {
		wait = min(firstWait<<n, longestWait)
	}
	f.until = now.Add(wait)
	return &TooManyError{RetryAfter: wait}
}

// of needs mu.
func (l *limiter) of(address netip.Prefix, now time.Time) *failures {
	if f := l.addresses[address]; f != nil {
		if now.Sub(f.last) > forgetAfter {
			*f = failures{}
		}
		return f
	}
	if len(l.addresses) >= maxAddresses {
		l.makeRoom(now)
	}
	f := &failures{last: now}
	l.addresses[address] = f
	return f
}

// makeRoom forgets what is to be forgotten, or else any one.
func (l *limiter) makeRoom(now time.Time) {
	var any netip.Prefix
	for a, f := range l.addresses {
		any = a
		if now.Sub(f.last) > forgetAfter {
			delete(l.addresses, a)
		}
	}
	if len(l.addresses) >= maxAddresses {
		delete(l.addresses, any)
	}
}

// addressOf is whom an address stands for: a machine, in IPv6 its network; the zero value for all that are none.
func addressOf(remoteAddr string) netip.Prefix {
	ap, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	a := ap.Addr().Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}
