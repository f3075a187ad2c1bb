// Package cli is the command line of statehouse. Its commands read flags, ask a daemon or a database, and print; what
// is true is decided by the packages below.
//
// # Where commands look
//
// A command that reads asks the daemon at --server, or else the daemon that holds the database's lock, and where none
// does, it opens the database itself. All ways go through the types of package api, so that they print the same.
//
// # What they print
//
// Tables and messages for people go where they can be read; -o json prints JSON documents, and JSON lines where
// there is no end to wait for. Errors go to stderr as "statehouse: what was wrong". The exit codes are in the help.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/statehouse/statehouse/internal/daemon"
)

const description = `State of a home, from a log that forgets nothing.

Devices report over MQTT; every change becomes an event in a durable log; the present is folded from it.`

// commands is the command line.
type commands struct {
	globals

	Serve      serveCmd      `cmd:"" group:"Run" help:"Run the daemon: take devices in over MQTT, answer over HTTP."`
	Demo       demoCmd       `cmd:"" group:"Run" help:"Run a daemon on a fresh database and play a recorded house into it."`
	ConfigCmd  configCmd     `cmd:"" name:"config" group:"Run" help:"Check or show the configuration; make password hashes."`
	Get        getCmd        `cmd:"" group:"Look" help:"Show entities."`
	List       listCmd       `cmd:"" group:"Look" help:"List entities and their states."`
	Watch      watchCmd      `cmd:"" group:"Look" help:"Print changes as they happen."`
	History    historyCmd    `cmd:"" group:"Look" help:"Show what happened to an entity."`
	At         atCmd         `cmd:"" group:"Look" help:"Show the house as it was at a moment."`
	Diff       diffCmd       `cmd:"" group:"Look" help:"Show what is different between two moments."`
	Why        whyCmd        `cmd:"" group:"Look" help:"Show what led to a state or an event."`
	Export     exportCmd     `cmd:"" group:"Look" help:"Write the log as JSON lines or CSV."`
	Set        setCmd        `cmd:"" group:"Change" help:"Have a device do something: turn a light on, open a cover."`
	Entity     entityCmd     `cmd:"" group:"Change" help:"Change what entities are called and where they are."`
	Device     deviceCmd     `cmd:"" group:"Change" help:"Change what devices are called and where they are."`
	Area       areaCmd       `cmd:"" group:"Change" help:"Create, rename and remove areas."`
	Token      tokenCmd      `cmd:"" group:"Tools" help:"Make, list, rotate and revoke the tokens that programs get in with."`
	MQTT       mqttCmd       `cmd:"" name:"mqtt" group:"Tools" help:"See what goes over the MQTT broker."`
	Play       playCmd       `cmd:"" group:"Tools" help:"Publish a recording of MQTT messages to a broker."`
	Snapshot   snapshotCmd   `cmd:"" group:"Tools" help:"Save the present beside the log; list and check what was saved."`
	Verify     verifyCmd     `cmd:"" group:"Tools" help:"Check everything that is stored: log, chain, index, snapshots."`
	Repair     repairCmd     `cmd:"" group:"Tools" help:"Make a whole database of a damaged one, and say what is lost."`
	Compact    compactCmd    `cmd:"" group:"Tools" help:"Remove old history for good."`
	Completion completionCmd `cmd:"" group:"Tools" help:"Print the completion script for a shell."`
	Complete   completeCmd   `cmd:"" hidden:"" name:"__complete" passthrough:"" help:"Print completions."`
	Version    versionCmd    `cmd:"" group:"Tools" help:"Print the version."`
}

// globals are the flags of every command.
type globals struct {
	Config    string `short:"c" placeholder:"FILE" env:"STATEHOUSE_CONFIG" help:"Configuration file (or $$STATEHOUSE_CONFIG)."`
	DB        string `name:"db" short:"d" placeholder:"FILE" env:"STATEHOUSE_DB" help:"Database file, ${db} by default (or $$STATEHOUSE_DB)."`
	Server    string `short:"s" placeholder:"URL" env:"STATEHOUSE_SERVER" help:"Ask the daemon at this URL instead of the database's own (or $$STATEHOUSE_SERVER)."`
	TokenFile string `name:"token-file" type:"path" placeholder:"FILE" env:"STATEHOUSE_TOKEN_FILE" help:"File with the token for the daemon at --server (or $$STATEHOUSE_TOKEN_FILE)."`
}

// output is the flag of the commands that print for programs, too.
type output struct {
	Output string `short:"o" enum:"table,json" default:"table" placeholder:"FORMAT" help:"table or json."`
}

func (o output) json() bool { return o.Output == "json" }

// app is what a command runs in.
type app struct {
	ctx      context.Context
	stdin    io.Reader
	stdout   io.Writer
	stderr   io.Writer
	term     terminal // of stdout
	now      func() time.Time
	flags    *globals
	file     *configFile
	fileErr  error // of the reading of file
	model    *kong.Application
	warnings []string
	// toldDamage says that the user was told that the log is damaged.
	toldDamage bool
}

// printf prints to stdout.
func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.stdout, format, args...)
	return err
}

// notef tells a person something that is not the answer.
func (a *app) notef(format string, args ...any) {
	_, _ = fmt.Fprintf(a.stderr, "statehouse: "+format+"\n", args...)
}

