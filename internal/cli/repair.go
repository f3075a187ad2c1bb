package cli

import (
	"errors"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// repairCmd makes a whole database of a damaged one.
type repairCmd struct {
	output
	To         string `required:"" placeholder:"FILE" help:"The new database, which must not be there."`
	AcceptLoss bool   `help:"Give up acknowledged events that are missing at the end of the log."`
}

// Help implements [kong.HelpProvider].
func (*repairCmd) Help() string {
	return `Copies everything that can be read of a damaged database into a new one, and prints what could not be saved, a line each, with its positions, times and entities. The damaged one stays as it is. Stop the daemon first.

Events keep their positions; in the place of each that is lost stands the event "lost". The new database is a log with a name of its own: what clients remember of the old one does not hold for it.

Where events are missing at the end, because the write-ahead log is damaged or an older copy of the database was put in its place, nothing is done without --accept-loss: first see whether you can bring the right files back.

To use the new database, move home.db, home.db-wal, home.db-shm and home.db.anchor away, then the new file to home.db and its .anchor to home.db.anchor. Keep the old files until you are sure.

Examples:

    statehouse repair --to repaired.db
    statehouse repair --to repaired.db --accept-loss`
}

// Run implements the command.
func (c *repairCmd) Run(a *app) error {
	if err := a.checkExists(); err != nil {
		return err
	}
	r := &verifyReport{meter: newMeter(a, "copied"), json: true, found: []api.Finding{}}
	var result eventstore.Salvaged
	err := a.whenFree(func() (err error) {
		result, err = statehouse.Repair(a.ctx, a.flags.DB, c.To, statehouse.RepairOptions{
			AcceptLoss: c.AcceptLoss,
			Inspect: eventstore.InspectOptions{
				Found:    func(f eventstore.Finding) { r.finding(api.NewFinding(f)) },
				Progress: func(done, last eventstore.Position) { r.progress(api.NewProgress(done, last)) },
			},
		})
		return err
	})
	r.clear()
	if errors.Is(err, statehouse.ErrLoss) {
		return markf(eventstore.ErrCorrupt, "%w; bring the right files back, or give those events up with --accept-loss", err)
	}
	if err != nil {
		return err
	}
	return c.print(a, result, r.found)
}

// print tells what was saved and what was not.
func (c *repairCmd) print(a *app, result eventstore.Salvaged, found []api.Finding) error {
	lost := make([]api.Finding, len(result.Lost))
	for i, f := range result.Lost {
		lost[i] = api.NewFinding(f)
	}
	if c.json() {
		return printJSON(a.stdout, struct {
			File        string              `json:"file"`
			To          string              `json:"to"`
			Events      uint64              `json:"events"`
			Position    eventstore.Position `json:"position"`
			Found       []api.Finding       `json:"found"`
			Lost        []api.Finding       `json:"lost"`
			Cursors     int                 `json:"cursors"`
			LostCursors int                 `json:"lost_cursors"`
			SetBack     []string            `json:"cursors_set_back,omitempty"`
			Keys        int                 `json:"keys"`
			LostKeys    int                 `json:"lost_keys"`
		}{a.flags.DB, c.To, result.Events, result.Last, found, lost, result.Cursors, result.LostCursors, result.SetBack,
			result.Keys, result.LostKeys})
	}
	for _, f := range found {
		if err := a.printf("%s: %s\n", a.flags.DB, clean(f.Text)); err != nil {
			return err
		}
	}
	for _, f := range lost {
		if err := a.printf("lost: %s\n", clean(f.Text)); err != nil {
			return err
		}
	}
	for _, name := range result.SetBack {
		if err := a.printf("consumer %s was ahead of what was saved, and goes on with what comes next\n", clean(name)); err != nil {
			return err
		}
	}
	if n := result.LostCursors + result.LostKeys; n > 0 {
		if err := a.printf("lost: %s of consumers, %s of appends\n", counted(result.LostCursors, "cursor"), counted(result.LostKeys, "key")); err != nil {
			return err
		}
	}
	return a.printf("%s: %s up to position %s, %s; %s lost\n", c.To, counted(result.Events, "event"), count(result.Last),
		counted(result.Cursors, "cursor"), counted(len(result.Lost), "run"))
}
