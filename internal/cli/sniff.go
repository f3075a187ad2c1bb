package cli

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/daemon"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// mqttCmd is what can be done with the broker.
type mqttCmd struct {
	Sniff sniffCmd `cmd:"" help:"Show which topics have messages, and who claims them."`
}

// sniffCmd shows what goes over the broker.
type sniffCmd struct {
	output
	Filter       []string      `arg:"" optional:"" help:"Topic filters, everything ('#') by default."`
	URL          string        `name:"url" placeholder:"URL" help:"Broker to listen to; by default the one that the configuration names to the daemon, or its embedded one."`
	Username     string        `placeholder:"NAME" help:"User name at the broker; the password is in $$STATEHOUSE_MQTT_BROKER_PASSWORD or a file."`
	PasswordFile string        `type:"path" placeholder:"FILE" help:"File that holds the password."`
	CA           string        `name:"ca" type:"path" placeholder:"FILE" help:"Certificates to trust for the broker, PEM, instead of the system's."`
	For          time.Duration `placeholder:"DURATION" help:"End after so long."`
	Count        int           `short:"n" placeholder:"N" help:"End after N messages."`
	Unclaimed    bool          `help:"Show only topics that nobody claims."`
}

// Help implements [kong.HelpProvider].
func (*sniffCmd) Help() string {
	return `Prints a line for each topic when its first message comes, and when it ends a table of all of them, those that nobody claims at last. Who claims a topic the daemon knows; without one that is shown as "?". A daemon that was started with another --mqtt-address or --mqtt-broker-url than the configuration has needs the same broker in --url. Only listens: nothing is published, and messages are not acknowledged.

Ctrl-C ends it. With -o json one object per line is printed: "seen" when a topic's first message comes, and at the end a "summary" of each topic and the "end".

Examples:

    statehouse mqtt sniff
    statehouse mqtt sniff --for 1m --unclaimed
    statehouse mqtt sniff 'zigbee2mqtt/#' 'tele/+/STATE' -n 100 -o json
    statehouse mqtt sniff --url mqtt://broker.lan:1883 --username joe --password-file joe.password`
}

// Run implements the command.
func (c *sniffCmd) Run(a *app) error {
	ep, err := c.endpoint(a)
	if err != nil {
		return err
	}
	if len(c.Filter) == 0 {
		c.Filter = []string{"#"}
	}
	for _, f := range c.Filter {
		if err := mqtt.ValidFilter(f); err != nil {
			return err
		}
	}
	if c.For < 0 || c.Count < 0 {
		return usagef("--for %s --count %d: write numbers above 0", c.For, c.Count)
	}
	s := &sniffer{app: a, cmd: c, topics: map[string]*sniffed{}}
	if s.daemon, err = a.claimant(); err != nil {
		return err
	}
	if s.daemon != nil {
		defer func() { _ = s.daemon.Close() }()
	} else {
		s.cannotSay("no daemon has %s open; start one with \"statehouse serve\", or name one with --server", a.flags.DB)
	}
	if err := s.listen(ep); err != nil {
		if s.messages > 0 {
			_ = s.summarise() // what was heard before
		}
		return err
	}
	return s.summarise()
}

// endpoint is the broker to listen to: the one that was named, or the one that the configuration file and the environment name to
// a daemon. What else a daemon was told, on its command line, is not known here. Credentials that are
// for the one go to no other.
func (c *sniffCmd) endpoint(a *app) (client.Endpoint, error) {
	cfg := mqttConfig(a.file.config.MQTT)
	ep := client.Endpoint{URL: c.URL}
	password, hasPassword := os.LookupEnv(passwordEnv)
	if c.URL == "" {
		b := cfg.Broker
		ep = client.Endpoint{URL: b.URL, CAFile: b.CA, CertFile: b.Cert, KeyFile: b.Key, Username: b.Username, PasswordFile: b.PasswordFile}
		if !hasPassword && b.Password != "" && c.Username == "" {
			password, hasPassword = b.Password, true
		}
	}
	if ep.URL == "" {
		ep = client.Endpoint{URL: embeddedURL(cfg)}
	}
	if c.Username != "" || c.PasswordFile != "" {
		ep.Username, ep.PasswordFile = c.Username, c.PasswordFile
	}
	if c.CA != "" {
		ep.CAFile = c.CA
	}
	if hasPassword && ep.Username != "" && c.PasswordFile == "" {
		ep.Password, ep.PasswordFile = func() (string, error) { return password, nil }, ""
	}
	err := ep.Check()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = markedError{err, errUsage}
	}
	return ep, err
}

