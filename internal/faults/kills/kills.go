// Package kills ends the shipped program with kill -9 while it works, again and again, and looks whether anything is
// missing that it had acknowledged.
//
// Several publishers report over MQTT at QoS 1, an owner edits the registry through the unix socket, snapshots and
// verifications are asked for, and the log is sealed meanwhile. The killer keeps what was acknowledged. After each start
// it reads over HTTP what the log has beyond what it has read before, and wants every message of a publisher once and in
// order, whole, up to at least the last one that was acknowledged; every edit at the position that was answered; nothing
// that nobody sent; and the present that follows from it. A house is killed several dozen times, then stopped and opened,
// and its whole log compared with what was read, and checked by internal/check.
//
// The moments are: during the load, when the log is sealed, during a snapshot, during a verification, during a start, and
// during a clean stop. It proves what is said of processes that end; about power cuts it says nothing, since the kernel
// writes what a process has handed to it.
package kills

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/statehouse/statehouse/internal/faults"
)

// Run implements [faults.Run]. A round is a kill.
func Run(ctx context.Context, seed uint64, b faults.Budget) (faults.Report, error) {
	if err := b.Check(); err != nil {
		return faults.Report{}, err
	}
	r := rand.New(rand.NewPCG(seed, 0))
	m := b.NewMeter("kills")
	for n := 0; m.More(ctx); n++ {
		dir := filepath.Join(b.Dir, fmt.Sprintf("house-%d", n))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return m.Report, err
		}
		h := newHouse(b.Binary, filepath.Join(dir, "home.db"), r)
		err := h.live(ctx, m)
		for i := range h.devices {
			m.Count("acknowledged messages", h.devices[i].total)
		}
		m.Count("acknowledged edits", h.owner.total)
		m.Count("events", len(h.lines))
		if ctx.Err() != nil {
			return m.Report, nil
		}
		if err != nil {
			return m.Report, fmt.Errorf("house %d of seed %d, which is left in %s: %w", n, seed, dir, err)
		}
		m.Count("houses", 1)
		if err := os.RemoveAll(dir); err != nil {
			return m.Report, err
		}
	}
	return m.Report, nil
}

// perHouse is the number of kills of one house: enough for it to be sealed several times, few enough to stay small.
const perHouse = 60

// live is the life of a house: it is announced, killed, and looked at in the end.
func (h *house) live(ctx context.Context, m *faults.Meter) error {
	if err := h.announce(ctx); err != nil {
		return fmt.Errorf("the first start: %w", err)
	}
	for n := 0; n < perHouse && m.More(ctx); n++ {
		at := moments[h.rand.IntN(len(moments))]
		if err := h.round(ctx, at); err != nil {
			return fmt.Errorf("kill %d, %s: %w", n+1, at.name, err)
		}
		m.Rounds++
		m.Count(at.name, 1)
	}
	return h.end(ctx)
}

// moment is when the program is killed.
type moment struct {
	name string
	// load works until the moment has come.
	load func(h *house, ctx context.Context, p *faults.Program) error
}

// moments are drawn from with the same chance each.
var moments = []moment{
	{"during the load", (*house).untilAcked}, {"during the load", (*house).untilAcked}, {"during the load", (*house).untilAcked},
	{"while sealing", (*house).untilSealing},
	{"during a snapshot", (*house).duringSnapshot},
	{"during a verification", (*house).duringVerify},
	{"during a stop", (*house).duringStop},
	{"during a start", nil},
}

// round starts the program, compares, and kills it at a moment.
func (h *house) round(ctx context.Context, at moment) error {
	p, err := faults.Start(h.binary, h.db, "--snapshot-every", "500")
	if err != nil {
		return err
	}
	defer p.Kill()
	if at.load == nil {
		h.nap(120 * time.Millisecond)
		p.Kill()
		return p.Errors()
	}
	if err := p.Ready(ctx); err != nil {
		return err
	}
	if err := h.compare(ctx, p); err != nil {
		return fmt.Errorf("after the start: %w\n%s", err, p.Log())
	}
	if err := at.load(h, ctx, p); err != nil {
		return fmt.Errorf("%w\n%s", err, p.Log())
	}
	return p.Errors()
}

// nap waits for up to d: a moment like any other.
func (h *house) nap(d time.Duration) { time.Sleep(time.Duration(h.rand.Int64N(int64(d)))) }

// untilAcked kills after so many acknowledgements.
func (h *house) untilAcked(ctx context.Context, p *faults.Program) error {
	l := h.work(ctx, p, 1+h.rand.IntN(600), p.Shoot)
	l.wait()
	p.Kill()
	return l.end()
}

// untilSealing kills about when there is enough to seal.
func (h *house) untilSealing(ctx context.Context, p *faults.Program) error {
	sealed, err := p.Metric(ctx, "statehouse_log_sealed_position")
	if err != nil {
		return err
	}
	const sealedEvents, eventsPerMessage = 4096, 2
	missing := int(sealed) + sealedEvents - len(h.lines)
	l := h.work(ctx, p, max(1, missing/eventsPerMessage), nil)
	l.wait()
	h.nap(15 * time.Millisecond)
	p.Kill()
	return l.end()
}

// during kills a while after something was asked for through the socket, beside a load.
func (h *house) during(ctx context.Context, p *faults.Program, path string) error {
	l := h.work(ctx, p, 1+h.rand.IntN(200), nil)
	l.wait()
	asked := make(chan error, 1)
	go func() { asked <- p.Edit(ctx, "POST", path, "", nil) }()
	h.nap(12 * time.Millisecond)
	p.Kill()
	err := <-asked
	var refused *faults.StatusError
	if !errors.As(err, &refused) {
		err = nil // it was done, or cut off
	}
	return errors.Join(err, l.end())
}

func (h *house) duringSnapshot(ctx context.Context, p *faults.Program) error {
	return h.during(ctx, p, "/v1/snapshots")
}

func (h *house) duringVerify(ctx context.Context, p *faults.Program) error {
	return h.during(ctx, p, "/v1/verify")
}

// duringStop kills while the program stops cleanly, or just after.
func (h *house) duringStop(ctx context.Context, p *faults.Program) error {
	l := h.work(ctx, p, 1+h.rand.IntN(200), nil)
	l.wait()
	if err := p.Terminate(); err != nil {
		return errors.Join(err, l.end())
	}
	h.nap(30 * time.Millisecond)
	p.Kill()
	return l.end()
}
