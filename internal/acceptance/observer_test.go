//go:build acceptance

package acceptance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// observer is another client of the broker, which remembers every message.
type observer struct {
	*client.Client
	mu  sync.Mutex // guards all
	all []heard
}

type heard struct {
	topic    string
	payload  string
	retained bool
}

func startObserver(t *testing.T, url string) *observer {
	t.Helper()
	o := &observer{}
	c, err := client.New(client.Options{
		Endpoint: client.Endpoint{URL: url}, ClientID: "acceptance", StatusTopic: "acceptance/status", Handler: o,
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Client = c
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) }) // it says nothing but that it was stopped
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	until(t, "the observer is connected", o.connected)
	return o
}

func (o *observer) connected() error {
	if s := o.Status(); !s.Connected {
		return fmt.Errorf("the observer is not connected: %s", s.LastError)
	}
	return nil
}

// Filters implements [mqtt.Handler].
func (o *observer) Filters() []string { return []string{"#"} }

// Handle implements [mqtt.Handler].
func (o *observer) Handle(_ context.Context, m mqtt.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, heard{m.Topic, string(m.Payload), m.Retained})
	return nil
}

// mark is where the messages begin that come from now on.
func (o *observer) mark() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.all)
}

// since are the messages from a mark on.
func (o *observer) since(mark int) []heard {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all[mark:])
}

// last is the newest payload of a topic, empty if there is none.
func (o *observer) last(topic string) string {
	for _, m := range slices.Backward(o.since(0)) {
		if m.topic == topic {
			return m.payload
		}
	}
	return ""
}

// sets are the commands that devices were sent from a mark on, as topics and payloads.
func (o *observer) sets(mark int) (all []string) {
	for _, m := range o.since(mark) {
		if strings.HasPrefix(m.topic, "zigbee2mqtt/") && strings.HasSuffix(m.topic, "/set") {
			all = append(all, m.topic+" "+m.payload)
		}
	}
	return all
}

// said says that a device has reported some values since a mark.
func (o *observer) said(mark int, device string, values map[string]any) error {
	for _, m := range o.since(mark) {
		var report map[string]any
		if m.topic != "zigbee2mqtt/"+device || json.Unmarshal([]byte(m.payload), &report) != nil {
			continue
		}
		all := true
		for name, want := range values {
			all = all && reflect.DeepEqual(report[name], want)
		}
		if all {
			return nil
		}
	}
	return fmt.Errorf("%s has not said %v", device, values)
}

// request asks something of Zigbee2MQTT itself, and waits until it says that it did it.
func (o *observer) request(t *testing.T, name, payload string) {
	t.Helper()
	mark := o.mark()
	if err := o.Publish(t.Context(), mqtt.Publication{Topic: "zigbee2mqtt/bridge/request/" + name, Payload: []byte(payload), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	until(t, "Zigbee2MQTT did "+name, func() error {
		for _, m := range o.since(mark) {
			var response struct{ Status, Error string }
			if m.topic != "zigbee2mqtt/bridge/response/"+name {
				continue
			}
			if err := json.Unmarshal([]byte(m.payload), &response); err != nil || response.Status != "ok" {
				t.Fatalf("%s %s: %s", name, payload, m.payload)
			}
			return nil
		}
		return errors.New("no answer")
	})
}

// listed is a device as Zigbee2MQTT lists it.
type listed struct {
	Address    string `json:"ieee_address"`
	Name       string `json:"friendly_name"`
	Type       string
	Definition struct{ Exposes []expose }
}

// expose is something that a device can say or be told.
type expose struct {
	Property string
	ValueOn  any `json:"value_on"`
	ValueOff any `json:"value_off"`
	Features []expose
}

// find is what a device exposes under a property at the top of its reports.
func (d listed) find(property string) (found expose) {
	for _, e := range d.Definition.Exposes {
		for _, f := range append([]expose{e}, e.Features...) {
			if f.Property == property && len(f.Features) == 0 {
				return f
			}
		}
	}
	return expose{}
}

// devices are those that Zigbee2MQTT lists, without the coordinator, by address.
func (o *observer) devices() (map[string]listed, error) {
	var all []listed
	if err := json.Unmarshal([]byte(o.last("zigbee2mqtt/bridge/devices")), &all); err != nil {
		return nil, fmt.Errorf("zigbee2mqtt/bridge/devices: %w", err)
	}
	devices := map[string]listed{}
	for _, d := range all {
		if d.Type != "Coordinator" {
			devices[d.Address] = d
		}
	}
	return devices, nil
}

// announced are the topics of Home Assistant's discovery on which something stands, by the address in them.
func (o *observer) announced() map[string][]string {
	last := map[string]string{}
	for _, m := range o.since(0) {
		if strings.HasPrefix(m.topic, "homeassistant/") && strings.HasSuffix(m.topic, "/config") {
			last[m.topic] = m.payload
		}
	}
	topics := map[string][]string{}
	for topic, payload := range last {
		if payload != "" {
			address := strings.Split(topic, "/")[2]
			topics[address] = append(topics[address], topic)
		}
	}
	return topics
}
