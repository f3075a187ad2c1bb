package broker_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// A house of 56,000 retained messages of 500 bytes each, as MQTT discovery has 40,000 entities.
const (
	houseDevices  = 8000
	houseEntities = 5 // per device
	houseRetained = houseDevices * (houseEntities + 2)
)

// fillHouse retains the messages of a house.
func fillHouse(t testing.TB, b *broker.Broker) {
	payload := []byte(strings.Repeat("x", 500))
	topics := make(chan string)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for topic := range topics {
				if err := b.Publish(context.Background(), topic, payload, 1, true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for d := range houseDevices {
		topics <- fmt.Sprintf("zigbee2mqtt/device_%d", d)
		topics <- fmt.Sprintf("zigbee2mqtt/device_%d/availability", d)
		for e := range houseEntities {
			topics <- fmt.Sprintf("homeassistant/sensor/device_%d/entity_%d/config", d, e)
		}
	}
	close(topics)
	wg.Wait()
}

// resident is what the kernel says of the memory of this process.
func resident(field string) float64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 64)
			return kib * 1024
		}
	}
	return 0
}

func liveHeap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkRestart is a start on a house's file, and what it costs: live heap, and mapped pages of the file after all was read once.
func BenchmarkRestart(b *testing.B) {
	path := dataPath(b)
	br := start(b, broker.Options{DataPath: path})
	fillHouse(b, br)
	var heap, mapped float64
	for b.Loop() {
		b.StopTimer()
		if err := br.Close(); err != nil {
			b.Fatal(err)
		}
		before, files := liveHeap(), resident("RssFile")
		b.StartTimer()
		br = start(b, broker.Options{DataPath: path})
		b.StopTimer()
		n := 0
		for range br.Retained("#") {
			n++
		}
		if n != houseRetained {
			b.Fatalf("%d retained", n)
		}
		heap += liveHeap() - before
		mapped += resident("RssFile") - files
		b.StartTimer()
	}
	b.ReportMetric(heap/float64(b.N)/houseRetained, "heap-B/msg")
	b.ReportMetric(heap/float64(b.N)/1e6, "heap-MB")
	b.ReportMetric(mapped/float64(b.N)/1e6, "mapped-MB")
}

// BenchmarkSubscribe is the time from SUBSCRIBE until everything that is retained for it was read, in a house.
func BenchmarkSubscribe(b *testing.B) {
	br := start(b, broker.Options{DataPath: dataPath(b)})
	fillHouse(b, br)
	for filter, n := range map[string]int{"homeassistant/#": houseDevices * houseEntities, "+/device_7/availability": 1,
		"zigbee2mqtt/+/availability": houseDevices, "zigbee2mqtt/device_7": 1, "#": houseRetained, "+/nothing": 0} {
		b.Run(strings.ReplaceAll(filter, "/", "|"), func(b *testing.B) {
			s := dial(b, br)
			s.join(hello{version: 4, id: "s"})
			b.ReportAllocs()
			for b.Loop() {
				if code := s.subscribe(1, filter, 0); code != 0 {
					b.Fatalf("SUBACK %#x", code)
				}
				for range n {
					s.expect(tPublish)
				}
				s.send(packet(tPingreq << 4))
				s.expect(tPingresp)
			}
		})
	}
}

// BenchmarkRetainedWalk is what a filter costs beside the sending.
func BenchmarkRetainedWalk(b *testing.B) {
	br := start(b, broker.Options{DataPath: dataPath(b)})
	fillHouse(b, br)
	for _, filter := range []string{"homeassistant/#", "+/device_7/availability", "+/+/availability", "zigbee2mqtt/device_7", "+/nothing"} {
		b.Run(strings.ReplaceAll(filter, "/", "|"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for range br.Retained(filter) {
				}
			}
		})
	}
}

// taker is a handler that does nothing.
type taker struct{}

func (taker) Filters() []string                          { return []string{"#"} }
func (taker) Handle(context.Context, mqtt.Message) error { return nil }

// BenchmarkPublish is QoS 1 messages of 16 clients to a handler: each client with one or 32 under way, with and without somebody subscribed
// to something else, and retained.
func BenchmarkPublish(b *testing.B) {
	for _, c := range []struct {
		name   string
		window int
		filter string
		flags  byte
	}{{"one", 1, "", 0}, {"many", 32, "", 0}, {"beside", 32, "zigbee2mqtt/+/set", 0}, {"retained", 32, "", retain}} {
		b.Run(c.name, func(b *testing.B) {
			br := start(b, broker.Options{DataPath: dataPath(b), Handler: taker{}})
			if c.filter != "" {
				s := dial(b, br)
				s.join(hello{version: 4, id: "s", keepalive: 600})
				s.subscribe(1, c.filter, 1)
			}
			b.ReportAllocs()
			publishFrom(b, br, 16, b.N, c.window, c.flags)
		})
	}
}

// publishFrom has clients publish n messages together.
func publishFrom(b *testing.B, br *broker.Broker, clients, n, window int, flags byte) {
	payload := []byte(`{"battery":100,"humidity":51.3,"linkquality":120,"temperature":21.4,"voltage":3000}`)
	var wg sync.WaitGroup
	for i := range clients {
		c, err := net.DialTimeout("tcp", br.Addr().String(), time.Second)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		w := &wire{t: b, c: c, r: bufio.NewReader(c)}
		w.join(hello{version: 4, id: fmt.Sprint("p", i), keepalive: 600})
		_ = c.SetDeadline(time.Time{})
		free := make(chan struct{}, window)
		share := n/clients + 1
		wg.Go(func() {
			message := packet(tPublish<<4|2|flags, str(fmt.Sprintf("zigbee2mqtt/device_%d", i)), []byte{0, 0}, payload)
			at := len(message) - len(payload) - 2
			for k := range share {
				free <- struct{}{}
				binary.BigEndian.PutUint16(message[at:], uint16(k%60000+1))
				if _, err := c.Write(message); err != nil {
					b.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			ack := make([]byte, 4)
			for range share {
				if _, err := io.ReadFull(w.r, ack); err != nil || ack[0] != tPuback<<4 {
					b.Errorf("PUBACK: % x, %v", ack, err)
					return
				}
				<-free
			}
		})
	}
	wg.Wait()
}

// BenchmarkDeliver is messages from the daemon to subscribers who acknowledge at once.
func BenchmarkDeliver(b *testing.B) {
	payload := []byte(`{"battery":100,"humidity":51.3,"linkquality":120,"temperature":21.4,"voltage":3000}`)
	for _, c := range []struct {
		subscribers int
		qos         byte
	}{{1, 0}, {1, 1}, {20, 0}, {20, 1}} {
		b.Run(fmt.Sprintf("%d/qos%d", c.subscribers, c.qos), func(b *testing.B) {
			br := start(b, broker.Options{Limits: broker.Limits{MaxQueued: 60000}})
			var taking sync.WaitGroup
			for i := range c.subscribers {
				w := dial(b, br)
				w.join(hello{version: 5, id: fmt.Sprint("s", i), keepalive: 600})
				w.subscribe(1, "zigbee2mqtt/#", c.qos)
				taking.Go(func() {
					for range b.N {
						first, body, err := w.read(20 * time.Second)
						if err != nil {
							b.Error(err)
							return
						}
						if m := w.decode(first, body); m.qos > 0 {
							w.idPacket(tPuback, m.id)
						}
					}
				})
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if err := br.Publish(context.Background(), "zigbee2mqtt/device_7", payload, 1, false); err != nil {
					b.Fatal(err)
				}
			}
			taking.Wait()
		})
	}
}
