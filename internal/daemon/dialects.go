package daemon

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/client"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
	"github.com/statehouse/statehouse/internal/mqtt/native"
	"github.com/statehouse/statehouse/internal/mqtt/zigbee2mqtt"
)

// dialects makes those that the configuration asks for. A new one is added here and in allDialects.
func (d *Daemon) dialects(subscriber mqtt.Subscriber) []dialect.Dialect {
	var all []dialect.Dialect
	shared := dialect.Options{
		SilentAfter: d.cfg.Zigbee2MQTT.SilentAfter, MaxEntities: d.cfg.MaxEntities, MinInterval: d.cfg.minInterval, Logger: d.log,
	}
	var covered []string
	for _, opts := range d.parts.zigbee2mqtt {
		opts.MaxEntities, opts.MinInterval, opts.Logger = d.cfg.MaxEntities, d.cfg.minInterval, d.log
		all = append(all, zigbee2mqtt.New(d.house, opts))
		covered = append(covered, opts.BaseTopic+"/")
	}
	engine := func(t discovery.Translator) *discovery.Engine {
		e := discovery.NewEngine(d.house, t, discovery.Options{Options: shared, Subscriber: subscriber})
		all = append(all, e)
		return e
	}
	d.mapped = engine(d.parts.mapping)
	for _, name := range d.cfg.Dialects {
		switch name {
		case dialectHomeAssistant:
			engine(discovery.NewHomeAssistant(discovery.HomeAssistantOptions{Prefix: d.cfg.HomeAssistant.Prefix, Covered: covered}))
		case dialectTasmota:
			engine(&native.Tasmota{})
		case dialectShelly:
			engine(&native.Shelly1{})
			engine(&native.Shelly2{})
		}
	}
	return all
}

// declareDevices takes in what the configuration says of devices that announce nothing.
func (d *Daemon) declareDevices(ctx context.Context) error {
	declared, err := d.parts.mapping.Declared()
	if err != nil {
		return err
	}
	return d.mapped.Declare(ctx, declared, d.parts.mapping.Describes)
}

// minInterval is the least time between two events about an entity that measures, 0 for none.
func (c *Config) minInterval(entity string) time.Duration {
	for _, m := range c.MinIntervals {
		if access.Match(m.Entity, entity) {
			return m.Interval
		}
	}
	return 0
}

// checkDialects checks what concerns the ecosystems.
func (c *Config) checkDialects(wrong *faults) {
	for i, name := range c.Dialects {
		if !slices.Contains(allDialects, name) {
			wrong.add("dialects", "%.40q: write some of %s", name, strings.Join(allDialects, ", "))
		}
		if slices.Contains(c.Dialects[:i], name) {
			wrong.add("dialects", "%q is given twice; remove one", name)
		}
	}
	if p := c.HomeAssistant.Prefix; mqtt.ValidTopic(p) != nil || strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/") {
		wrong.add("homeassistant.prefix", "%.80q: write a topic without wildcards and without / at its ends", p)
	}
	for _, f := range c.MQTT.Ignore {
		if err := mqtt.ValidFilter(f); err != nil || f == "#" {
			wrong.add("mqtt.ignore", "%.80q: write a topic filter, as in garden/+/debug or logs/#", f)
		}
	}
	for _, m := range c.MinIntervals {
		const longest = 24 * time.Hour
		switch {
		case m.Entity == "":
			wrong.add("min_intervals", "an entry without entity: write an id, as in sensor.meter_power, or a pattern, as in sensor.*_power")
		case m.Interval <= 0 || m.Interval > longest:
			wrong.add("min_intervals", "%.80q: %s: write an interval above 0 and up to %s, as in 10s", m.Entity, m.Interval, longest)
		}
	}
}

// clientSubscriber hands subscriptions to a client that is made after its handler.
type clientSubscriber struct{ client atomic.Pointer[client.Client] }

// Subscribe implements [mqtt.Subscriber].
func (s *clientSubscriber) Subscribe(topics ...string) {
	if c := s.client.Load(); c != nil {
		c.Subscribe(topics...)
	}
}
