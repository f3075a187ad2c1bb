package daemon

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt/dialect"
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
	// Dialects are the ecosystems that are listened to.
	Dialects []string `yaml:"dialects" help:"Ecosystems to listen to (default zigbee2mqtt,homeassistant,tasmota,shelly)." placeholder:"NAME" env:"STATEHOUSE_DIALECTS" group:"Devices"`
	// HomeAssistant configures MQTT discovery.
	HomeAssistant HomeAssistant `yaml:"homeassistant" embed:"" prefix:"homeassistant-" group:"Devices"`
	// Devices are those that announce nothing, as the user describes them.
	Devices []Device `yaml:"devices,omitempty" kong:"-"`
	// MinIntervals are the least times between two events about entities that measure.
	MinIntervals []MinInterval `yaml:"min_intervals,omitempty" kong:"-"`
	Log          Log           `yaml:"log" embed:"" prefix:"log-" group:"Logging"`
	// SnapshotEvery is the number of events after which the present is saved again.
	SnapshotEvery int `yaml:"snapshot_every" help:"Events after which the present is saved again (default 0: four for each entity, device and area, 10000 to 50000)." placeholder:"N" env:"STATEHOUSE_SNAPSHOT_EVERY" group:"Storage"`
	// MaxEntities is the most entities that the house may have for devices to add some; 0 means the default.
	MaxEntities int `yaml:"max_entities" help:"The most entities that devices may make, those that are gone included (default 100000)." placeholder:"N" env:"STATEHOUSE_MAX_ENTITIES" group:"Storage"`
	// VerifyEvery is the time from one verification of everything to the next; 0 means never, nil the default.
	VerifyEvery *Interval `yaml:"verify_every" help:"Time between two verifications of the whole database, 0 for never (default 168h)." placeholder:"DURATION" env:"STATEHOUSE_VERIFY_EVERY" group:"Storage"`
	// KeepHistory is how long history is kept before it may be removed for good; 0 means for ever.
	KeepHistory Interval `yaml:"keep_history" help:"Remove history for good that is older than this, 0 to keep it for ever (default 0)." placeholder:"DURATION" env:"STATEHOUSE_KEEP_HISTORY" group:"Storage"`
}

// HTTP configures what the daemon answers over HTTP.
type HTTP struct {
	Address      string   `yaml:"address,omitempty" help:"Address to listen on (default 127.0.0.1:8321)." placeholder:"HOST:PORT" env:"STATEHOUSE_HTTP_ADDRESS"`
	TLS          HTTPTLS  `yaml:"tls,omitempty" embed:"" prefix:"tls-"`
	AllowedHosts []string `yaml:"allowed_hosts,omitempty" help:"Host names that requests may name, besides localhost and addresses of this machine." placeholder:"NAME" env:"STATEHOUSE_HTTP_ALLOWED_HOSTS"`
}

// MQTT configures the embedded broker, or the broker that the daemon is a client of.
type MQTT struct {
	Address string `yaml:"address,omitempty" help:"Address that the embedded broker listens on (default 127.0.0.1:1883)." placeholder:"HOST:PORT" env:"STATEHOUSE_MQTT_ADDRESS"`
	TLS     TLS    `yaml:"tls,omitempty" embed:"" prefix:"tls-"`
	Users   []User `yaml:"users,omitempty" kong:"-"`
	Limits  Limits `yaml:"limits,omitempty" kong:"-"`
	// Ignore are the topics, as filters, that nothing is taken from.
	Ignore []string `yaml:"ignore,omitempty" help:"Topic filters of messages to ignore." placeholder:"FILTER" env:"STATEHOUSE_MQTT_IGNORE"`
	Broker Broker   `yaml:"broker,omitempty" embed:"" prefix:"broker-"`
}

// HTTPTLS names the files of the certificate for HTTP.
type HTTPTLS struct {
	Cert string `yaml:"cert,omitempty" help:"Certificate for HTTPS, PEM, which other machines need." placeholder:"FILE" env:"STATEHOUSE_HTTP_TLS_CERT"`
	Key  string `yaml:"key,omitempty" help:"Its private key, PEM." placeholder:"FILE" env:"STATEHOUSE_HTTP_TLS_KEY"`
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
	MaxIncomingBytes int           `yaml:"max_incoming_bytes,omitempty"`
	MaxBacklogBytes  int           `yaml:"max_backlog_bytes,omitempty"`
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
	ClientID     string `yaml:"client_id,omitempty" help:"Client id at that broker (default: statehouse- and the first 12 digits of the database's uuid)." placeholder:"ID" env:"STATEHOUSE_MQTT_BROKER_CLIENT_ID"`
	CA           string `yaml:"ca,omitempty" help:"Certificates to trust for that broker, PEM, instead of the system's." placeholder:"FILE" env:"STATEHOUSE_MQTT_BROKER_CA"`
	Cert         string `yaml:"cert,omitempty" help:"Client certificate for that broker, PEM." placeholder:"FILE" env:"STATEHOUSE_MQTT_BROKER_CERT"`
	Key          string `yaml:"key,omitempty" help:"Its private key, PEM." placeholder:"FILE" env:"STATEHOUSE_MQTT_BROKER_KEY"`
}

