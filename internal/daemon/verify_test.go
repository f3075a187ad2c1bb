package daemon

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
)

// journal is a log that a test reads while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), what)
}

// behind changes a database behind the back of who has it open.
func behind(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err == nil {
		_, err = db.ExecContext(t.Context(), statement)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestVerifiesByItself: the daemon verifies its database some time after the start, records the result, and knows it after a
// restart, so that it does not begin again.
func TestVerifiesByItself(t *testing.T) {
	c := testConfig(t)
	d := start(t, c, Options{VerifyAfter: time.Millisecond})
	wait(t, "it verifies", func() bool { return d.verifier.Verified().At != nil })
	verified := d.verifier.Verified()
	if verified.Findings != 0 || verified.Damage != "" || verified.AgeSeconds < 0 || verified.AgeSeconds > 60 {
		t.Errorf("%+v", verified)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = start(t, c, Options{VerifyAfter: time.Millisecond})
	wait(t, "it knows", func() bool { return d.verifier.Verified().At != nil })
	if at := d.verifier.Verified().At; at.Sub(*verified.At).Abs() > time.Minute {
		t.Errorf("it verified at %s, and knows of %s", verified.At, at)
	}
	if due := d.verifier.untilDue(); due < 6*24*time.Hour || due > 7*24*time.Hour {
		t.Errorf("the next one is due in %s", due)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(ownEvents(t, c.DB), " "); got != "started token_created verified stopped started stopped" {
		t.Errorf("the daemon recorded %s", got)
	}
}

// TestVerifiesBehindWhatIsRemoved: how the last verification ended is found where history has been removed, too.
func TestVerifiesBehindWhatIsRemoved(t *testing.T) {
	d := start(t, testConfig(t), Options{})
	if _, err := d.House().Compact(t.Context(), d.House().Now().Position(), eventstore.CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	none := &verifier{d: d}
	if err := none.load(t.Context()); err != nil || none.Verified().At != nil {
		t.Errorf("%+v, %v", none.Verified(), err)
	}
	if _, err := d.verifier.Verify(t.Context(), eventstore.InspectOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := none.load(t.Context()); err != nil || none.Verified().At == nil {
		t.Errorf("%+v, %v", none.Verified(), err)
	}
}

// TestVerifiesAgainAndAgain: one verification follows the other, each finding is logged once, and what was repaired is
// forgotten.
func TestVerifiesAgainAndAgain(t *testing.T) {
	c := testConfig(t)
	log := &journal{}
	d := start(t, c, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	v := &verifier{d: d, every: 10 * time.Millisecond, after: time.Millisecond}
	var running sync.WaitGroup
	running.Go(func() { v.run(ctx) })
	n := func(what string) (n int) {
		for e, err := range d.House().Read(t.Context(), eventstore.Query{Kinds: []eventstore.Kind{eventstore.KindSystem}, Sources: []string{source}}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Payload.GetSystem().GetWhat() == what {
				n++
			}
		}
		return n
	}
	wait(t, "it verifies twice", func() bool { return n(whatVerified) >= 2 })
	behind(t, c.DB, `INSERT INTO segment_filters VALUES (1, x'00')`)
	wait(t, "it finds the damage twice", func() bool { return n(whatDamaged) >= 2 })
	if got := v.Verified(); got.Findings != 1 || !strings.HasPrefix(got.Damage, "filter of the segment with position 1, recorded ") {
		t.Errorf("%+v", got)
	}
	if logged := log.count(`level=ERROR msg="the database is damaged"`); logged != 1 {
		t.Errorf("the finding was logged %d times", logged)
	}
	// After a restart the daemon knows it from what was recorded.
	restarted := &verifier{d: d}
	if err := restarted.load(ctx); err != nil {
		t.Fatal(err)
	}
	if got := restarted.Verified(); got.Findings != 1 || !strings.Contains(got.Damage, "filter of the segment with position 1") || got.At == nil {
		t.Errorf("after a restart: %+v", got)
	}
	behind(t, c.DB, `DELETE FROM segment_filters`)
	wait(t, "it finds nothing again", func() bool { return v.Verified().Findings == 0 })
	cancel()
	running.Wait()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestVerifiesNever: an interval of 0 is none, and what somebody asks for is done all the same.
func TestVerifiesNever(t *testing.T) {
	c := testConfig(t)
	never := Interval(0)
	c.VerifyEvery = &never
	d := start(t, c, Options{VerifyAfter: time.Nanosecond})
	(&verifier{d: d}).run(t.Context()) // it ends
	if v := d.verifier.Verified(); v.At != nil {
		t.Errorf("%+v", v)
	}
	if _, err := d.verifier.Verify(t.Context(), eventstore.InspectOptions{}); err != nil || d.verifier.Verified().At == nil {
		t.Errorf("%v", err)
	}
	// The next turn has nothing to do, since somebody asked.
	asked := time.Now().Add(-time.Minute)
	v := &verifier{d: d, every: time.Hour, at: asked}
	if err := v.turn(t.Context()); err != nil || !v.Verified().At.Equal(asked) {
		t.Errorf("it verified again: %+v, %v", v.Verified(), err)
	}
}

// TestVerificationDue: a verification of long ago is due at once, a recent one's successor later, and a clock that was wrong
// puts it off by one turn at most.
func TestVerificationDue(t *testing.T) {
	for ago, want := range map[time.Duration]time.Duration{
		time.Hour: 23 * time.Hour, 100 * time.Hour: 0, -1000 * time.Hour: 24 * time.Hour,
	} {
		v := &verifier{every: 24 * time.Hour, at: time.Now().Add(-ago)}
		if got := max(v.untilDue(), 0); (got - want).Abs() > time.Minute {
			t.Errorf("%s ago: due in %s, want %s", ago, got, want)
		}
	}
	if got := (&verifier{every: time.Hour}).untilDue(); got != 0 {
		t.Errorf("never: due in %s", got)
	}
}