// Main runs the command line of this process and returns its exit code.
func Main() int {
	// Interrupts end commands through their context; after the first one the default is back, so that a second one
	// ends the process at once.
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup wants it
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGHUP) // a terminal that closes may send it twice
		stop()
	})
	// A reader that has gone, as in "| head", is an error of the write and not a signal.
	signal.Ignore(syscall.SIGPIPE)
	return Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// Run runs a command line and returns the exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{
		ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now,
		term: terminalOf(stdout, os.Getenv),
	}
	err := a.run(args)
	var exit exited
	if errors.As(err, &exit) {
		return int(exit)
	}
	code := exitCode(err)
	if err == nil && a.toldDamage {
		code = exitDamaged // what was printed is of a damaged log
	}
	if err != nil && code != exitOK && code != exitInterrupted {
		a.notef("%s", strings.TrimSpace(err.Error()))
	}
	return code
}

// exited is how kong's wish to end the process comes back to Run.
type exited int

func (e exited) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func (a *app) run(args []string) (err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case exited:
			err = e
		default:
			panic(e)
		}
	}()
	var c commands
	parser, err := kong.New(&c,
		kong.Name("statehouse"),
		kong.Description(description+"\n\n"+exitTable),
		kong.Writers(a.stdout, a.stderr),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, NoAppDescFormat: true, Compact: true, WrapUpperBound: 110}),
		kong.ValueFormatter(func(v *kong.Value) string { return v.Help }),
		kong.Vars{"db": tilde(daemon.DefaultDB()), "mqtt": daemon.DefaultMQTTAddress},
		kong.Resolvers(kong.ResolverFunc(a.resolve)),
	)
	if err != nil {
		return err
	}
	a.model = parser.Model
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		return a.explain(err)
	}
	if err := checkGlobals(ctx); err != nil {
		return err
	}
	a.flags = &c.globals
	if c.DB = untilde(c.DB); c.DB == "" {
		c.DB = daemon.DefaultDB()
	}
	if a.file == nil {
		a.file = &configFile{}
	}
	return ctx.Run(a)
}

// explain makes of kong's complaint one that says what to do.
func (a *app) explain(err error) error {
	if a.fileErr != nil {
		return a.fileErr // kong puts the flag that asked first before it
	}
	var write *fs.PathError
	if errors.As(err, &write) {
		return write // kong could not print the help
	}
	var parse *kong.ParseError
	hint := "statehouse --help"
	if errors.As(err, &parse) && parse.Context != nil {
		if cmd := parse.Context.Selected(); cmd != nil {
			hint = cmd.FullPath() + " --help"
		}
	}
	return usagef("%s; see %s", strings.TrimSuffix(err.Error(), "."), hint)
}

// resolve gives kong what the configuration file says. The file is read when the first flag asks.
func (a *app) resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if !readsConfig(ctx) || flag.Name == "config" {
		return nil, nil
	}
	if a.file == nil {
		path, named := configPath(ctx)
		file, err := readConfigFile(path, named)
		if err != nil {
			a.fileErr = err
			return nil, err
		}
		a.file = file
	}
	return a.file.resolve(flag), nil
}

// checkGlobals refuses a flag of every command on the command line of one that has no use for it, so that nobody takes, say,
// the demo's fresh database for the one that was named. The environment is not meant for one command and may name them.
func checkGlobals(ctx *kong.Context) error {
	var unused []string
	switch {
	case !readsConfig(ctx):
		unused = []string{"config", "db", "server"}
	case strings.HasPrefix(ctx.Command(), "serve"), strings.HasPrefix(ctx.Command(), "config"), strings.HasPrefix(ctx.Command(), "verify"),
		strings.HasPrefix(ctx.Command(), "repair"):
		unused = []string{"server"}
	}
	for _, p := range ctx.Path {
		if p.Flag != nil && !p.Resolved && slices.Contains(unused, p.Flag.Name) {
			return usagef("%s has no use for --%s; leave it out", ctx.Command(), p.Flag.Name)
		}
	}
	return nil
}

// readsConfig says that the selected command has anything to do with the configuration.
func readsConfig(ctx *kong.Context) bool {
	selected := ctx.Selected()
	if selected != nil && selected.Name == "hash-password" {
		return false
	}
	for selected != nil && selected.Parent != nil && selected.Parent.Type != kong.ApplicationNode {
		selected = selected.Parent
	}
	if selected == nil {
		return false
	}
	switch selected.Name {
	case "version", "completion", "demo", "play":
		return false
	}
	return true
}

// configPath is the configuration file to read, and whether somebody named it.
func configPath(ctx *kong.Context) (path string, named bool) {
	for _, flag := range ctx.Model.Flags {
		if flag.Name == "config" {
			if path, _ = ctx.FlagValue(flag).(string); path != "" {
				return path, true
			}
		}
	}
	return defaultConfigPath(), false
}

// untilde is the path that tilde shortened: a file of that name would be in a directory "~".
func untilde(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"+string(os.PathSeparator)); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// tilde shortens a path in the home directory, for people.
func tilde(path string) string {
	if home, err := os.UserHomeDir(); err == nil {
		if rest, ok := strings.CutPrefix(path, home+string(os.PathSeparator)); ok {
			return "~" + string(os.PathSeparator) + rest
		}
	}
	return path
}
