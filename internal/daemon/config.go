package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config is everything that a daemon can be told. Each field is a key of the configuration file; most are flags and
// environment variables as well, whose names follow from the key: mqtt.broker.url is --mqtt-broker-url and
// STATEHOUSE_MQTT_BROKER_URL. Passwords are never flags. The zero value is filled in by [Config.SetDefaults].
type Config struct {
	// DB is the path of the database file.
	DB          string      `yaml:"db" kong:"-"`
	HTTP        HTTP        `yaml:"http" embed:"" prefix:"http-" group:"HTTP"`
	MQTT        MQTT        `yaml:"mqtt" embed:"" prefix:"mqtt-" group:"MQTT"`
	Zigbee2MQTT Zigbee2MQTT `yaml:"zigbee2mqtt" embed:"" prefix:"zigbee2mqtt-" group:"Zigbee2MQTT"`
	Log         Log         `yaml:"log" embed:"" prefix:"log-" group:"Logging"`
	// SnapshotEvery is the number of events after which the present is saved again.
	SnapshotEvery int `yaml:"snapshot_every" help:"Events after which the present is saved again (default 50000)." placeholder:"N" env:"STATEHOUSE_SNAPSHOT_EVERY" group:"Storage"`
}

// HTTP configures what the daemon answers over HTTP.
type HTTP struct {
	Address      string   `yaml:"address,omitempty" help:"Address to listen on (default 127.0.0.1:8321)." placeholder:"HOST:PORT" env:"STATEHOUSE_HTTP_ADDRESS"`
	AllowedHosts []string `yaml:"allowed_hosts,omitempty" help:"Host names that requests may name, besides localhost and addresses of this machine." placeholder:"NAME" env:"STATEHOUSE_HTTP_ALLOWED_HOSTS"`
}

// MQTT configures the embedded broker, or the broker that the daemon is a client of.
type MQTT struct {
	Address string `yaml:"address,omitempty" help:"Address that the embedded broker listens on (default 127.0.0.1:1883)." placeholder:"HOST:PORT" env:"STATEHOUSE_MQTT_ADDRESS"`
	TLS     TLS    `yaml:"tls,omitempty" embed:"" prefix:"tls-"`
	Users   []User `yaml:"users,omitempty" kong:"-"`
	Limits  Limits `yaml:"limits,omitempty" kong:"-"`
	Broker  Broker `yaml:"broker,omitempty" embed:"" prefix:"broker-"`
}

// TLS names the files of the embedded broker's certificate.
type TLS struct {
	Cert string `yaml:"cert,omitempty" help:"Certificate of the embedded broker, PEM." placeholder:"FILE" env:"STATEHOUSE_MQTT_TLS_CERT"`
	Key  string `yaml:"key,omitempty" help:"Its private key, PEM." placeholder:"FILE" env:"STATEHOUSE_MQTT_TLS_KEY"`
}

// User is somebody who may use the embedded broker.
type User struct {
	Name string `yaml:"name,omitempty"`
	// One of the three is given.
	Password     string `yaml:"password,omitempty"`
	PasswordFile string `yaml:"password_file,omitempty"`
	PasswordHash string `yaml:"password_hash,omitempty"`
	// Publish and Subscribe are topic filters.
	Publish   []string `yaml:"publish,omitempty"`
	Subscribe []string `yaml:"subscribe,omitempty"`
}

// Limits bound what a peer of the embedded broker can cost; 0 is the default of each.
type Limits struct {
	MaxPayload       int           `yaml:"max_payload,omitempty"`
	MaxClients       int           `yaml:"max_clients,omitempty"`
	MaxSessions      int           `yaml:"max_sessions,omitempty"`
	MaxSubscriptions int           `yaml:"max_subscriptions,omitempty"`
	MaxQueued        int           `yaml:"max_queued,omitempty"`
	MaxQueuedBytes   int           `yaml:"max_queued_bytes,omitempty"`
	MaxRetained      int           `yaml:"max_retained,omitempty"`
	MaxRetainedBytes int           `yaml:"max_retained_bytes,omitempty"`
	SessionExpiry    time.Duration `yaml:"session_expiry,omitempty"`
}

