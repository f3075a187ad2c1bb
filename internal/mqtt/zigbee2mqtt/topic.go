package zigbee2mqtt

import (
	"context"
	"errors"
	"strings"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// topicIndex finds devices by the end of their topics, which is their name at the source. It is never changed.
type topicIndex struct{ devices map[string]indexed }

type indexed struct{ device, topic string }

// routeKind says what a topic under a device's name is for.
type routeKind int

const (
	routeUnknown      routeKind = iota // of no known device
	routeReport                        // the device's state
	routeAvailability                  // …/availability
	routeCommand                       // …/set, …/get, …/set/brightness
	routeAction                        // …/action
	routeCopy                          // …/left: a part of the report once more
)

// route is where a topic leads.
type route struct {
	kind    routeKind
	indexed // empty for unknown devices
}

// errStale says that the device is no longer under its topic.
var errStale = errors.New("the device is no longer under its topic")

// check compares what the index said with the registry.
func (r route) check(p statehouse.Pending) error {
	if device, ok := p.Device(r.device); !ok || device.GetTopic() != r.topic {
		return errStale
	}
	return nil
}

// route reads the part of a topic after the base. Names may contain slashes, and even end in "/set": a device of exactly
// that name goes before a meaning of its last word.
func (ix *topicIndex) route(name string) route {
	if id, ok := ix.devices[name]; ok {
		return route{routeReport, id}
	}
	// The longest name that is a device's.
	for end := strings.LastIndexByte(name, '/'); end > 0; end = strings.LastIndexByte(name[:end], '/') {
		if id, ok := ix.devices[name[:end]]; ok {
			return route{suffixKind(name[end+1:]), id}
		}
	}
	if kind := suffixKind(name[strings.LastIndexByte(name, '/')+1:]); kind == routeCommand && strings.Contains(name, "/") {
		return route{kind: kind} // nobody waits for what is asked of a device
	}
	return route{}
}

func suffixKind(suffix string) routeKind {
	words := strings.Split(suffix, "/")
	last := words[len(words)-1]
	switch {
	case suffix == "availability":
		return routeAvailability
	case suffix == "action":
		return routeAction
	case words[0] == "set" || words[0] == "get" || last == "set" || last == "get":
		return routeCommand
	case len(words) == 3 && (words[1] == "set" || words[1] == "get"):
		return routeCommand // …/left/set/state
	default:
		return routeCopy
	}
}

// topics is the index; it is read from the registry where there is none.
func (d *Dialect) topics(ctx context.Context) (*topicIndex, error) {
	if ix := d.index.Load(); ix != nil {
		return ix, nil
	}
	d.bridge.Lock()
	defer d.bridge.Unlock()
	return d.topicsLocked(ctx)
}

// topicsLocked is topics for who holds bridge.
func (d *Dialect) topicsLocked(ctx context.Context) (*topicIndex, error) {
	if ix := d.index.Load(); ix != nil {
		return ix, nil
	}
	var devices []*entityv1.Device
	_, err := d.House().Decide(ctx, func(p statehouse.Pending) ([]eventstore.Event, error) {
		devices = p.Devices(d.Source())
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	d.heard.forget(devices)
	ix := &topicIndex{devices: make(map[string]indexed, len(devices))}
	for _, device := range devices {
		name, ok := strings.CutPrefix(device.GetTopic(), d.opts.BaseTopic+"/")
		if _, taken := ix.devices[name]; !ok || taken || device.GetId() == d.bridgeID {
			continue
		}
		ix.devices[name] = indexed{device.GetId(), device.GetTopic()}
	}
	d.index.Store(ix)
	return ix, nil
}
