package cli

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/daemon"
)

// tokenCmd is what can be done with tokens.
type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token, and print it: there is no other copy."`
	List   tokenListCmd   `cmd:"" help:"List tokens."`
	Rotate tokenRotateCmd `cmd:"" help:"Give a token another secret, and print it."`
	Revoke tokenRevokeCmd `cmd:"" help:"Make a token none; whatever is open with it ends."`
}

// tokenOut is where a command leaves a token.
type tokenOut struct {
	output
	Out string `placeholder:"FILE" type:"path" help:"Write the token to this file, which only this user can read, instead of printing it."`
}

// print prints a token with its secret, or writes it to the file.
func (o tokenOut) print(a *app, made api.IssuedToken) error {
	if o.Out != "" {
		if err := access.WriteFile(o.Out, []byte(made.Secret+"\n")); err != nil {
			return fmt.Errorf("the token %s was made, and cannot be written: %w; rotate it to get another secret", made.Name, err)
		}
		made.Secret = ""
	}
	var err error
	switch {
	case o.json() && o.Out != "":
		return printJSON(a.stdout, made.Token)
	case o.json():
		err = printJSON(a.stdout, made)
	case o.Out != "":
		a.notef("the token %s is in %s", made.Name, o.Out)
	default:
		a.notef("the token %s; there is no other copy of it", made.Name)
		err = a.printf("%s\n", made.Secret)
	}
	if err != nil { // not wrapped: that nobody reads is no error elsewhere
		return fmt.Errorf("the token %s was made, and cannot be printed: %s; rotate it to get another secret", made.Name, err.Error())
	}
	return nil
}

type tokenCreateCmd struct {
	tokenOut
	Name     string           `arg:"" help:"What to call it; what is done with it has the source api:NAME."`
	Scopes   []string         `name:"scope" required:"" placeholder:"SCOPE" help:"What may be done with it: read, write, command or admin; give several with commas."`
	Entities []string         `placeholder:"PATTERN" help:"Entities that it is for, as in 'light.*'; every one by default. Give several with commas."`
	Expires  *daemon.Interval `placeholder:"DURATION" help:"When it expires, seen from now, as in 90d; never by default."`
}

// Help implements [kong.HelpProvider].
func (*tokenCreateCmd) Help() string {
	return `A token is for a program that gets in over TCP; the commands of this machine need none. It is kept as a hash, so what this prints cannot be printed again.

read sees states, history and the log; write appends events, and changes what entities, devices and areas are called; command has devices do something; admin does all of it, and looks after snapshots, history and tokens. A token for some entities learns nothing of others.

Examples:

    statehouse token create grafana --scope read --expires 365d
    statehouse token create wall-tablet --scope read,command --entities 'light.*,sensor.kitchen_*'
    statehouse token create backup --scope read --out /etc/backup/statehouse.token`
}

// Run implements the command.
func (c *tokenCreateCmd) Run(a *app) error {
	spec := api.TokenSpec{Name: c.Name, Scopes: c.Scopes, Entities: c.Entities}
	if c.Expires != nil { // a token of 0 seconds must not become one for ever
		d := time.Duration(*c.Expires)
		if d <= 0 {
			return usagef("--expires %s: write a duration above 0, as in 90d; without it the token never expires", d)
		}
		at := a.now().Add(d)
		spec.ExpiresAt = &at
	}
	return a.withSource(func(s source) error {
		made, err := s.CreateToken(a.ctx, spec)
		if err != nil {
			return err
		}
		return c.print(a, made)
	})
}

type tokenListCmd struct{ output }

// Help implements [kong.HelpProvider].
func (*tokenListCmd) Help() string {
	return `Examples:

    statehouse token list
    statehouse token list -o json`
}

// Run implements the command.
func (c *tokenListCmd) Run(a *app) error {
	var all api.Tokens
	err := a.withSource(func(s source) (err error) {
		all, err = s.Tokens(a.ctx)
		return err
	})
	if err != nil {
		return err
	}
	if c.json() {
		return printJSON(a.stdout, all)
	}
	if len(all.Tokens) == 0 {
		a.notef("there are no tokens; the daemon makes a first one when it starts, and \"statehouse token create\" makes others")
		return nil
	}
	t := table{columns: []column{
		{title: "NAME"}, {title: "ID"}, {title: "SCOPES"}, {title: "ENTITIES", sparse: true, shrink: true}, {title: "CREATED"},
		{title: "ROTATED", sparse: true}, {title: "EXPIRES", sparse: true},
	}}
	for _, k := range all.Tokens {
		expires := cell{text: dateOf(k.ExpiresAt)}
		if k.Expired {
			expires = cell{"expired " + expires.text, red}
		}
		t.add(cell{text: k.Name}, cell{k.ID, dim}, cell{text: strings.Join(k.Scopes, ",")}, cell{text: strings.Join(k.Entities, ",")},
			cell{dateOf(k.CreatedAt), dim}, cell{dateOf(k.RotatedAt), dim}, expires)
	}
	return t.write(a.stdout, a.term)
}

