package broker_test

import (
	"bytes"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// many is as often what fits into so many bytes.
func many(what []byte, size int) []byte { return bytes.Repeat(what, size/len(what)) }

// TestCostOfPackets: what a packet has the broker allocate is bounded, however it is filled: one that would cost more is not decoded. Nearly
// all of what is allowed below is the packet itself, which the library has twice.
func TestCostOfPackets(t *testing.T) {
	const huge = 32 << 20
	id := []byte{0, 1}
	empty := userProperty("", "")
	filters := func(n int) []byte { return bytes.Repeat(append(str("a"), 0), n) }
	connect := func(flags byte, props []byte, rest ...[]byte) []byte {
		return packet(tConnect<<4, append([][]byte{str("MQTT"), {5, flags, 0, 60}, sized(props)}, rest...)...)
	}
	long := str(strings.Repeat("x", 65_535))
	for name, c := range map[string]struct {
		version byte // 0: the packet is the first one
		packet  []byte
		most    int // KiB allocated, by the test's own end too
		ended   bool
	}{
		"SUBSCRIBE, filters without end":    {4, packet(tSubscribe<<4|2, id, many(filters(1), huge)), 256, true},
		"SUBSCRIBE, filters up to 1 MiB":    {4, packet(tSubscribe<<4|2, id, many(filters(1), 1<<20)), 256, true},
		"SUBSCRIBE, one too many":           {4, packet(tSubscribe<<4|2, id, filters(1001)), 256, true},
		"SUBSCRIBE, as many as there may":   {4, packet(tSubscribe<<4|2, id, filters(1000)), 2048, false},
		"SUBSCRIBE, long filters":           {4, packet(tSubscribe<<4|2, id, many(append(long, 0), huge)), 256, true},
		"SUBSCRIBE, long filters to 1 MiB":  {4, packet(tSubscribe<<4|2, id, many(append(long, 0), 1<<20)), 6144, false},
		"SUBSCRIBE, properties":             {5, packet(tSubscribe<<4|2, id, sized(many(empty, 1<<20)), filters(1)), 256, true},
		"SUBSCRIBE, as many properties":     {5, packet(tSubscribe<<4|2, id, sized(many(empty, 32<<10)), filters(1)), 2048, false},
		"UNSUBSCRIBE, filters without end":  {4, packet(tUnsubscribe<<4|2, id, many(str("a"), huge)), 256, true},
		"UNSUBSCRIBE, filters up to 1 MiB":  {5, packet(tUnsubscribe<<4|2, id, []byte{0}, many(str("a"), 1<<20)), 256, true},
		"UNSUBSCRIBE, as many as there may": {4, packet(tUnsubscribe<<4|2, id, bytes.Repeat(str("a"), 1000)), 2048, false},
		"PUBLISH, properties without end":   {5, packet(tPublish<<4|2, str("a"), id, sized(many(empty, huge))), 256, true},
		"PUBLISH, as many properties":       {5, packet(tPublish<<4|2, str("a"), id, sized(many(empty, 190<<10))), 8192, false},
		"PUBLISH, subscription identifiers": {5, packet(tPublish<<4|2, str("a"), id, sized(many([]byte{11, 1}, 190<<10))), 16384, true},
		"PUBLISH, payload":                  {4, packet(tPublish<<4|2, str("a"), id, make([]byte, huge)), 3*huge>>10 + 1024, false},
		"CONNECT, without end":              {0, connect(2, nil, long, many(long, huge)), 256, true},
		"CONNECT, properties":               {0, connect(2, many(empty, 300<<10), str("c")), 256, true},
		"CONNECT, as many properties":       {0, connect(2, many(empty, 32<<10), str("c")), 2048, false},
		"CONNECT, properties of a will":     {0, connect(6, nil, str("c"), sized(many(empty, 300<<10)), str("w"), str("x")), 256, true},
		"CONNECT, as many of a will":        {0, connect(6, nil, str("c"), sized(many(empty, 32<<10)), str("w"), str("x")), 2048, false},
		"CONNECT, strings":                  {0, connect(0xc6, nil, str("c"), []byte{0}, str("w"), long, long, long), 4096, false},
		"CONNECT, the second":               {5, connect(2, many(empty, 300<<10), str("c")), 256, true},
		"AUTH, without end":                 {5, packet(15<<4, []byte{0x18}, sized(many(empty, huge))), 256, true},
		"AUTH, properties":                  {5, packet(15<<4, []byte{0x18}, sized(many(empty, 60<<10))), 4096, true},
		"PUBACK, properties":                {5, packet(tPuback<<4, id, []byte{0}, sized(many(empty, 60<<10))), 4096, false},
		"PUBREC, properties":                {5, packet(tPubrec<<4, id, []byte{0}, sized(many(empty, 60<<10))), 4096, false},
		"PUBREL, without end":               {5, packet(tPubrel<<4|2, id, []byte{0}, sized(many(empty, huge))), 256, true},
		"DISCONNECT, properties":            {5, packet(tDisconnect<<4, []byte{0}, sized(many(empty, 60<<10))), 4096, true},
		"SUBACK, codes":                     {4, packet(tSuback<<4, id, make([]byte, 60<<10)), 2048, true},
		"PINGREQ, without end":              {4, packet(tPingreq<<4, make([]byte, huge)), 256, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, broker.Options{})
			w := dial(t, b)
			if c.version > 0 {
				w.join(hello{version: c.version, id: "c"})
			}
			all := slices.Concat(c.packet, []byte{tPingreq << 4, 0})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			w.send(all)
			ended := false
			for first := byte(0); first>>4 != tPingresp && !ended; {
				var err error
				if first, _, err = w.read(10 * time.Second); err != nil {
					ended = true
				}
			}
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			cost := int(after.TotalAlloc-before.TotalAlloc) >> 10
			t.Logf("%d bytes cost %d KiB and %s", len(c.packet), cost, took)
			if ended != c.ended {
				t.Errorf("the connection ended: %v, want %v", ended, c.ended)
			}
			if cost > c.most {
				t.Errorf("%d KiB were allocated, at most %d may be", cost, c.most)
			}
		})
	}
}
