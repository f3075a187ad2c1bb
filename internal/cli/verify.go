package cli

import (
	"errors"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/storage"
)

// verifyCmd checks a database the long way.
type verifyCmd struct {
	output
}

// Help implements [kong.HelpProvider].
func (*verifyCmd) Help() string {
	return `Reads everything that is stored: every position is there once, every checksum and the chain fit, every segment's index names what is in it, and every snapshot is what the events make of it. What does not fit is printed, a line each, with its positions, times and entities; the exit code is 5 then. A damage does not end it.

The running daemon does it where there is one, and goes on with everything else meanwhile; it records the result. Without a daemon the database is locked for as long as it takes. Progress goes to the standard error.

Examples:

    statehouse verify
    statehouse verify --db backup/home.db && echo good
    statehouse verify -o json | jq '.found[].entities'`
}

// Run implements the command.
func (c *verifyCmd) Run(a *app) error {
	r := &verifyReport{meter: newMeter(a, "verified"), json: c.json(), found: []api.Finding{}}
	result, err := r.verify()
	r.clear()
	if err != nil {
		return err
	}
	if c.json() {
		err = printJSON(a.stdout, struct {
			File string `json:"file"`
			api.Verification
			Found []api.Finding `json:"found"`
		}{a.flags.DB, result, r.found})
	} else {
		err = a.printf("%s: position %s, %s, %s sealed and %s unsealed segments, %s (%s compared with the log): %s (%s)\n",
			a.flags.DB, count(result.Position), counted(result.Events, "event"), count(result.Sealed), count(result.Unsealed),
			counted(result.Snapshots, "snapshot"), count(result.Compared), r.verdict(result),
			time.Duration(result.Seconds*float64(time.Second)).Round(time.Millisecond))
	}
	if !c.json() && result.Removed > 0 {
		a.notef("the history up to position %s was removed on purpose, and cannot be verified", count(result.Removed))
	}
	if err == nil && result.Findings > 0 {
		err = markf(eventstore.ErrCorrupt, "%s is damaged: %s", a.flags.DB, counted(result.Findings, "finding"))
	}
	return err
}

// verifyReport tells a person how a verification goes.
type verifyReport struct {
	*meter
	json  bool
	found []api.Finding
}

// verify lets the daemon of the database verify it or, where none runs, does it itself.
func (r *verifyReport) verify() (api.Verification, error) {
	if err := r.a.checkExists(); err != nil {
		return api.Verification{}, err
	}
	var result api.Verification
	err := r.a.whenFree(func() error {
		inspection, err := statehouse.Verify(r.a.ctx, r.a.flags.DB, r.options())
		result = api.NewVerification(inspection)
		if !errors.Is(err, storage.ErrLocked) {
			return err
		}
		daemon, ok := r.a.holder()
		if !ok {
			return err
		}
		defer func() { _ = daemon.Close() }()
		result, err = daemon.verify(r.a.ctx, r)
		return err
	})
	return result, err
}

// options are those of a verification that is told to a person.
func (r *verifyReport) options() eventstore.InspectOptions {
	return eventstore.InspectOptions{
		Found:    func(f eventstore.Finding) { r.finding(api.NewFinding(f)) },
		Progress: func(done, last eventstore.Position) { r.progress(api.NewProgress(done, last)) },
	}
}

func (r *verifyReport) verdict(v api.Verification) string {
	if v.Findings == 0 {
		return "nothing is wrong"
	}
	return counted(v.Findings, "finding")
}

// finding tells a finding at once, or keeps it for the document.
func (r *verifyReport) finding(f api.Finding) {
	if r.json {
		r.found = append(r.found, f)
		return
	}
	r.clear()
	_ = r.a.printf("%s: %s\n", r.a.flags.DB, clean(f.Text))
}
