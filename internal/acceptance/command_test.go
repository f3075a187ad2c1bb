//go:build acceptance

package acceptance

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/api"
)

// order is a command that is given to a device.
type order struct {
	entity string
	words  []string
	// device is what Zigbee2MQTT calls it.
	device string
	// says is what the device says of itself when it has done it; nil where it never does.
	says map[string]any
}

func (o order) String() string { return o.entity + " " + strings.Join(o.words, " ") }

// set runs "statehouse set" and returns what it prints, and counts what it sent.
func (r *rig) set(t *testing.T, o order, flags ...string) (result api.CommandResult, errs string, code int) {
	t.Helper()
	out, errs, code := r.home.cli(t, append(append([]string{"set", o.entity, "-o", "json"}, flags...), o.words...)...)
	if out != "" {
		if err := json.Unmarshal([]byte(out), &result); err != nil {
			t.Fatalf("set %s: %v: %s", o, err, out)
		}
	}
	return result, errs, code
}

// sent waits until a command is on its way to the device, once.
func (r *rig) sent(t *testing.T, mark int, o order) {
	t.Helper()
	r.commands++
	wait(t, o.String()+" was sent", func() error {
		if all := r.observer.sets(mark); len(all) != 1 || !strings.HasPrefix(all[0], "zigbee2mqtt/"+o.device+"/set {") {
			return fmt.Errorf("these were sent: %q", all)
		}
		return nil
	})
	t.Logf("   %s", r.observer.sets(mark)[0])
}

// give gives a command and checks what becomes of it, in the log and on the broker.
func (r *rig) give(t *testing.T, o order) {
	t.Helper()
	mark := r.observer.mark()
	if o.says == nil {
		result, errs, code := r.set(t, o, "--timeout", "2s")
		if code == 0 || result.Outcome != api.OutcomeTimedOut || !strings.Contains(errs, "timed out") {
			t.Fatalf("set %s, which nothing answers: exit code %d, %+v, %s", o, code, result, errs)
		}
		r.sent(t, mark, o)
		r.timedOut(t, o, result)
		return
	}
	result, errs, code := r.set(t, o, "--timeout", patience.String())
	if code != 0 || result.Outcome != api.OutcomeConfirmed {
		t.Fatalf("set %s: exit code %d, %+v, %s", o, code, result, errs)
	}
	r.sent(t, mark, o)
	wait(t, o.device+" said that it did it", func() error { return r.observer.said(mark, o.device, o.says) })
	issued, settled := r.outcome(t, o, result.Position)
	answer := r.home.events(t, eventstore.Query{After: settled.CausePosition - 1, Until: settled.CausePosition})[0]
	if answer.Kind != eventstore.KindStateChanged && answer.Kind != eventstore.KindStateReported ||
		answer.Entity != o.entity || answer.CausePosition != issued.Position || answer.CorrelationID != issued.CorrelationID {
		t.Errorf("%s is confirmed by %+v", o, answer)
	}
	if outcome := settled.Payload.GetCommandSettled().GetOutcome(); outcome != eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED ||
		settled.Position != result.SettledPosition {
		t.Errorf("%s: %+v, and the command said %+v", o, settled, result)
	}
	if answer.Timestamp.Before(issued.Timestamp) {
		t.Errorf("%s: the state that answers is of %s, and the command of %s", o, answer.Timestamp, issued.Timestamp)
	}
	r.why(t, settled.Position, eventstore.KindCommandSettled, answer.Kind, eventstore.KindCommandIssued)
	t.Logf("   %s: @%d issued, @%d %s, @%d confirmed", o, issued.Position, answer.Position, answer.Kind, settled.Position)
}

// why checks the kinds of the chain of causes of an event, the event first.
func (r *rig) why(t *testing.T, at eventstore.Position, kinds ...eventstore.Kind) {
	t.Helper()
	var got []eventstore.Kind
	for link, err := range r.home.WhyEvent(t.Context(), at) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, link.Event.Kind)
	}
	if fmt.Sprint(got) != fmt.Sprint(kinds) {
		t.Errorf("position %d is because of %v, want %v", at, got, kinds)
	}
}

// outcome waits until a command is settled, and returns both events.
func (r *rig) outcome(t *testing.T, o order, at eventstore.Position) (issued, settled eventstore.Event) {
	t.Helper()
	wait(t, fmt.Sprintf("%s, position %d, is settled", o, at), func() error {
		n := 0
		for _, e := range r.home.events(t, eventstore.Query{After: at - 1, Entities: []string{o.entity}}) {
			if e.Position == at {
				issued = e
			}
			if e.Payload.GetCommandSettled().GetCommand() == uint64(at) {
				settled, n = e, n+1
			}
		}
		if n > 1 || issued.Kind != eventstore.KindCommandIssued {
			t.Fatalf("%s: settled %d times: %+v, %+v", o, n, issued, settled)
		}
		if n == 0 {
			return errors.New("it waits")
		}
		return nil
	})
	return issued, settled
}

// timedOut checks the events of a command that nothing answered.
func (r *rig) timedOut(t *testing.T, o order, result api.CommandResult) {
	t.Helper()
	issued, settled := r.outcome(t, o, result.Position)
	if outcome := settled.Payload.GetCommandSettled().GetOutcome(); outcome != eventv1.CommandOutcome_COMMAND_OUTCOME_TIMED_OUT ||
		settled.CausePosition != issued.Position || !settled.Timestamp.Equal(result.Deadline) {
		t.Errorf("%s, whose deadline is %s: %+v", o, result.Deadline.Format(time.RFC3339Nano), settled)
	}
	t.Logf("   %s: @%d issued, @%d timed out at its deadline", o, issued.Position, settled.Position)
}
