package native

import (
	"errors"
	"fmt"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
	"github.com/statehouse/statehouse/state"
)

// Tasmota translates what Tasmota devices announce of themselves: tasmota/discovery/<mac>/config and …/sensors. The zero value
// is ready to use.
type Tasmota struct{ memory memory[tasmotaSaid] }

// tasmotaSaid are the last two announcements of a device, nil and empty where there is none. That of its sensors is kept as it
// was sent, which takes a tenth of the memory that the values would.
type tasmotaSaid struct {
	config  *tasmotaConfig
	sensors string
}

// announcement is what is announced of the device's sensors, nothing while its topics are not known.
func (d *tasmotaSaid) announcement() []discovery.Announcement {
	if d.config == nil || d.sensors == "" {
		return nil
	}
	v, err := state.ValueFromJSON([]byte(d.sensors))
	if err != nil {
		return nil // it was read before
	}
	return []discovery.Announcement{d.config.announcement("sensors", d.config.sensors(dialect.Node{Value: v}.Get("sn").Value))}
}

var _ discovery.Translator = (*Tasmota)(nil)

const tasmotaPrefix = "tasmota/discovery/"

// tasmotaVersion is the only version of the announcements that there is.
const tasmotaVersion = 1

var errTasmota = errors.New("no announcement of Tasmota's")

// Name is "tasmota".
func (*Tasmota) Name() string { return "tasmota" }

// Filters are the topics of the two announcements.
func (*Tasmota) Filters() []string {
	return []string{tasmotaPrefix + "+/config", tasmotaPrefix + "+/sensors"}
}

// Translate makes announcements of a device's configuration or of its sensors. Sensors are announced when the configuration is
// known, too, which has their topics.
func (t *Tasmota) Translate(topic string, payload []byte) ([]discovery.Announcement, error) {
	rest, ok := strings.CutPrefix(topic, tasmotaPrefix)
	mac, what, _ := strings.Cut(rest, "/")
	if !ok || what != "config" && what != "sensors" {
		return nil, nil
	}
	if !plainName(mac, 32) {
		return nil, fmt.Errorf("%w: %.80q is no MAC address", errTasmota, mac)
	}
	if len(payload) == 0 {
		return t.withdraw(mac, what), nil
	}
	v, err := readVersioned(payload)
	if err != nil {
		return nil, err
	}
	if what == "sensors" {
		return t.sensors(mac, v, payload)
	}
	c, err := parseTasmota(mac, v)
	if err != nil {
		return nil, err
	}
	var all []discovery.Announcement
	err = t.memory.with(mac, func(d *tasmotaSaid) error {
		d.config = c
		all = append([]discovery.Announcement{c.announcement("config", c.entities())}, d.announcement()...)
		return nil
	})
	return all, err
}

// withdraw takes away what one of the two announced. Without a configuration there are no sensors either.
func (t *Tasmota) withdraw(mac, what string) []discovery.Announcement {
	gone := func(what string) discovery.Announcement {
		return discovery.Announcement{Key: tasmotaPrefix + mac + "/" + what, Complete: true, Device: &entityv1.Device{Id: mac, Name: mac}}
	}
	t.memory.renew(mac, func(d *tasmotaSaid) (keep bool) {
		if what == "config" {
			d.config = nil
		} else {
			d.sensors = ""
		}
		return d.config != nil || d.sensors != ""
	})
	if what == "config" {
		return []discovery.Announcement{gone("config"), gone("sensors")}
	}
	return []discovery.Announcement{gone("sensors")}
}

func (t *Tasmota) sensors(mac string, v *entityv1.Value, payload []byte) ([]discovery.Announcement, error) {
	if (dialect.Node{Value: v}).Get("sn").Value.GetStructValue() == nil {
		return nil, fmt.Errorf("%w: sn is no object", errTasmota)
	}
	var all []discovery.Announcement
	err := t.memory.with(mac, func(d *tasmotaSaid) error {
		d.sensors = string(payload)
		all = d.announcement()
		return nil
	})
	return all, err
}

// readVersioned reads an announcement. What is remembered of it is far smaller than what may be sent.
func readVersioned(payload []byte) (*entityv1.Value, error) {
	const most = 16 << 10
	if len(payload) > most {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", errTasmota, len(payload), most)
	}
	v, err := state.ValueFromJSON(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTasmota, err)
	}
	if version := (dialect.Node{Value: v}).Num("ver"); version == nil || *version != tasmotaVersion {
		return nil, fmt.Errorf("%w: ver is not %d", errTasmota, tasmotaVersion)
	}
	return v, nil
}

// tasmotaConfig is what a device says of itself, read.
type tasmotaConfig struct {
	mac, name, model, software string
	command, stat, tele        string // topics up to the last level
	stateOff, stateOn          string
	actions                    []string // what a switch says beside these two
	common                     fields
	names, switchNames         []string
	relays, switches, buttons  []int
	options                    map[string]bool
	shutters                   []int   // options of each
	tilts                      [][]int // limits and time of each
	lightType                  int
	linked, tuya, fan          bool
	battery, sleeps            bool
}

