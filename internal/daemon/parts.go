package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/client"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
	"github.com/statehouse/statehouse/internal/mqtt/zigbee2mqtt"
	"github.com/statehouse/statehouse/internal/server"
	"github.com/statehouse/statehouse/storage"
)

// ErrConfig says that the configuration cannot work. The message names the key and says what it may be.
var ErrConfig = errors.New("configuration")

// Check returns everything that is wrong with a configuration whose defaults are set, nil for nothing; the errors match
// [ErrConfig]. It is what [Start] checks before it opens anything: files that the configuration names are read, and host
// names asked for.
func (c *Config) Check(ctx context.Context) error {
	_, err := c.parts(ctx)
	return err
}

// parts are the options of what a daemon is made of, as far as they follow from its configuration.
type parts struct {
	server server.Options
	house  statehouse.Options
	// zigbee2mqtt has options for each base topic, none where that dialect is not listened to.
	zigbee2mqtt []zigbee2mqtt.Options
	// mapping are the devices that the user describes.
	mapping *discovery.Mapping
	// broker is the embedded one's, client that of the client that is used instead where the user's broker has a URL.
	broker broker.Options
	client client.Options
}

// parts turns the configuration into the options of each part, and lets each part check its own.
func (c *Config) parts(ctx context.Context) (parts, error) {
	var p parts
	wrong := &faults{}
	p.server = server.Options{Address: c.HTTP.Address, AllowedHosts: c.HTTP.AllowedHosts, SocketPath: SocketPath(c.DB)}
	if c.HTTP.TLS != (HTTPTLS{}) {
		cert, err := server.LoadCertificate(c.HTTP.TLS.Cert, c.HTTP.TLS.Key)
		if err != nil {
			wrong.add("http.tls", "%w", err)
		}
		p.server.TLS = cert
	}
	if err := server.CheckAddress(c.HTTP.Address, c.HTTP.TLS != (HTTPTLS{})); err != nil {
		wrong.add("http.address", "%w", err)
	}
	if c.SnapshotEvery != 0 && c.SnapshotEvery < 100 {
		wrong.add("snapshot_every", "%d: write at least 100, or 0 for a distance that fits the house", c.SnapshotEvery)
	}
	p.house.SnapshotEvery = c.SnapshotEvery
	if every := time.Duration(*c.VerifyEvery); every != 0 && every < leastVerify {
		wrong.add("verify_every", "%s: write 0 for never, or at least %s, as in 7d", every, leastVerify)
	}
	if c.MaxEntities < 1 {
		wrong.add("max_entities", "%d: write at least 1, as in %d", c.MaxEntities, dialect.DefaultMaxEntities)
	}
	if keep := time.Duration(c.KeepHistory); keep != 0 && keep < leastKept {
		wrong.add("keep_history", "%s: write 0 to keep it for ever, or at least %s, as in 90d", keep, leastKept)
	}
	c.checkDialects(wrong)
	devices := make([]discovery.MappedDevice, len(c.Devices))
	for i, d := range c.Devices {
		devices[i] = discovery.MappedDevice(d)
	}
	mapping, err := discovery.NewMapping(devices)
	if err != nil {
		wrong.add("devices", "%w", err)
	}
	p.mapping = mapping
	if options := c.Zigbee2MQTT.options(wrong); slices.Contains(c.Dialects, dialectZigbee2MQTT) {
		p.zigbee2mqtt = options
	}
	if c.MQTT.Broker.URL == "" {
		p.broker = c.MQTT.brokerOptions(c.DB, wrong)
		wrong.of("mqtt", p.broker.Check(ctx))
	} else {
		p.client = c.MQTT.clientOptions(wrong)
		wrong.of("mqtt.broker", p.client.Check())
	}
	if _, err := c.Log.level(); err != nil {
		wrong.add("log.level", "%w", err)
	}
	if f := c.Log.Format; f != "text" && f != "json" {
		wrong.add("log.format", "%q: write text or json", f)
	}
	return p, errors.Join(wrong.errs...)
}

// faults are what is wrong with a configuration.
type faults struct{ errs []error }

func (f *faults) add(key, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("%w: %s: %w", ErrConfig, key, fmt.Errorf(format, args...)))
}

