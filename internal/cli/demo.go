package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse/internal/daemon"
	"github.com/statehouse/statehouse/internal/mqtt/client"
	"github.com/statehouse/statehouse/internal/mqtt/play"
	"github.com/statehouse/statehouse/state"
)

// demoCmd shows the whole program at work.
type demoCmd struct {
	Recording string        `placeholder:"FILE" default:"testdata/zigbee2mqtt/house.jsonl.gz" help:"Recording to play; the repository's recorded house by default."`
	Duration  time.Duration `placeholder:"DURATION" default:"60s" help:"How long the recording shall take; 0 means as fast as it goes."`
}

// Help implements [kong.HelpProvider].
func (*demoCmd) Help() string {
	return `Runs the daemon with its embedded broker on a fresh database in the temporary directory, and plays seven minutes of a real house into it over MQTT. On a terminal it shows the states as they change and stays until Ctrl-C; elsewhere it prints its progress and ends with a summary. The database stays.

Examples:

    statehouse demo
    statehouse demo --duration 10s
    statehouse demo --recording house.jsonl.gz`
}

// demo is a run of the command.
type demo struct {
	*app
	daemon   *daemon.Daemon
	rec      recording
	dir      string
	progress atomic.Pointer[play.Progress]
	began    time.Time
	// result is what the player did, when done is closed.
	result play.Result
	err    error
	done   chan struct{}
}

// Run implements the command.
func (c *demoCmd) Run(a *app) (err error) {
	rec, err := survey(c.Recording)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; run this in the source repository, or name a recording with --recording", err)
	}
	if err != nil {
		return err
	}
	d := &demo{app: a, rec: rec, done: make(chan struct{})}
	d.progress.Store(&play.Progress{})
	if d.dir, err = os.MkdirTemp("", "statehouse-demo-"); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(d.dir, "daemon.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cfg, err := d.config()
	if err != nil {
		return err
	}
	d.daemon, err = daemon.Start(a.ctx, cfg, daemon.Options{Logger: cfg.Log.Logger(log), Out: a.stdout, Version: thisVersion().Version})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.daemon.Close()) }()
	if err := d.printf("HTTP on %s, MQTT on %s, database %s\nOpen %s in a browser; the token to sign in with is in %s\n",
		d.daemon.URL(), d.daemon.MQTTURL(), cfg.DB, d.daemon.URL(), daemon.FirstTokenPath(cfg.DB)); err != nil {
		return err
	}
	return d.run(c)
}

// config is the default configuration with a fresh database, and free ports where the usual ones are taken.
func (d *demo) config() (daemon.Config, error) {
	var cfg daemon.Config
	cfg.DB = filepath.Join(d.dir, "home.db")
	cfg.SetDefaults()
	for _, address := range [...]*string{&cfg.HTTP.Address, &cfg.MQTT.Address} {
		l, err := net.Listen("tcp", *address)
		if err == nil {
			err = l.Close()
		} else {
			host, _, _ := net.SplitHostPort(*address)
			if err := d.printf("%s is taken; a free port is used instead\n", *address); err != nil {
				return cfg, err
			}
			*address, err = net.JoinHostPort(host, "0"), nil
		}
		if err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

// run plays, shows and sums up.
func (d *demo) run(c *demoCmd) error {
	opts := play.Options{
		File: c.Recording, Broker: client.Endpoint{URL: d.daemon.MQTTURL()},
		Progress: func(p play.Progress) { d.progress.Store(&p) },
	}
	if d.rec.farewell {
		opts.Until = d.rec.lines - 1
	}
	if c.Duration > 0 {
		opts.Speed = d.rec.length.Seconds() / c.Duration.Seconds()
		if d.rec.length == 0 {
			opts.Speed = 1
		}
	}
	d.began = time.Now()
	var playing sync.WaitGroup
	playing.Go(func() {
		defer close(d.done)
		d.result, d.err = play.Run(d.ctx, opts)
	})
	if d.term.tty {
		d.show()
	} else {
		d.report()
	}
	playing.Wait()
	if d.ctx.Err() != nil {
		return d.printf("\nstopped; the database stays in %s\n", filepath.Join(d.dir, "home.db"))
	}
	if d.err != nil {
		return d.err
	}
	if err := d.summary(); err != nil {
		return err
	}
	if d.term.tty {
		<-d.ctx.Done()
	}
	return nil
}

// report prints a line every few seconds, until the recording has ended.
func (d *demo) report() {
	t := time.NewTicker(5 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-d.done:
			return
		case <-d.ctx.Done():
			return
		case <-t.C:
			p, m := d.progress.Load(), d.daemon.House().Now()
			_ = d.printf("%3.0f%%  %s, %s, %s\n", 100*float64(p.Line)/float64(max(d.rec.lines, 1)),
				counted(p.Sent, "message"), counted(m.Position(), "event"), counted(m.State.Entities.Len(), "entity"))
		}
	}
}

// summary says what came of it and what to try.
func (d *demo) summary() error {
	m := d.daemon.House().Now()
	db := filepath.Join(d.dir, "home.db")
	if err := d.printf("The recording has ended: %s → %s → %s of %s, in %s.\nThe database stays in %s\n",
		counted(d.result.Sent, "message"), counted(m.Position(), "event"), counted(m.State.Entities.Len(), "entity"),
		counted(m.Registry.Devices.Len(), "device"), d.result.Elapsed.Round(time.Second/10), db); err != nil {
		return err
	}
	if d.rec.farewell {
		if err := d.printf("Its last message, the bridge's farewell, was left out: the house stays available.\n"); err != nil {
			return err
		}
	}
	program, example := d.program(), d.example()
	lines := []string{"list", "get " + example, "history " + example, "export --after @" + fmt.Sprint(max(int(m.Position())-3, 0))}
	for i, line := range lines {
		lines[i] = program + " --db " + db + " " + line
	}
	if d.term.tty {
		lines = append(lines, program+" --db "+db+" watch", "curl --unix-socket "+daemon.SocketPath(db)+" http://localhost/v1/states/"+example)
	} else {
		lines = append(lines, program+" --db "+db+" serve")
	}
	if err := d.printf("\nLook at it:\n    %s\n", strings.Join(lines, "\n    ")); err != nil {
		return err
	}
	if d.term.tty {
		return d.printf("\nThe daemon runs until Ctrl-C.\n")
	}
	return nil
}

// program is how this program was called, where it can be called so again.
func (d *demo) program() string {
	if name := os.Args[0]; !strings.Contains(name, "go-build") && filepath.Base(name) != name {
		return name
	}
	return "statehouse"
}

// example is an entity worth a look: the light that changed last, or whatever did.
func (d *demo) example() string {
	var light, other state.State
	for _, s := range d.daemon.House().Now().State.Sorted() {
		best := &other
		if s.Domain() == "light" {
			best = &light
		}
		if s.ChangedAt.After(best.ChangedAt) {
			*best = s
		}
	}
	return cmp.Or(light.EntityID, other.EntityID, "light.kitchen")
}