const (
	maxRelays   = 32
	maxShutters = 16
	maxWords    = 8
)

func parseTasmota(mac string, v *entityv1.Value) (*tasmotaConfig, error) {
	n := dialect.Node{Value: v}
	if said := n.Str("mac"); said != mac {
		return nil, fmt.Errorf("%w: it is of %.80q, and its topic of %q", errTasmota, said, mac)
	}
	on, off := n.Words("state"), n.Str("ofln")
	if len(on) < 2 || on[0] == "" || on[1] == "" || on[0] == on[1] {
		return nil, fmt.Errorf("%w: state has no two words for off and on", errTasmota)
	}
	c := &tasmotaConfig{
		mac: mac, name: n.Str("dn"), model: n.Str("md"), software: n.Str("sw"), stateOff: on[0], stateOn: on[1],
		names: texts(n.List("fn"), maxRelays), switchNames: texts(n.List("swn"), maxRelays), options: tasmotaOptions(n.Get("so")),
		relays: ints(n.List("rl"), maxRelays), switches: ints(n.List("swc"), maxRelays), buttons: ints(n.List("btn"), maxRelays),
		shutters: ints(n.List("sho"), maxShutters), lightType: number(n.Get("lt_st")),
		linked: number(n.Get("lk")) == 1, tuya: number(n.Get("ty")) == 1, fan: number(n.Get("if")) == 1,
		battery: number(n.Get("bat")) == 1, sleeps: number(n.Get("dslp")) == 1,
	}
	for _, tilt := range n.List("sht")[:min(len(n.List("sht")), maxShutters)] {
		c.tilts = append(c.tilts, ints(elements(tilt), 3))
	}
	for _, w := range on[2:min(len(on), maxWords)] {
		if w != "" {
			c.actions = append(c.actions, w)
		}
	}
	if err := c.topics(n); err != nil {
		return nil, err
	}
	online := n.Str("onln")
	if online == "" || off == "" {
		online, off = "Online", "Offline"
	}
	c.common = common(c.tele+"LWT", online, off, c.sleeps)
	return c, nil
}

// topics fills the device's pattern of topics in, as its firmware does.
func (c *tasmotaConfig) topics(n dialect.Node) error {
	prefixes := n.Words("tp")
	defaults := []string{"cmnd", "stat", "tele"}
	for i, to := range []*string{&c.command, &c.stat, &c.tele} {
		prefix := defaults[i]
		if i < len(prefixes) && prefixes[i] != "" {
			prefix = prefixes[i]
		}
		pattern := n.Str("ft")
		if i == 0 && !strings.Contains(pattern, "%prefix%") {
			pattern += "/%prefix%" // or else the device would hear itself
		}
		topic := strings.NewReplacer(
			"%prefix%", prefix, "%topic%", n.Str("t"), "%hostname%", n.Str("hn"), "%id%", c.mac, "#", "").Replace(pattern)
		topic = strings.TrimSuffix(strings.ReplaceAll(topic, "//", "/"), "/") + "/"
		const most = 256
		if err := mqtt.ValidTopic(topic); err != nil || len(topic) > most || topic == "/" || !plainText(topic) {
			return fmt.Errorf("%w: its topic %.80q cannot be one", errTasmota, topic)
		}
		*to = topic
	}
	return nil
}

// announcement is what is announced of the device under one of its two topics.
func (c *tasmotaConfig) announcement(what string, entities []entity) discovery.Announcement {
	a := discovery.Announcement{
		Key: tasmotaPrefix + c.mac + "/" + what, Complete: true,
		Device: &entityv1.Device{
			Id: c.mac, Name: firstText(c.name, c.mac), Manufacturer: "Tasmota", Model: c.model, SoftwareVersion: c.software,
			Address: c.mac, Topic: strings.TrimSuffix(c.tele, "/"),
		},
	}
	for _, e := range entities {
		a.Entities = append(a.Entities, e.announced())
	}
	return a
}

// tasmotaOptions are those that are set, of those that matter here.
func tasmotaOptions(n dialect.Node) map[string]bool {
	set := map[string]bool{}
	for _, option := range []string{"4", "13", "30", "68", "82"} {
		if number(n.Get(option)) == 1 {
			set[option] = true
		}
	}
	return set
}

// option says that one of the device's options is set.
func (c *tasmotaConfig) option(number string) bool { return c.options[number] }

// entities are what the device has but for its sensors.
func (c *tasmotaConfig) entities() []entity {
	all := c.outputs()
	all = append(all, c.switchInputs()...)
	all = append(all, c.buttonEvents()...)
	return append(all, c.statusSensors()...)
}

// results are where the device answers a command: RESULT, or the command's own topics with option 4.
func (c *tasmotaConfig) results(template string, commands ...string) []source {
	if !c.option("4") {
		return []source{{c.stat + "RESULT", template}}
	}
	all := make([]source, len(commands))
	for i, command := range commands {
		all[i] = source{c.stat + command, template}
	}
	return all
}