// of adds what a part says of its options, which are below a key.
func (f *faults) of(key string, err error) {
	var wrong mqtt.OptionErrors
	if err != nil && !errors.As(err, &wrong) {
		f.add(key, "%w", err)
	}
	for _, e := range wrong {
		f.add(key+"."+e.Key, "%w", e.Err)
	}
}

// options are those of each base topic's dialect.
func (z *Zigbee2MQTT) options(wrong *faults) []zigbee2mqtt.Options {
	const key = "zigbee2mqtt.base_topics"
	if z.SilentAfter < time.Second {
		wrong.add("zigbee2mqtt.silent_after", "%s: write at least 1s, as in 1h", z.SilentAfter)
	}
	var all []zigbee2mqtt.Options
	for i, base := range z.BaseTopics {
		if mqtt.ValidTopic(base) != nil || strings.HasPrefix(base, "/") || strings.HasSuffix(base, "/") {
			wrong.add(key, "%.80q: write a topic without wildcards and without / at its ends", base)
		}
		if slices.Contains(z.BaseTopics[:i], base) {
			wrong.add(key, "%.80q is given twice; remove one", base)
		}
		all = append(all, zigbee2mqtt.Options{BaseTopic: base, SilentAfter: z.SilentAfter})
	}
	return all
}

// brokerOptions are those of the embedded broker.
func (m *MQTT) brokerOptions(db string, wrong *faults) broker.Options {
	if m.Broker != (Broker{}) {
		wrong.add("mqtt.broker.url", "it is missing, and mqtt.broker has other keys")
	}
	opts := broker.Options{
		Address: m.Address, CertFile: m.TLS.Cert, KeyFile: m.TLS.Key,
		// Beside the database, since both are one house.
		DataPath: storage.Beside(db, ".mqtt"),
		Limits: broker.Limits{
			MaxPayload: m.Limits.MaxPayload, MaxClients: m.Limits.MaxClients, MaxSessions: m.Limits.MaxSessions,
			MaxSubscriptions: m.Limits.MaxSubscriptions, MaxQueued: m.Limits.MaxQueued,
			MaxQueuedBytes: m.Limits.MaxQueuedBytes, MaxRetained: m.Limits.MaxRetained,
			MaxIncomingBytes: m.Limits.MaxIncomingBytes, MaxBacklogBytes: m.Limits.MaxBacklogBytes,
			MaxRetainedBytes: m.Limits.MaxRetainedBytes, SessionExpiry: m.Limits.SessionExpiry,
		},
	}
	for i, u := range m.Users {
		user := broker.User{
			Name: u.Name, Password: u.Password, PasswordHash: u.PasswordHash, Publish: u.Publish, Subscribe: u.Subscribe,
		}
		if u.PasswordFile != "" {
			user.Password = u.readPassword(fmt.Sprintf("mqtt.users[%d]", i), wrong)
		}
		opts.Users = append(opts.Users, user)
	}
	return opts
}

// readPassword is what the user's password file says. Where it cannot be used, which is a fault, something stands for it,
// so that the broker does not miss a password as well.
func (u *User) readPassword(key string, wrong *faults) string {
	if u.Password != "" {
		wrong.add(key, "give one of password, password_file and password_hash for user %q", u.Name)
		return u.Password
	}
	password, err := mqtt.ReadPassword(u.PasswordFile)
	if err != nil {
		wrong.add(key+".password_file", "%w", err)
		return u.PasswordFile
	}
	return password
}

// clientOptions are those of the client of the user's broker.
func (m *MQTT) clientOptions(wrong *faults) client.Options {
	if m.Address != "" || len(m.Users) > 0 || m.TLS != (TLS{}) || m.Limits != (Limits{}) {
		wrong.add("mqtt.broker.url", "with a broker of your own no embedded one runs; remove mqtt.address, mqtt.users, mqtt.tls and mqtt.limits")
	}
	b := m.Broker
	opts := client.Options{
		Endpoint: client.Endpoint{
			URL: b.URL, CAFile: b.CA, CertFile: b.Cert, KeyFile: b.Key, Username: b.Username, PasswordFile: b.PasswordFile,
		},
		ClientID: b.ClientID, StatusTopic: statusTopic,
	}
	if b.Password != "" {
		opts.Password = func() (string, error) { return b.Password, nil }
	}
	return opts
}
