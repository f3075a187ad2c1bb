package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

const (
	// defaultVerifyAfter is how long after a start the first verification begins at the earliest.
	defaultVerifyAfter = 10 * time.Minute
	// verifyRest makes a verification that nobody waits for take a twentieth of one processor.
	verifyRest = 19
	// verifyAgain is how long after a verification that could not be done the next one begins.
	verifyAgain = time.Hour
	// maxLoggedFindings bounds what is remembered of what was logged.
	maxLoggedFindings = 1000
)

// What the daemon records of a verification that looked at everything. The event's detail begins with the number of
// findings, which is how a daemon knows it after a restart.
const (
	whatVerified = "verified"
	whatDamaged  = "damaged"
)

// verifier verifies the daemon's house: every now and then by itself, and whenever somebody asks. It implements
// [server.Verifier].
type verifier struct {
	d *Daemon
	// every is the time from one verification to the next, 0 for never; after is that from the start to the first.
	every, after time.Duration

	mu       sync.Mutex // guards the rest; nothing else is locked under it
	at       time.Time  // when the last verification of everything ended
	findings int
	damage   string
	logged   map[string]bool // the findings that are in the log of this process
}

// Verified implements [server.Verifier].
func (v *verifier) Verified() api.Verified {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := api.Verified{Findings: v.findings, Damage: v.damage}
	if !v.at.IsZero() {
		at := v.at.UTC()
		w.At, w.AgeSeconds = &at, time.Since(at).Seconds()
	}
	return w
}

// Verify implements [server.Verifier]. What it finds is logged, and the result recorded.
func (v *verifier) Verify(ctx context.Context, opts eventstore.InspectOptions) (eventstore.Inspection, error) {
	tell, n, first := opts.Found, 0, ""
	opts.Found = func(f eventstore.Finding) {
		if n++; n == 1 {
			first = f.String()
		}
		v.found(f, n, first)
		if tell != nil {
			tell(f)
		}
	}
	result, err := v.d.house.Verify(ctx, opts)
	if err != nil {
		return result, err
	}
	v.mu.Lock()
	v.at, v.findings, v.damage = time.Now(), n, first
	v.mu.Unlock()
	what, detail := whatVerified, fmt.Sprintf("0 findings in %d events and %d snapshots, in %s", result.Events, result.Snapshots,
		result.Took.Round(time.Millisecond))
	if n > 0 {
		what, detail = whatDamaged, fmt.Sprintf("%d findings, the first: %s", n, first)
	}
	v.d.log.Info("the database was verified", "events", result.Events, "snapshots", result.Snapshots, "findings", n, "took", result.Took)
	if err := v.d.recordOf(ctx, what, filepath.Base(v.d.cfg.DB), detail); err != nil {
		v.d.log.Warn("the result of a verification was not recorded", "error", err)
	}
	return result, nil
}

// found remembers a finding, and logs it unless this process has. It is the n-th of its verification.
func (v *verifier) found(f eventstore.Finding, n int, first string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.findings, v.damage = n, first
	text := f.String()
	if v.logged[text] || len(v.logged) >= maxLoggedFindings {
		return
	}
	if v.logged == nil {
		v.logged = map[string]bool{}
	}
	v.logged[text] = true
	v.d.log.Error("the database is damaged", "file", v.d.house.Path(), "kind", f.Kind, "first", f.First, "last", f.Last,
		"entities", f.Entities, "finding", text)
}

// load finds out how the last verification ended.
func (v *verifier) load(ctx context.Context) error {
	for e, err := range v.d.house.Read(ctx, eventstore.Query{
		// Their events are about no entity, which lets the log leave out most of itself.
		After: eventstore.FromOldest, Backward: true, Entities: []string{""}, Kinds: []eventstore.Kind{eventstore.KindSystem}, Sources: []string{source},
	}) {
		if err != nil {
			return err
		}
		s := e.Payload.GetSystem()
		if what := s.GetWhat(); what != whatVerified && what != whatDamaged {
			continue
		}
		n := 0
		if _, err := fmt.Sscan(s.GetDetail(), &n); err != nil {
			return fmt.Errorf("the event at position %d: its detail does not begin with a number: %w", e.Position, err)
		}
		v.mu.Lock()
		if v.at.IsZero() {
			v.at, v.findings = e.RecordedAt, n
			if n > 0 {
				v.damage = s.GetDetail()
			}
		}
		v.mu.Unlock()
		return nil
	}
	return nil
}

// run verifies every now and then, until ctx ends.
func (v *verifier) run(ctx context.Context) {
	if err := v.load(ctx); err != nil && ctx.Err() == nil {
		v.d.log.Warn("how the last verification ended cannot be read", "error", err)
	}
	least := v.after
	for v.every > 0 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(v.untilDue(), least)):
		}
		least = 0
		err := v.turn(ctx)
		if ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
			return
		}
		if err != nil {
			v.d.log.Warn("the database was not verified; it is tried again later", "error", err)
			least = min(v.every, verifyAgain)
		}
	}
}

// turn verifies, unless somebody asked for that meanwhile.
func (v *verifier) turn(ctx context.Context) error {
	if v.untilDue() > 0 {
		return nil
	}
	_, err := v.Verify(ctx, eventstore.InspectOptions{Rest: verifyRest})
	return err
}

// untilDue is how long it is until the next verification is due. A clock that was wrong puts it off by no more than
// one turn.
func (v *verifier) untilDue() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.at.IsZero() {
		return 0
	}
	return min(time.Until(v.at.Add(v.every)), v.every)
}
