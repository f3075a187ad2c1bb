package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/client"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/command"
)

// setCmd has an entity do something.
type setCmd struct {
	output
	Entity  string        `arg:"" help:"Id of the entity, as in light.kitchen."`
	Words   []string      `arg:"" optional:"" help:"What it shall do: on, off, toggle, open, 50%, 21.5, the name of an action, name=value. Without any, what it can be asked for is listed."`
	NoWait  bool          `name:"no-wait" help:"End when the command is sent, and do not wait for what becomes of it."`
	Timeout time.Duration `placeholder:"DURATION" help:"How long the device may take, as in 30s; an hour at most. By default what the entity usually takes."`
}

// Help implements [kong.HelpProvider].
func (*setCmd) Help() string {
	return `Has a device do something, through the daemon, and waits until its state says that it did, until that could not be sent, or until it did not answer in time. What an entity is called and where it is, "statehouse entity set" changes.

Examples:

    statehouse set light.kitchen
    statehouse set light.kitchen on
    statehouse set light.kitchen 50% color=red transition=2
    statehouse set cover.garage open --timeout 3m
    statehouse set climate.bath heat temperature=21.5
    statehouse set switch.pump off --no-wait -o json`
}

// errNotDone says that a device did not do what it was told.
var errNotDone = errors.New("the device did not do it")

// Run implements the command.
func (c *setCmd) Run(a *app) error {
	if err := eventstore.CheckEntityID(c.Entity); err != nil {
		return usagef("%w", err)
	}
	if c.Timeout < 0 {
		return usagef("--timeout %s: write a duration above 0, as in 30s", c.Timeout)
	}
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if len(c.Words) == 0 {
		return c.list(a, s)
	}
	request, err := command.ParseWords(c.Entity, c.Words)
	if err != nil {
		return usagef("%w", err)
	}
	r, ok := s.(*remote)
	if !ok {
		return fmt.Errorf("%w: no daemon has %s open, so that nothing reaches the devices; start one with \"statehouse serve\"",
			errUnreachable, a.flags.DB)
	}
	began := a.now()
	result, err := r.Call(a.ctx, client.Command{
		Entity: c.Entity, Action: request.Action, Arguments: request.Arguments, Timeout: c.Timeout, Wait: !c.NoWait,
	})
	if errors.Is(err, statehouse.ErrNotFound) {
		return noEntity(a.ctx, s, c.Entity)
	}
	if err != nil {
		return err
	}
	if c.json() {
		if err := printJSON(a.stdout, result); err != nil {
			return err
		}
		return c.verdict(result)
	}
	wish := wishWords(request.Action, api.ArgumentsJSON(withoutSecrets(request)))
	return c.tell(a, wish, result, a.now().Sub(began))
}

// withoutSecrets are the arguments of a request that may be printed: not the code of a lock.
func withoutSecrets(r command.Request) []*entityv1.Field {
	domain, _, _ := strings.Cut(r.Entity, ".")
	secret := map[string]bool{}
	for _, a := range command.Domains() {
		for _, p := range a.Arguments {
			if a.Domain == domain && a.Name == r.Action {
				secret[p.Name] = p.Secret
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(r.Arguments), func(f *entityv1.Field) bool { return secret[f.GetName()] })
}

// tell says what became of a command: what was done on stdout, and what was not as an error.
func (c *setCmd) tell(a *app, wish string, r api.CommandResult, took time.Duration) error {
	if err := c.verdict(r); err != nil {
		return fmt.Errorf("%s: %s  %w", c.Entity, clean(wish), err)
	}
	if r.Outcome != api.OutcomeConfirmed {
		return a.printf("%s: %s  sent, position %s\n", c.Entity, clean(wish), count(r.Position))
	}
	return a.printf("%s: %s  confirmed after %s\n", c.Entity, clean(wish), took.Round(time.Millisecond))
}

// verdict is the error that an outcome is, if it is one.
func (c *setCmd) verdict(r api.CommandResult) error {
	switch r.Outcome {
	case api.OutcomeFailed:
		return markf(errNotDone, "failed: %s", clean(r.Reason))
	case api.OutcomeTimedOut:
		return markf(errNotDone, "timed out: the device did not answer; \"statehouse get %s\" shows what it last said", c.Entity)
	case api.OutcomeSuperseded:
		return markf(errNotDone, "superseded: a later command asked for something else")
	case "":
		if !c.NoWait {
			return markf(errUnreachable, "the daemon ended before it was known what became of it; \"statehouse why @%d\" shows the command", r.Position)
		}
	}
	return nil
}

// list prints what the entity can be asked to do.
func (c *setCmd) list(a *app, s source) error {
	all, err := s.Actions(a.ctx, c.Entity)
	if errors.Is(err, statehouse.ErrNotFound) {
		return noEntity(a.ctx, s, c.Entity)
	}
	if err != nil {
		return err
	}
	if c.json() {
		return printJSON(a.stdout, all)
	}
	if len(all.Actions) == 0 {
		a.notef("%s cannot be asked to do anything: it only reports, or it is disabled", c.Entity)
		return nil
	}
	t := table{columns: []column{{title: "ACTION"}, {title: "ARGUMENTS", sparse: true}}}
	for _, action := range all.Actions {
		name := action.Name
		if len(action.Arguments) == 0 {
			t.add(cell{text: name}, cell{})
		}
		for _, p := range action.Arguments {
			t.add(cell{text: name}, cell{text: argumentWords(p)})
			name = ""
		}
	}
	return t.write(a.stdout, a.term)
}

// argumentWords says what an argument is, as in "brightness=0…255".
func argumentWords(p api.Argument) string {
	what := "<" + p.Kind + ">"
	switch {
	case len(p.Options) > 12:
		what = strings.Join(p.Options[:12], "|") + "|…"
	case len(p.Options) > 0:
		what = strings.Join(p.Options, "|")
	case p.Minimum != nil && p.Maximum != nil:
		what = fmt.Sprintf("%g…%g", *p.Minimum, *p.Maximum)
	case p.Minimum != nil:
		what = fmt.Sprintf("%g…", *p.Minimum)
	}
	if p.Unit != "" {
		what += " " + p.Unit
	}
	if p.Required {
		what += "  (needed)"
	}
	return p.Name + "=" + what
}

// Call has an entity do something.
func (r *remote) Call(ctx context.Context, cmd client.Command) (api.CommandResult, error) {
	result, err := r.rpc.Call(ctx, cmd)
	if err != nil {
		return api.CommandResult{}, r.rpcError(err)
	}
	return api.CommandResult{
		EntityID: cmd.Entity, Position: result.Command, Deadline: result.Deadline, SettledPosition: result.Settled,
		Outcome: api.OutcomeOf(result.Outcome), Reason: result.Reason,
	}, nil
}

// Actions implements source.
func (r *remote) Actions(ctx context.Context, id string) (api.Actions, error) {
	var all api.Actions
	return all, r.get(ctx, "/v1/entities/"+id+"/commands", nil, &all)
}

// Actions implements source.
func (l *local) Actions(_ context.Context, id string) (api.Actions, error) {
	return api.NewActions(l.house.Now(), id)
}

// actionWords are what may stand behind an entity's id, for completion, which has nobody to tell an error.
func (a *app) actionWords(id string) []string {
	s, err := a.open()
	if err != nil {
		return nil
	}
	defer func() { _ = s.Close() }()
	all, err := s.Actions(a.ctx, id)
	if err != nil {
		return nil
	}
	var words []string
	for _, action := range all.Actions {
		words = append(words, action.Name)
		for _, p := range action.Arguments {
			words = append(words, p.Name+"=")
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}
