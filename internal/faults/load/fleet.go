package load

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// Fleet is devices with sensors. Its messages are numbered from 1: the first one is the list of the devices, each later one
// a device's report that every one of its sensors has the message's number as its value. The number is the MQTT packet
// id as well.
type Fleet struct {
	// Devices is their number; each has a connection of its own. Sensors is how many each has.
	Devices, Sensors int
}

// MaxMessages is how many numbers there are.
const MaxMessages = 65535

// List is the number of the message that lists the devices.
const List = 1

// base is the topic below which everything is published.
const base = "zigbee2mqtt"

// device says whose a message is.
func (f Fleet) device(n int) int { return n % f.Devices }

// Device is the name of the device that a message is from.
func (f Fleet) Device(n int) string { return fmt.Sprintf("device_%d", f.device(n)) }

// Topic is what a message is published to; Retained says whether it is to be retained.
func (f Fleet) Topic(n int) string {
	if n == List {
		return base + "/bridge/devices"
	}
	return base + "/" + f.Device(n)
}

// Retained says whether a message is to be retained: the reports of every other device are.
func (f Fleet) Retained(n int) bool { return n == List || f.device(n)%2 == 0 }

// Property is the name of a device's i-th property.
func (f Fleet) Property(i int) string { return fmt.Sprintf("value_%d", i) }

// Payload is what a message says.
func (f Fleet) Payload(n int) []byte {
	var message any
	if n == List {
		message = f.list()
	} else {
		values := map[string]int{}
		for i := range f.Sensors {
			values[f.Property(i)] = n
		}
		message = values
	}
	text, err := json.Marshal(message)
	if err != nil {
		panic(err) // maps of numbers and texts
	}
	return text
}

// list is what the bridge says of its devices.
func (f Fleet) list() any {
	type object map[string]any
	devices := []object{{
		"type": "Coordinator", "friendly_name": "Coordinator", "ieee_address": "0x00124b0000000001", "supported": true,
		"interview_completed": true,
	}}
	for d := range f.Devices {
		var exposes []object
		for i := range f.Sensors {
			exposes = append(exposes, object{
				"type": "numeric", "name": f.Property(i), "property": f.Property(i), "label": f.Property(i), "access": 1,
			})
		}
		devices = append(devices, object{
			"type": "EndDevice", "friendly_name": f.Device(d), "ieee_address": fmt.Sprintf("0x00158d00%08x", d+1), "supported": true,
			"interview_completed": true, "definition": object{"model": "T1", "vendor": "Acme", "description": "test", "exposes": exposes},
		})
	}
	return devices
}

// Play publishes messages, each device's over its own connection and one after another, and returns when all were
// acknowledged, or with the first error. Window is how many of a device may be under way. acked, which may be nil, is told
// of each acknowledgement that was read, by several goroutines at once.
func (f Fleet) Play(ctx context.Context, url string, first, last, window int, acked func(n int)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if acked == nil {
		acked = func(int) {}
	}
	if first == List {
		if err := f.play(ctx, url, []int{List}, 1, acked); err != nil {
			return err
		}
		first++
	}
	var wg sync.WaitGroup
	for d := range f.Devices {
		var mine []int
		for n := first; n <= last; n++ {
			if f.device(n) == d {
				mine = append(mine, n)
			}
		}
		wg.Go(func() {
			if err := f.play(ctx, url, mine, window, acked); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// patience is how long an acknowledgement may take, traced as the program is.
const patience = 30 * time.Second

// play publishes messages over one connection.
func (f Fleet) play(ctx context.Context, url string, messages []int, window int, acked func(n int)) error {
	if len(messages) == 0 {
		return nil
	}
	link, err := client.Endpoint{URL: url}.Link(ctx, &packets.Connect{CleanStart: true, KeepAlive: 300, Properties: &packets.Properties{}}, 64<<10)
	if err != nil {
		return err
	}
	defer func() { _ = link.Close() }()
	defer context.AfterFunc(ctx, link.Interrupt)()
	for sent, done := 0, 0; done < len(messages); {
		for ; sent < len(messages) && sent-done < window; sent++ {
			if err := link.Write(f.packet(messages[sent])); err != nil {
				return fmt.Errorf("message %d: %w", messages[sent], err)
			}
		}
		p, err := link.Read(patience)
		if err != nil {
			return fmt.Errorf("acknowledgement of message %d: %w", messages[done], err)
		}
		ack, ok := p.Content.(*packets.Puback)
		if !ok {
			return fmt.Errorf("message %d: the answer is a packet of type %d", messages[done], p.Type)
		}
		if ack.ReasonCode >= 0x80 {
			return fmt.Errorf("message %d was refused with code %#x", ack.PacketID, ack.ReasonCode)
		}
		acked(int(ack.PacketID))
		done++
	}
	return nil
}

func (f Fleet) packet(n int) *packets.Publish {
	return &packets.Publish{
		Topic: f.Topic(n), Payload: f.Payload(n), QoS: 1, Retain: f.Retained(n), PacketID: uint16(n), Properties: &packets.Properties{},
	}
}