// Broker is the user's own broker. Where its URL is set, no embedded broker runs.
type Broker struct {
	URL          string `yaml:"url,omitempty" help:"Use this broker and run none: mqtt://host:1883 or mqtts://host:8883." placeholder:"URL" env:"STATEHOUSE_MQTT_BROKER_URL"`
	Username     string `yaml:"username,omitempty" help:"User name at that broker; the password is in the file or STATEHOUSE_MQTT_BROKER_PASSWORD." placeholder:"NAME" env:"STATEHOUSE_MQTT_BROKER_USERNAME"`
	Password     string `yaml:"password,omitempty" kong:"-"`
	PasswordFile string `yaml:"password_file,omitempty" help:"File that holds the password at that broker." placeholder:"FILE" env:"STATEHOUSE_MQTT_BROKER_PASSWORD_FILE"`
	ClientID     string `yaml:"client_id,omitempty" help:"Client id at that broker (default: statehouse)." placeholder:"ID" env:"STATEHOUSE_MQTT_BROKER_CLIENT_ID"`
	CA           string `yaml:"ca,omitempty" help:"Certificates to trust for that broker, PEM, instead of the system's." placeholder:"FILE" env:"STATEHOUSE_MQTT_BROKER_CA"`
	Cert         string `yaml:"cert,omitempty" help:"Client certificate for that broker, PEM." placeholder:"FILE" env:"STATEHOUSE_MQTT_BROKER_CERT"`
	Key          string `yaml:"key,omitempty" help:"Its private key, PEM." placeholder:"FILE" env:"STATEHOUSE_MQTT_BROKER_KEY"`
}

// Zigbee2MQTT configures that dialect.
type Zigbee2MQTT struct {
	BaseTopics  []string      `yaml:"base_topics" help:"Base topics of the bridges (default zigbee2mqtt)." placeholder:"TOPIC" env:"STATEHOUSE_ZIGBEE2MQTT_BASE_TOPICS"`
	SilentAfter time.Duration `yaml:"silent_after" help:"A report that changes nothing is recorded if the entity was silent for so long (default 1h)." placeholder:"DURATION" env:"STATEHOUSE_ZIGBEE2MQTT_SILENT_AFTER"`
}

// Log configures what the daemon logs.
type Log struct {
	Level  string `yaml:"level" help:"debug, info, warn or error (default info)." placeholder:"LEVEL" env:"STATEHOUSE_LOG_LEVEL"`
	Format string `yaml:"format" help:"text or json (default text)." placeholder:"FORMAT" env:"STATEHOUSE_LOG_FORMAT"`
}

// Defaults of the keys whose default is not another package's.
const (
	DefaultHTTPAddress = "127.0.0.1:8321"
	DefaultMQTTAddress = "127.0.0.1:1883"
	defaultBaseTopic   = "zigbee2mqtt"
	defaultClientID    = "statehouse"
	defaultSilentAfter = time.Hour
	defaultSnapshots   = 50_000
)

// DefaultDB is where the database is when nobody says where: in the user's data directory.
func DefaultDB() string {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "statehouse", "home.db")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "statehouse", "home.db")
	}
	return "home.db"
}

// SetDefaults fills in what is not set.
func (c *Config) SetDefaults() {
	c.DB = cmp.Or(c.DB, DefaultDB())
	c.HTTP.Address = cmp.Or(c.HTTP.Address, DefaultHTTPAddress)
	if c.MQTT.Broker.URL == "" {
		c.MQTT.Address = cmp.Or(c.MQTT.Address, DefaultMQTTAddress)
	} else {
		c.MQTT.Broker.ClientID = cmp.Or(c.MQTT.Broker.ClientID, defaultClientID)
	}
	if len(c.Zigbee2MQTT.BaseTopics) == 0 {
		c.Zigbee2MQTT.BaseTopics = []string{defaultBaseTopic}
	}
	c.Zigbee2MQTT.SilentAfter = cmp.Or(c.Zigbee2MQTT.SilentAfter, defaultSilentAfter)
	c.Log.Level = cmp.Or(c.Log.Level, "info")
	c.Log.Format = cmp.Or(c.Log.Format, "text")
	c.SnapshotEvery = cmp.Or(c.SnapshotEvery, defaultSnapshots)
}

// ErrConfig says that the configuration cannot work. The message names the key and says what it may be.
var ErrConfig = errors.New("configuration")