// Zigbee2MQTT configures that dialect.
type Zigbee2MQTT struct {
	BaseTopics  []string      `yaml:"base_topics" help:"Base topics of the bridges (default zigbee2mqtt)." placeholder:"TOPIC" env:"STATEHOUSE_ZIGBEE2MQTT_BASE_TOPICS"`
	SilentAfter time.Duration `yaml:"silent_after" help:"A report that changes nothing is recorded if the entity was silent for so long (default 1h)." placeholder:"DURATION" env:"STATEHOUSE_ZIGBEE2MQTT_SILENT_AFTER"`
}

// HomeAssistant configures Home Assistant's MQTT discovery.
type HomeAssistant struct {
	Prefix string `yaml:"prefix" help:"First level of the topics of MQTT discovery (default homeassistant)." placeholder:"TOPIC" env:"STATEHOUSE_HOMEASSISTANT_PREFIX"`
}

// Device is one that announces nothing.
type Device struct {
	// Topic is what its topics begin with; + in it makes a device of each that is heard of.
	Topic        string `yaml:"topic"`
	Name         string `yaml:"name,omitempty"`
	Manufacturer string `yaml:"manufacturer,omitempty"`
	Model        string `yaml:"model,omitempty"`
	// Entities have the keys of Home Assistant's MQTT discovery.
	Entities []map[string]any `yaml:"entities,omitempty"`
}

// MinInterval is the least time between two events about the same entity of which nothing differs but what it measures.
type MinInterval struct {
	// Entity is the id of an entity, in which "*" stands for any number of characters. Of several patterns that fit the first
	// one counts.
	Entity   string        `yaml:"entity"`
	Interval time.Duration `yaml:"interval"`
}

// Names of the ecosystems.
const (
	dialectZigbee2MQTT   = "zigbee2mqtt"
	dialectHomeAssistant = "homeassistant"
	dialectTasmota       = "tasmota"
	dialectShelly        = "shelly"
)

var allDialects = []string{dialectZigbee2MQTT, dialectHomeAssistant, dialectTasmota, dialectShelly}

// Log configures what the daemon logs.
type Log struct {
	Level  string `yaml:"level" help:"debug, info, warn or error (default info)." placeholder:"LEVEL" env:"STATEHOUSE_LOG_LEVEL"`
	Format string `yaml:"format" help:"text or json (default text)." placeholder:"FORMAT" env:"STATEHOUSE_LOG_FORMAT"`
}

// Interval is a duration whose zero, which may be written without a unit, means never. It may begin with days, as in 90d and
// 1d12h; a day has 24 hours.
type Interval time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (i *Interval) UnmarshalText(text []byte) error {
	const most = 100 * 366
	days, rest, hasDays := strings.Cut(string(text), "d")
	if !hasDays {
		days, rest = "0", string(text)
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n > most || hasDays && strings.HasPrefix(rest, "-") {
		return fmt.Errorf("%.40q is no duration; write it as in 90d, 36h or 1h30m", text)
	}
	var d time.Duration
	if rest != "" || !hasDays {
		if d, err = time.ParseDuration(rest); err != nil {
			return err
		}
	}
	whole := time.Duration(n) * 24 * time.Hour
	if d > math.MaxInt64-whole {
		return fmt.Errorf("%.40q is too long", text)
	}
	*i = Interval(whole + d)
	return nil
}

// MarshalText implements [encoding.TextMarshaler].
func (i Interval) MarshalText() ([]byte, error) { return []byte(time.Duration(i).String()), nil }

// Defaults of the keys whose default is not another package's.
const (
	DefaultHTTPAddress = "127.0.0.1:8321"
	DefaultMQTTAddress = "127.0.0.1:1883"
	defaultBaseTopic   = "zigbee2mqtt"
	defaultSilentAfter = time.Hour
	defaultVerify      = 7 * 24 * time.Hour
	leastVerify        = time.Minute
	leastKept          = time.Hour
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
	}
	if len(c.Dialects) == 0 {
		c.Dialects = slices.Clone(allDialects)
	}
	c.HomeAssistant.Prefix = cmp.Or(c.HomeAssistant.Prefix, "homeassistant")
	if len(c.Zigbee2MQTT.BaseTopics) == 0 {
		c.Zigbee2MQTT.BaseTopics = []string{defaultBaseTopic}
	}
	c.MaxEntities = cmp.Or(c.MaxEntities, dialect.DefaultMaxEntities)
	c.Zigbee2MQTT.SilentAfter = cmp.Or(c.Zigbee2MQTT.SilentAfter, defaultSilentAfter)
	c.Log.Level = cmp.Or(c.Log.Level, "info")
	c.Log.Format = cmp.Or(c.Log.Format, "text")
	if c.VerifyEvery == nil {
		every := Interval(defaultVerify)
		c.VerifyEvery = &every
	}
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
	if strings.Contains(r.MQTT.Broker.URL, "@") { // somebody wrote it there, which is wrong
		hide(&r.MQTT.Broker.URL)
	}
	r.Devices = redactedDevices(c.Devices)
	r.MQTT.Users = append([]User(nil), c.MQTT.Users...)
	for i := range r.MQTT.Users {
		hide(&r.MQTT.Users[i].Password)
		hide(&r.MQTT.Users[i].PasswordHash)
	}
	return r
}

// redactedDevices are devices without the codes of their alarms and locks.
func redactedDevices(devices []Device) []Device {
	devices = slices.Clone(devices)
	for i := range devices {
		devices[i].Entities = slices.Clone(devices[i].Entities)
		for j, e := range devices[i].Entities {
			if _, ok := e["code"]; ok {
				e = maps.Clone(e)
				e["code"] = redacted
				devices[i].Entities[j] = e
			}
		}
	}
	return devices
}
