package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// What listening needs of a connection.
const (
	listenKeepAlive = 30 * time.Second
	listenPacket    = 33 << 20 // as [Options].MaxPacket
)

// Listen connects under a random client id, without a will and with a session that ends with the connection, and hands
// every message that matches the filters to take, one after another, until ctx is done or something fails: the connection, or
// take. Nothing is published or acknowledged, and the connection is not made again. connected is called when the broker has
// granted the filters. The error is never nil.
func Listen(ctx context.Context, e Endpoint, filters []string, connected func(), take func(mqtt.Message) error) error {
	if err := e.Check(); err != nil {
		return fmt.Errorf("mqtt client: %w", err)
	}
	if len(filters) == 0 {
		return errors.New("mqtt client: no filters are given: there is nothing to subscribe to")
	}
	sub := &packets.Subscribe{PacketID: 1, Properties: &packets.Properties{}}
	for _, f := range filters {
		if err := mqtt.ValidFilter(f); err != nil {
			return fmt.Errorf("mqtt client: %w", err)
		}
		sub.Subscriptions = append(sub.Subscriptions, packets.SubOptions{Topic: f})
	}
	link, err := e.Link(ctx, &packets.Connect{ClientID: "statehouse-" + rand.Text()[:12], CleanStart: true,
		KeepAlive: uint16(listenKeepAlive / time.Second), Properties: &packets.Properties{}}, listenPacket)
	if err != nil {
		return err
	}
	every := keepAlive(listenKeepAlive, link.Hail)
	var wg sync.WaitGroup
	live, end := context.WithCancel(ctx)
	stop := context.AfterFunc(live, link.Interrupt)
	wg.Go(func() { ping(live, link, every) })
	if err = link.Write(sub); err == nil {
		err = listen(ctx, link, filters, every*3/2, connected, take)
	}
	end()
	stop()
	wg.Wait()
	_ = link.Write(&packets.Disconnect{Properties: &packets.Properties{}}) // a goodbye, if it still gets there
	_ = link.Close()
	return err
}

// listen reads until something ends it.
func listen(ctx context.Context, link *Link, filters []string, wait time.Duration, connected func(), take func(mqtt.Message) error) error {
	for {
		pk, err := link.Read(wait)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("mqtt client: read: %w", err)
		}
		switch p := pk.Content.(type) {
		case *packets.Publish:
			if err := mqtt.ValidTopic(p.Topic); err != nil {
				return fmt.Errorf("mqtt client: the broker sent: %w", err)
			}
			if err := take(mqtt.Message{Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Retained: p.Retain, ReceivedAt: mqtt.Now()}); err != nil {
				return err
			}
		case *packets.Suback:
			if len(p.Reasons) != len(filters) {
				return errors.New("mqtt client: the broker's SUBACK does not fit the SUBSCRIBE")
			}
			for i, code := range p.Reasons {
				if code >= 0x80 {
					return fmt.Errorf("mqtt client: the broker refused the subscription to %q (code %#x) %s: allow it there",
						filters[i], code, meaning(code, p.Properties.ReasonString))
				}
			}
			connected()
		case *packets.Disconnect:
			return goodbye(p)
		case *packets.Pingresp:
		default:
			return fmt.Errorf("mqtt client: the broker sent a packet of type %d", pk.Type)
		}
	}
}