// Check returns everything that is wrong with a configuration whose defaults are set, nil for nothing; the errors match
// [ErrConfig].
func (c *Config) Check() error {
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: %s: %s", ErrConfig, key, fmt.Sprintf(format, args...)))
	}
	if err := checkAddress(c.HTTP.Address); err != nil {
		wrong("http.address", "%v", err)
	} else if isExposed(c.HTTP.Address) {
		wrong("http.address", "%s can be reached from other machines, and nobody is asked who they are; write 127.0.0.1 or [::1]", c.HTTP.Address)
	}
	c.MQTT.check(wrong)
	for _, base := range c.Zigbee2MQTT.BaseTopics {
		if base == "" || strings.ContainsAny(base, "#+\x00") || strings.HasPrefix(base, "/") || strings.HasSuffix(base, "/") {
			wrong("zigbee2mqtt.base_topics", "%q: write a topic without wildcards and without / at its ends", base)
		}
	}
	if d := c.Zigbee2MQTT.SilentAfter; d < time.Second {
		wrong("zigbee2mqtt.silent_after", "%s: write at least 1s, as in 1h", d)
	}
	if _, err := c.Log.level(); err != nil {
		wrong("log.level", "%v", err)
	}
	if f := c.Log.Format; f != "text" && f != "json" {
		wrong("log.format", "%q: write text or json", f)
	}
	if c.SnapshotEvery < 100 {
		wrong("snapshot_every", "%d: write at least 100", c.SnapshotEvery)
	}
	return errors.Join(errs...)
}

func (m *MQTT) check(wrong func(key, format string, args ...any)) {
	if m.Broker.URL != "" {
		if m.Address != "" || len(m.Users) > 0 || m.TLS != (TLS{}) {
			wrong("mqtt.broker.url", "with a broker of your own no embedded one runs; remove mqtt.address, mqtt.users and mqtt.tls")
		}
		m.Broker.check(wrong)
		return
	}
	if b := m.Broker; b != (Broker{}) {
		wrong("mqtt.broker.url", "it is missing, and mqtt.broker has other keys")
	}
	if err := checkAddress(m.Address); err != nil {
		wrong("mqtt.address", "%v", err)
	} else if isExposed(m.Address) && (m.TLS == (TLS{}) || len(m.Users) == 0) {
		wrong("mqtt.address", "%s can be reached from other machines, which needs mqtt.tls and mqtt.users; or write 127.0.0.1", m.Address)
	}
	if (m.TLS.Cert == "") != (m.TLS.Key == "") {
		wrong("mqtt.tls", "give both cert and key")
	}
	for i, u := range m.Users {
		key := fmt.Sprintf("mqtt.users[%d]", i)
		if u.Name == "" {
			wrong(key+".name", "it is missing")
		}
		given := 0
		for _, v := range [...]string{u.Password, u.PasswordFile, u.PasswordHash} {
			if v != "" {
				given++
			}
		}
		if given != 1 {
			wrong(key, "give one of password, password_file and password_hash for user %q", u.Name)
		}
	}
}

func (b *Broker) check(wrong func(key, format string, args ...any)) {
	u, err := url.Parse(b.URL)
	switch {
	case err != nil:
		wrong("mqtt.broker.url", "not a URL; write mqtt://host:1883 or mqtts://host:8883") // its error may quote a password
	case u.User != nil:
		wrong("mqtt.broker.url", "no credentials in the URL; use mqtt.broker.username and mqtt.broker.password_file")
	case u.Scheme != "mqtt" && u.Scheme != "mqtts" || u.Hostname() == "":
		wrong("mqtt.broker.url", "%q: write mqtt://host:1883 or mqtts://host:8883", b.URL)
	}
	if b.Password != "" && b.PasswordFile != "" {
		wrong("mqtt.broker", "give one of password and password_file")
	}
	if (b.Cert == "") != (b.Key == "") {
		wrong("mqtt.broker", "give both cert and key")
	}
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q: write host:port, as in 127.0.0.1:8321", address)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q: %q is no port", address, port)
	}
	return nil
}

// isExposed says that a well-formed address is for others than this machine, as far as that can be told without asking
// a name server.
func isExposed(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return host == "" || ip != nil && !ip.IsLoopback()
}

// redacted stands where a secret is.
const redacted = "(redacted)"

// Redacted is a copy that may be shown: passwords and their hashes are replaced by a word.
func (c *Config) Redacted() Config {
	r := *c
	hide := func(s *string) {
		if *s != "" {
			*s = redacted
		}
	}
	hide(&r.MQTT.Broker.Password)
	r.MQTT.Users = append([]User(nil), c.MQTT.Users...)
	for i := range r.MQTT.Users {
		hide(&r.MQTT.Users[i].Password)
		hide(&r.MQTT.Users[i].PasswordHash)
	}
	return r
}

// readPassword is the password itself, or what the first line of the file says.
func readPassword(key, password, file string) (string, error) {
	if file == "" {
		return password, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%w: %s.password_file: %w", ErrConfig, key, err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("%w: %s.password_file: the first line of %s is empty", ErrConfig, key, file)
	}
	return line, nil
}
