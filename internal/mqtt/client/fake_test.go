package client_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// fake is a broker that does what a test wants: it greets, grants subscriptions, and has everything else to the test.
type fake struct {
	t     testing.TB
	ln    net.Listener
	hail  packets.Properties
	grant func(sub *packets.Subscribe) []byte                // the codes of a SUBACK, nil for none; without it all are granted
	leave func(unsub *packets.Unsubscribe) []byte            // the same for an UNSUBACK
	knows bool                                               // whether it says that it knows the session
	born  func(p *peer)                                      // is told when a client has said that it is online, nil for nobody
	got   func(p *peer, pk *packets.ControlPacket) (on bool) // what else came; false ends the connection
	done  sync.WaitGroup

	mu         sync.Mutex // guards what follows
	subscribed [][]string // the filters of each SUBSCRIBE of the last connection; with a minus, those of each UNSUBSCRIBE
	peers      []*peer
}

// peer is one connection of a fake.
type peer struct {
	nc net.Conn
	mu sync.Mutex
}

type writerTo interface {
	WriteTo(io.Writer) (int64, error)
}

func (p *peer) send(pk writerTo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = pk.WriteTo(p.nc)
}

// ack answers a PUBLISH.
func (p *peer) ack(id uint16, code byte, reason string) {
	p.send(&packets.Puback{PacketID: id, ReasonCode: code, Properties: &packets.Properties{ReasonString: reason}})
}

// start serves until the test ends.
func (f *fake) start(t testing.TB) client.Endpoint {
	t.Helper()
	f.t = t
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.ln = ln
	f.done.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			f.done.Go(func() { f.serve(&peer{nc: nc}) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		f.cut()
		f.done.Wait()
	})
	return client.Endpoint{URL: "mqtt://" + ln.Addr().String()}
}

// cut cuts all connections.
func (f *fake) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.peers {
		_ = p.nc.Close()
	}
	f.peers = nil
}

func (f *fake) filters() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.subscribed {
		all = append(all, s...)
	}
	return all
}

// serve is one connection.
func (f *fake) serve(p *peer) {
	defer func() { _ = p.nc.Close() }()
	_ = p.nc.(*net.TCPConn).SetReadBuffer(64 << 10) // so that what it does not read waits at the client
	f.mu.Lock()
	f.subscribed = nil
	f.peers = append(f.peers, p)
	f.mu.Unlock()
	for {
		pk, err := packets.ReadPacket(p.nc)
		if err != nil {
			return
		}
		switch c := pk.Content.(type) {
		case *packets.Connect:
			hail := f.hail
			p.send(&packets.Connack{SessionPresent: f.knows, Properties: &hail})
			continue
		case *packets.Subscribe:
			var filters []string
			for _, o := range c.Subscriptions {
				filters = append(filters, o.Topic)
			}
			f.mu.Lock()
			f.subscribed = append(f.subscribed, filters)
			f.mu.Unlock()
			codes := make([]byte, len(filters))
			for i := range codes {
				codes[i] = 1
			}
			if f.grant != nil {
				codes = f.grant(c)
			}
			if codes != nil {
				p.send(&packets.Suback{PacketID: c.PacketID, Reasons: codes, Properties: &packets.Properties{}})
			}
			continue
		case *packets.Unsubscribe:
			var filters []string
			for _, topic := range c.Topics {
				filters = append(filters, "-"+topic)
			}
			f.mu.Lock()
			f.subscribed = append(f.subscribed, filters)
			f.mu.Unlock()
			codes := make([]byte, len(filters))
			if f.leave != nil {
				codes = f.leave(c)
			}
			if codes != nil {
				p.send(&packets.Unsuback{PacketID: c.PacketID, Reasons: codes, Properties: &packets.Properties{}})
			}
			continue
		case *packets.Pingreq:
			p.send(&packets.Pingresp{})
			continue
		case *packets.Disconnect:
			return
		case *packets.Publish:
			if c.Topic == "statehouse/status" {
				if c.QoS > 0 {
					p.ack(c.PacketID, 0, "")
				}
				if f.born != nil {
					f.born(p)
				}
				continue
			}
		}
		if f.got == nil || !f.got(p, pk) {
			return
		}
	}
}