// mqttConfig is what the configuration file says of MQTT, and the environment before it.
func mqttConfig(m daemon.MQTT) daemon.MQTT {
	for name, value := range map[string]*string{
		"ADDRESS": &m.Address, "TLS_CERT": &m.TLS.Cert, "BROKER_URL": &m.Broker.URL, "BROKER_USERNAME": &m.Broker.Username,
		"BROKER_PASSWORD_FILE": &m.Broker.PasswordFile, "BROKER_CA": &m.Broker.CA, "BROKER_CERT": &m.Broker.Cert, "BROKER_KEY": &m.Broker.Key,
	} {
		if v, ok := os.LookupEnv("STATEHOUSE_MQTT_" + name); ok {
			*value = v
		}
	}
	return m
}

// embeddedURL is where the embedded broker of this machine is.
func embeddedURL(m daemon.MQTT) string {
	address, scheme := m.Address, "mqtt://"
	if address == "" {
		address = daemon.DefaultMQTTAddress
	}
	if m.TLS.Cert != "" {
		scheme = "mqtts://"
	}
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		address = net.JoinHostPort("127.0.0.1", port) // it listens on every address
	}
	return scheme + address
}

// claimant is the daemon that can say who claims a topic, nil where none runs. The database is not opened: that would keep
// a daemon from it.
func (a *app) claimant() (*remote, error) {
	if a.flags.Server != "" {
		return a.told(newRemote(a.flags.Server, a.flags.TokenFile))
	}
	// Only at the socket, which is in a folder of the user's: an address that the lock file of a killed daemon names may be
	// anybody's now.
	if _, err := os.Stat(daemon.SocketPath(a.flags.DB)); err != nil {
		return nil, nil
	}
	return a.told(newLocalRemote("http://localhost", a.flags.DB))
}

// Claims says who claims topics.
func (r *remote) Claims(ctx context.Context, topics []string) (claims api.Claims, err error) {
	return claims, r.send(ctx, "POST", "/v1/mqtt/claims", api.ClaimsQuery{Topics: topics}, &claims)
}

// gatherEvery is how long topics wait for others to be asked about with them.
const gatherEvery = 100 * time.Millisecond

// listen shows topics as they come, until it was enough.
func (s *sniffer) listen(ep client.Endpoint) error {
	ctx, stop := context.WithCancelCause(s.ctx)
	defer stop(nil)
	if s.cmd.For > 0 {
		defer time.AfterFunc(s.cmd.For, func() { stop(errEnough) }).Stop()
	}
	heard, failed := make(chan heardMessage, 1024), make(chan error, 1)
	go func() {
		defer close(heard)
		failed <- client.Listen(ctx, ep, s.cmd.Filter, func() { s.ready(ep) }, func(m mqtt.Message) error {
			select {
			case heard <- hear(m):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	tick := time.NewTicker(gatherEvery)
	defer tick.Stop()
	var err error
	for open := true; open; {
		select {
		case m, ok := <-heard:
			if open = ok; ok && err == nil {
				err = s.take(m)
			}
		case <-tick.C:
			if err == nil {
				err = s.show(s.ctx)
			}
		}
		if err != nil {
			stop(err) // and wait for the listener
		}
	}
	ended := <-failed
	if err == nil || errors.Is(err, errEnough) {
		err = s.show(context.WithoutCancel(s.ctx))
	}
	if err != nil || ctx.Err() != nil { // that it was enough, or that somebody interrupted, is its end
		return err
	}
	var dial *net.OpError
	if errors.As(ended, &dial) && dial.Op == "dial" {
		return markf(errUnreachable, "%w; is the broker running? \"statehouse serve\" runs one", ended)
	}
	return ended
}

// ready tells somebody who watches that it has begun.
func (s *sniffer) ready(ep client.Endpoint) {
	if s.term.tty && !s.cmd.json() {
		s.notef("listening to %s on %s; Ctrl-C ends it", strings.Join(s.cmd.Filter, " "), ep.URL)
	}
}
