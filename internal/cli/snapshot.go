package cli

import (
	"fmt"

	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/storage"
)

// snapshotCmd is what can be done with snapshots.
type snapshotCmd struct {
	Create snapshotCreateCmd `cmd:"" help:"Save the present beside the log, so that the next start is quick."`
	List   snapshotListCmd   `cmd:"" help:"List the snapshots, and say which can be used."`
	Verify snapshotVerifyCmd `cmd:"" help:"Read the snapshots and check them."`
}

type snapshotCreateCmd struct{}

// Help implements [kong.HelpProvider].
func (*snapshotCreateCmd) Help() string {
	return `The daemon takes snapshots by itself. A running daemon is asked through the socket beside its database.

Examples:

    statehouse snapshot create`
}

// Run implements the command.
func (c *snapshotCreateCmd) Run(a *app) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	as, err := s.CreateSnapshot(a.ctx)
	if err != nil {
		return err
	}
	return a.printf("saved as of %s\n", asOf(as))
}

type snapshotListCmd struct {
	output
}

// Help implements [kong.HelpProvider].
func (*snapshotListCmd) Help() string {
	return `Each owner (the states, the registry) has its own. A full one stands alone; a delta holds what has changed since a full one, and is usable only with that. What is usable is what nothing is known against without reading it; "snapshot verify" reads it.

Examples:

    statehouse snapshot list
    statehouse snapshot list -o json | jq '.snapshots[] | select(.usable | not)'`
}

// Run implements the command.
func (c *snapshotListCmd) Run(a *app) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	all, err := s.Snapshots(a.ctx)
	if err != nil {
		return err
	}
	return c.print(a, all)
}

// print prints snapshots.
func (o output) print(a *app, all api.Snapshots) error {
	if o.json() {
		return printJSON(a.stdout, all)
	}
	if len(all.Snapshots) == 0 {
		a.notef("there are no snapshots yet; \"statehouse snapshot create\" takes one")
		return nil
	}
	t := table{columns: []column{
		{title: "OWNER"}, {title: "POSITION", right: true}, {title: "RECORDED"}, {title: "KIND"},
		{title: "RECORDS", right: true}, {title: "SIZE", right: true}, {title: "USABLE", shrink: true},
	}}
	for _, s := range all.Snapshots {
		recorded := ""
		if s.RecordedAt != nil {
			recorded = s.RecordedAt.Local().Format("2006-01-02 15:04:05")
		}
		kind := "full"
		if s.Base != nil {
			kind = "delta on " + count(*s.Base)
		}
		usable := cell{"yes", green}
		if !s.Usable {
			usable = cell{"no: " + s.Fault, red}
		}
		t.add(cell{text: s.Owner}, cell{text: count(s.Position)}, cell{recorded, dim}, cell{text: kind},
			cell{text: count(s.Records)}, cell{text: size(s.Bytes)}, usable)
	}
	return t.write(a.stdout, a.term)
}

// size is a number of bytes for people.
func size(bytes int64) string {
	units := [...]string{"B", "KiB", "MiB", "GiB"}
	value, unit := float64(bytes), 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit == 0 || value >= 100 {
		return fmt.Sprintf("%.0f %s", value, units[unit])
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

type snapshotVerifyCmd struct {
	output
}

// Help implements [kong.HelpProvider].
func (*snapshotVerifyCmd) Help() string {
	return `Reads every snapshot as a start that used it would, and checks its checksum, its records and that the log is the one that it was made from. The log itself is checked by "statehouse verify". A damaged snapshot costs nothing but time: a start uses the one before it.

Examples:

    statehouse snapshot verify
    statehouse snapshot verify -o json`
}

// Run implements the command.
func (c *snapshotVerifyCmd) Run(a *app) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	all, err := s.Snapshots(a.ctx)
	if err != nil {
		return err
	}
	damaged := 0
	for i, one := range all.Snapshots {
		if all.Snapshots[i], err = s.VerifySnapshot(a.ctx, one.Owner, one.Position); err != nil {
			return err
		}
		if all.Snapshots[i].Damaged {
			damaged++
		}
	}
	if err := c.print(a, all); err != nil {
		return err
	}
	if damaged > 0 {
		return markf(storage.ErrDamaged, "%s of %d damaged; the log is not concerned, and \"statehouse snapshot create\" takes a new one",
			counted(damaged, "snapshot"), len(all.Snapshots))
	}
	return nil
}
