package clients

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/faults"
)

func bytesReader(b []byte) io.Reader { return bytes.NewReader(b) }

// visitor is a kind of hostile client.
type visitor struct {
	name  string
	visit func(v *visit)
}

var visitors = []visitor{
	{"half an HTTP request", func(v *visit) { v.send(v.p.HTTP, "GET /v1/states HTTP/1.1\r\nHost: local") }},
	{"half an HTTP body", func(v *visit) {
		v.send(v.p.HTTP, "PUT /v1/areas/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n{")
	}},
	{"stuck streams", func(v *visit) {
		path := []string{"/v1/changes", "/v1/events?follow=1", "/v1/events"}[v.rand.IntN(3)]
		token, _ := v.p.Token()
		v.send(v.p.HTTP, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+token+"\r\n\r\n")
	}},
	{"HTTP garbage", func(v *visit) { v.send(v.p.HTTP, v.noise(4000)) }},
	{"large HTTP heads", func(v *visit) {
		v.send(v.p.HTTP, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 1<<20))
	}},
	{"guessed tokens", func(v *visit) {
		v.send(v.p.HTTP, strings.Repeat("GET /v1/states HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+v.noiseOf("abc234", 60)+"\r\n\r\n", 200))
	}},
	{"HTTP/2 streams", func(v *visit) {
		// A preface, settings, and the heads of requests that never end.
		frames := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
		for i := range 500 {
			frames += "\x00\x00\x03\x01\x04\x00\x00" + string([]byte{byte((2*i + 1) >> 8), byte(2*i + 1)}) + "\x82\x86\x84"
		}
		v.send(v.p.HTTP, frames)
	}},
	{"half a WebSocket", func(v *visit) { v.send(v.p.HTTP, upgrade) }},
	{"WebSocket garbage", func(v *visit) { v.send(v.p.HTTP, upgrade+v.noise(4000)) }},
	{"claimed WebSocket lengths", func(v *visit) { v.send(v.p.HTTP, upgrade+"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xffmaskx") }},
	{"stuck WebSockets", func(v *visit) {
		token, _ := v.p.Token()
		text := upgrade + frame(`{"type":"auth","access_token":"`+token+`"}`)
		for id := range 50 {
			text += frame(fmt.Sprintf(`{"id":%d,"type":"%s"}`, id+1, []string{"get_states", "subscribe_events", "subscribe_entities"}[id%3]))
		}
		v.send(v.p.HTTP, text)
	}},
	{"large calls", func(v *visit) {
		v.send(v.p.HTTP, "POST /statehouse.v1.LogService/Append HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n"+
			strings.Repeat("[", 1<<20))
	}},
	{"idle HTTP floods", func(v *visit) { v.flood(v.p.HTTP) }},
	{"idle MQTT floods", func(v *visit) { v.flood(v.p.MQTT) }},
	{"half an MQTT packet", func(v *visit) { v.send(v.p.MQTT, "\x10\x20\x00\x04MQ") }},
	{"MQTT garbage", func(v *visit) { v.send(v.p.MQTT, v.connect()+v.noise(4000)) }},
	{"claimed lengths", func(v *visit) { v.send(v.p.MQTT, v.connect()+"\x30\xff\xff\xff\x0f\x00\x01a") }},
	{"huge claimed lengths", func(v *visit) { v.send(v.p.MQTT, v.connect()+"\x30\xff\xff\xff\x7f") }},
	{"stuck MQTT subscribers", func(v *visit) { v.send(v.p.MQTT, v.connect()+"\x82\x06\x00\x01\x00\x01#\x01") }},
	{"messages of nobody", func(v *visit) {
		v.publish(func(c *faults.Publisher) {
			for i := range 200 {
				c.Add(fmt.Sprintf("zigbee2mqtt/nobody%d", v.rand.IntN(100_000)), faults.ReportOf(i), false)
			}
		})
	}},
	{"huge messages", func(v *visit) {
		v.publish(func(c *faults.Publisher) {
			c.Add("zigbee2mqtt/nobody", `{"x":"`+strings.Repeat("x", 4<<20)+`"}`, false)
			c.Add("zigbee2mqtt/bridge/info", strings.Repeat("[", 1<<20), false)
		})
	}},
	{"floods of groups", func(v *visit) {
		var groups []string
		for range 200 {
			groups = append(groups, fmt.Sprintf(`{"id":%d,"friendly_name":"g%d","members":[]}`, v.rand.IntN(1<<30), v.rand.IntN(1<<30)))
		}
		v.publish(func(c *faults.Publisher) {
			c.Add("zigbee2mqtt/bridge/groups", "["+strings.Join(groups, ",")+"]", false)
		})
	}},
	{"stolen client ids", func(v *visit) {
		for range 5 {
			v.send(v.p.MQTT, v.connect())
		}
	}},
}

// upgrade asks for a WebSocket.
const upgrade = "GET /api/websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// frame is a message of text on a WebSocket, masked with zeros.
func frame(text string) string {
	length := string([]byte{0x80 | byte(len(text))})
	if len(text) > 125 {
		length = string([]byte{0x80 | 126, byte(len(text) >> 8), byte(len(text))})
	}
	return "\x81" + length + "\x00\x00\x00\x00" + text
}

// connect is a CONNECT with a keepalive of never, under one of a few names.
func (v *visit) connect() string {
	body := "\x00\x04MQTT\x04\x02\x00\x00\x00\x02h" + string(rune('a'+v.rand.IntN(8)))
	return string(faults.Packet(0x10, []byte(body)))
}

func (v *visit) noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(v.rand.Uint32())
	}
	return string(b)
}

// noiseOf is so many of some characters.
func (v *visit) noiseOf(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[v.rand.IntN(len(alphabet))]
	}
	return string(b)
}

// send sends something, stays for a moment without reading an answer, and leaves.
func (v *visit) send(addr, text string) {
	c := v.dial(addr)
	if c == nil {
		return
	}
	_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(c, text) // it may be cut off
	v.stay()
	v.leave(c)
}

// flood opens many connections and says nothing.
func (v *visit) flood(addr string) {
	var all []net.Conn
	for range 30 {
		if c := v.dial(addr); c != nil {
			all = append(all, c)
		}
	}
	v.stay()
	for _, c := range all {
		v.leave(c)
	}
}

// publish publishes what it likes and leaves when that is acknowledged, or is not.
func (v *visit) publish(add func(c *faults.Publisher)) {
	c, err := faults.Dial(v.p.MQTT, fmt.Sprintf("flood%d", v.rand.Uint32()), "", "")
	if err != nil {
		return // there may be too many already
	}
	add(c)
	_ = c.Flush(func() {})
	_ = c.Close()
}
