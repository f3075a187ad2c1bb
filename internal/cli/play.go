package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt/client"
	"github.com/statehouse/statehouse/internal/mqtt/play"
)

// playCmd publishes a recording.
type playCmd struct {
	File         string   `arg:"" help:"Recording: JSON lines, gzipped or not; - is the standard input."`
	Broker       string   `placeholder:"URL" default:"mqtt://${mqtt}" help:"Broker to publish to, mqtt://${mqtt} by default."`
	Speed        string   `placeholder:"N" default:"1" help:"Times as fast as recorded, or 'max' for as fast as the broker takes it."`
	QoS          int      `name:"qos" placeholder:"N" default:"-1" help:"Publish everything with this QoS instead of the recorded one."`
	From         int      `placeholder:"LINE" default:"1" help:"First line to play."`
	Until        int      `placeholder:"LINE" help:"Last line to play; to the end by default."`
	Skip         []string `placeholder:"FILTER" help:"Leave out topics that match."`
	Username     string   `placeholder:"NAME" help:"User name at the broker; the password is in $$STATEHOUSE_MQTT_BROKER_PASSWORD or a file."`
	PasswordFile string   `placeholder:"FILE" help:"File that holds the password."`
	CA           string   `name:"ca" placeholder:"FILE" help:"Certificates to trust for the broker, PEM, instead of the system's."`
}

// Help implements [kong.HelpProvider].
func (*playCmd) Help() string {
	return `Messages go out in the order of their lines, each with the QoS and the retain flag that it was recorded with. A line is {"ms": since the start, "topic": "...", "qos": 0, "retain": false, "payload": "..."}, or payload_base64.

Examples:

    statehouse play house.jsonl.gz
    statehouse play house.jsonl.gz --speed 10 --broker mqtt://broker.lan:1883
    statehouse play house.jsonl.gz --speed max --qos 1 --skip 'zigbee2mqtt/bridge/logging'`
}

// options are the flags as the player takes them.
func (c *playCmd) options(a *app) (play.Options, error) {
	opts := play.Options{
		File: c.File, Stdin: a.stdin, From: c.From, Until: c.Until, Skip: c.Skip,
		Broker: client.Endpoint{URL: c.Broker, Username: c.Username, PasswordFile: c.PasswordFile, CAFile: c.CA},
	}
	if password, ok := os.LookupEnv(passwordEnv); ok && c.Username != "" {
		opts.Broker.Password = func() (string, error) { return password, nil }
	}
	if c.Speed != "max" {
		var err error
		opts.Speed, err = strconv.ParseFloat(strings.TrimSuffix(c.Speed, "x"), 64)
		if err != nil || !(opts.Speed > 0) || math.IsInf(opts.Speed, 0) {
			return opts, usagef("--speed %q: write a number above 0, as in 10, or max", c.Speed)
		}
	}
	if u, err := url.Parse(c.Broker); err != nil || u.Host == "" || u.Scheme != "mqtt" && u.Scheme != "mqtts" {
		return opts, usagef("--broker: write mqtt://host:1883 or mqtts://host:8883")
	}
	if c.QoS > 2 || c.QoS < -1 {
		return opts, usagef("--qos %d: write 0, 1 or 2", c.QoS)
	}
	if c.QoS >= 0 {
		qos := byte(c.QoS)
		opts.QoS = &qos
	}
	return opts, nil
}

// Run implements the command.
func (c *playCmd) Run(a *app) error {
	opts, err := c.options(a)
	if err != nil {
		return err
	}
	var rec recording
	if c.File != "-" {
		if rec, err = survey(c.File); err != nil {
			return err
		}
	}
	errTerm := terminalOf(a.stderr, os.Getenv)
	if errTerm.tty {
		opts.Progress = func(p play.Progress) {
			_, _ = fmt.Fprintf(a.stderr, "\r\x1b[K%s", bar(p, rec, errTerm.width-1))
		}
	}
	res, err := play.Run(a.ctx, opts)
	if errTerm.tty && res.Line > 0 {
		_, _ = fmt.Fprintln(a.stderr)
	}
	if a.ctx.Err() != nil {
		a.notef("interrupted; --from %d goes on", res.Next)
		return context.Cause(a.ctx)
	}
	if err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) {
			return markf(errUnreachable, "%w; is the broker running? \"statehouse serve\" runs one", err)
		}
		return err
	}
	return a.printf("played %s (%s acknowledged, %s skipped) in %s\n", counted(res.Sent, "message"), count(res.Acked),
		count(res.Skipped), res.Elapsed.Round(time.Millisecond))
}