// dateOf is a time for people, empty for none.
func dateOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

type tokenRotateCmd struct {
	tokenOut
	Name  string          `arg:"" help:"Name or id of the token."`
	Grace daemon.Interval `placeholder:"DURATION" help:"How long the secret that it had still goes; not at all by default."`
}

// Help implements [kong.HelpProvider].
func (*tokenRotateCmd) Help() string {
	return `The name, the scopes and everything else stay. What is open with the old secret ends with it.

Examples:

    statehouse token rotate grafana
    statehouse token rotate grafana --grace 1h --out grafana.token`
}

// Run implements the command.
func (c *tokenRotateCmd) Run(a *app) error {
	seconds := time.Duration(c.Grace) / time.Second
	if seconds < 0 || seconds > math.MaxUint32 {
		return usagef("a grace of %s is not possible", time.Duration(c.Grace))
	}
	return a.withSource(func(s source) error {
		made, err := s.RotateToken(a.ctx, c.Name, api.TokenRotation{GraceSeconds: uint32(seconds)})
		if err != nil {
			return err
		}
		return c.print(a, made)
	})
}

type tokenRevokeCmd struct {
	Name string `arg:"" help:"Name or id of the token."`
}

// Help implements [kong.HelpProvider].
func (*tokenRevokeCmd) Help() string {
	return `There is no way back: a new token has another secret.

Examples:

    statehouse token revoke grafana`
}

// Run implements the command.
func (c *tokenRevokeCmd) Run(a *app) error {
	return a.withSource(func(s source) error {
		revoked, err := s.RevokeToken(a.ctx, c.Name)
		if err != nil {
			return err
		}
		return a.printf("revoked %s (%s)\n", revoked.Name, revoked.ID)
	})
}

// withSource does something with the daemon or the database.
func (a *app) withSource(do func(s source) error) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	return do(s)
}

// withTokens does something with the tokens of the database itself, which nobody else has open.
func (l *local) withTokens(do func(tokens *access.Tokens) error) error {
	tokens, err := access.Open(daemon.TokensPath(l.house.Path()))
	if err != nil {
		return err
	}
	defer tokens.Close()
	return do(tokens)
}

func (l *local) Tokens(context.Context) (all api.Tokens, err error) {
	return all, l.withTokens(func(tokens *access.Tokens) error {
		all = api.ListTokens(tokens)
		return nil
	})
}

func (l *local) CreateToken(ctx context.Context, spec api.TokenSpec) (made api.IssuedToken, err error) {
	return made, l.withTokens(func(tokens *access.Tokens) (err error) {
		made, err = api.CreateToken(ctx, l.house, tokens, userSource, spec)
		return err
	})
}

func (l *local) RotateToken(ctx context.Context, name string, r api.TokenRotation) (made api.IssuedToken, err error) {
	return made, l.withTokens(func(tokens *access.Tokens) (err error) {
		made, err = api.RotateToken(ctx, l.house, tokens, userSource, name, r)
		return err
	})
}

func (l *local) RevokeToken(ctx context.Context, name string) (revoked api.Token, err error) {
	return revoked, l.withTokens(func(tokens *access.Tokens) (err error) {
		revoked, err = api.RevokeToken(ctx, l.house, tokens, userSource, name)
		return err
	})
}

// Tokens implements source.
func (r *remote) Tokens(ctx context.Context) (all api.Tokens, err error) {
	return all, r.get(ctx, "/v1/tokens", nil, &all)
}

// CreateToken implements source.
func (r *remote) CreateToken(ctx context.Context, spec api.TokenSpec) (made api.IssuedToken, err error) {
	return made, r.send(ctx, "POST", "/v1/tokens", spec, &made)
}

// RotateToken implements source.
func (r *remote) RotateToken(ctx context.Context, name string, rotation api.TokenRotation) (made api.IssuedToken, err error) {
	return made, r.send(ctx, "POST", "/v1/tokens/"+name+"/rotate", rotation, &made)
}

// RevokeToken implements source.
func (r *remote) RevokeToken(ctx context.Context, name string) (revoked api.Token, err error) {
	return revoked, r.send(ctx, "DELETE", "/v1/tokens/"+name, nil, &revoked)
}
