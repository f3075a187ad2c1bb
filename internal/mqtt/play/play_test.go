package play_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/client"
	"github.com/statehouse/statehouse/internal/mqtt/play"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder keeps what it is given, after what do said.
type recorder struct {
	do  func(n int, m mqtt.Message) error
	mu  sync.Mutex
	got []mqtt.Message
}

func (r *recorder) Filters() []string { return []string{"#"} }

func (r *recorder) Handle(_ context.Context, m mqtt.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.do != nil {
		if err := r.do(len(r.got), m); err != nil {
			return err
		}
	}
	m.Payload = bytes.Clone(m.Payload)
	r.got = append(r.got, m)
	return nil
}

// take returns what there is, and forgets it.
func (r *recorder) take() []mqtt.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func start(t *testing.T, opts broker.Options) (*broker.Broker, client.Endpoint) {
	t.Helper()
	opts.Address = "127.0.0.1:0"
	b, err := broker.Start(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b, client.Endpoint{URL: "mqtt://" + b.Addr().String()}
}

func file(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func numbered(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf(`{"ms":%d,"topic":"t/%d","qos":0,"retain":%v,"payload":"%d"}`, i*10, i%7, i%2 == 0, i))
	}
	return lines
}

var one, two = byte(1), byte(2)

// TestHouse plays the recorded house at QoS 1: every line arrives once, in order, and is acknowledged.
func TestHouse(t *testing.T) {
	h := &recorder{}
	_, ep := start(t, broker.Options{Handler: h})
	var acks []int
	res, err := play.Run(context.Background(), play.Options{File: "../../../testdata/zigbee2mqtt/house.jsonl.gz", Broker: ep, QoS: &one,
		Skip: []string{"zigbee2mqtt/bridge/logging"}, OnAck: func(l int) { acks = append(acks, l) }})
	if err != nil {
		t.Fatal(err)
	}
	handled := len(h.take())
	if res.Sent != res.Acked || int(res.Sent) != handled || len(acks) != handled || res.Line != 34440 || res.Skipped == 0 || res.Next != 34441 {
		t.Fatalf("%+v, %d handled, %d acknowledgements", res, handled, len(acks))
	}
	if !slices.IsSorted(acks) {
		t.Error("acknowledged out of order")
	}
}

func TestFlagsAndOrder(t *testing.T) {
	h := &recorder{}
	_, ep := start(t, broker.Options{Handler: h})
	lines := append(numbered(300), "", `{"ms":5000,"topic":"bin","qos":2,"retain":false,"payload_base64":"/wD+"}`, `{"ms":5000,"topic":"gone","qos":1,"retain":true,"payload":""}`)
	for _, qos := range []*byte{nil, &one, &two} {
		h.take()
		res, err := play.Run(context.Background(), play.Options{File: file(t, lines...), Broker: ep, QoS: qos, Window: 7})
		if err != nil {
			t.Fatal(err)
		}
		got := h.take()
		if len(got) != 302 || res.Sent != 302 {
			t.Fatalf("%d handled, %+v", len(got), res)
		}
		for i, m := range got[:300] {
			if string(m.Payload) != fmt.Sprint(i) || m.Retain != (i%2 == 0) || (qos == nil && m.QoS != 0) || (qos != nil && m.QoS != *qos) {
				t.Fatalf("message %d: %+v", i, m)
			}
		}
		if !bytes.Equal(got[300].Payload, []byte{0xff, 0, 0xfe}) || len(got[301].Payload) != 0 || !got[301].Retain {
			t.Fatalf("%+v", got[300:])
		}
	}
}

// TestUntil: what comes after the last line is not played.
func TestUntil(t *testing.T) {
	h := &recorder{}
	_, ep := start(t, broker.Options{Handler: h})
	opts := play.Options{File: file(t, numbered(10)...), Broker: ep, QoS: &one, From: 3, Until: 7}
	res, err := play.Run(context.Background(), opts)
	if got := h.take(); err != nil || res.Acked != 5 || len(got) != 5 || string(got[4].Payload) != "6" {
		t.Fatalf("%d played, %+v: %v", len(got), res, err)
	}
	opts.Until = 2
	if _, err := play.Run(context.Background(), opts); err == nil {
		t.Error("a last line before the first one")
	}
}

// TestResume: when the broker stops taking messages, the error says where, and playing on from there misses nothing.
func TestResume(t *testing.T) {
	h := &recorder{do: func(n int, _ mqtt.Message) error {
		if n == 123 {
			return errors.New("disk full")
		}
		return nil
	}}
	_, ep := start(t, broker.Options{Handler: h})
	path := file(t, numbered(300)...)
	var acks []int
	opts := play.Options{File: path, Broker: ep, QoS: &one, OnAck: func(l int) { acks = append(acks, l) }}
	res, err := play.Run(context.Background(), opts)
	// Acknowledgements that were under way when the connection ended may be missing, and then their messages come twice.
	if err == nil || !strings.Contains(err.Error(), path+":") || !strings.Contains(err.Error(), fmt.Sprintf("line %d)", res.Next)) || res.Next > 124 || len(acks) != res.Next-1 {
		t.Fatalf("%+v, %d acknowledged: %v", res, len(acks), err)
	}
	h.mu.Lock()
	h.do = nil
	h.mu.Unlock()
	opts.From = res.Next
	before := len(h.take())
	again, err := play.Run(context.Background(), opts)
	if err != nil || int(again.Acked) != 300-res.Next+1 || acks[res.Next-1] != res.Next {
		t.Fatalf("%+v: %v", again, err)
	}
	for i, m := range h.take() {
		if string(m.Payload) != fmt.Sprint(res.Next-1+i) {
			t.Fatalf("message %d is %q", i, m.Payload)
		}
	}
	if before != 123 {
		t.Errorf("%d handled before the failure", before)
	}
}

func TestBrokerKilled(t *testing.T) {
	var b *broker.Broker
	h := &recorder{do: func(n int, _ mqtt.Message) error {
		if n == 50 {
			go func() { _ = b.Close() }()
		}
		return nil
	}}
	b, ep := start(t, broker.Options{Handler: h})
	_, err := play.Run(context.Background(), play.Options{File: file(t, numbered(100_000)...), Broker: ep, QoS: &one})
	if err == nil || !strings.Contains(err.Error(), "go on from line") {
		t.Fatal(err)
	}
}

func TestPaceAndCancel(t *testing.T) {
	_, ep := start(t, broker.Options{})
	path := file(t, numbered(31)...)
	begin := time.Now()
	if _, err := play.Run(context.Background(), play.Options{File: path, Broker: ep, Speed: 2}); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d < 140*time.Millisecond || d > 2*time.Second {
		t.Errorf("300 ms at double speed took %s", d)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	res, err := play.Run(ctx, play.Options{File: path, Broker: ep, Speed: 0.1})
	if !errors.Is(err, context.DeadlineExceeded) || res.Sent < 1 || res.Sent > 5 {
		t.Errorf("%+v: %v", res, err)
	}
}

func TestStdinAndGzip(t *testing.T) {
	_, ep := start(t, broker.Options{})
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write([]byte(strings.Join(numbered(10), "\n")))
	_ = w.Close()
	var last play.Progress
	res, err := play.Run(context.Background(), play.Options{File: "-", Stdin: bytes.NewReader(z.Bytes()), Broker: ep, Progress: func(p play.Progress) { last = p }})
	if err != nil || res.Sent != 10 || last.Sent != 10 {
		t.Fatalf("%+v %+v: %v", res, last, err)
	}
	res, err = play.Run(context.Background(), play.Options{File: "-", Stdin: bytes.NewReader(z.Bytes()[:z.Len()-12]), Broker: ep})
	if err == nil || !strings.Contains(err.Error(), "standard input:") {
		t.Fatalf("a cut file: %+v: %v", res, err)
	}
}

// Whoever waits for the next line of standard input ends with the context, and with the broker.
func TestStdinThatSaysNothing(t *testing.T) {
	for what, c := range map[string]struct {
		lines []string
		ends  func(cancel context.CancelFunc, b *broker.Broker)
	}{
		"cancelled at its beginning":  {nil, func(cancel context.CancelFunc, _ *broker.Broker) { cancel() }},
		"cancelled between two lines": {numbered(1), func(cancel context.CancelFunc, _ *broker.Broker) { cancel() }},
		"the broker ends":             {numbered(1), func(_ context.CancelFunc, b *broker.Broker) { _ = b.Close() }},
	} {
		t.Run(what, func(t *testing.T) {
			rec := &recorder{}
			b, ep := start(t, broker.Options{Handler: rec})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			in, out := io.Pipe()
			defer func() { _ = out.Close() }()
			ended := make(chan error, 1)
			go func() {
				_, err := play.Run(ctx, play.Options{File: "-", Stdin: in, Broker: ep})
				ended <- err
			}()
			for _, line := range c.lines {
				if _, err := io.WriteString(out, line+"\n"); err != nil {
					t.Fatal(err)
				}
				for len(rec.take()) == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			c.ends(cancel, b)
			select {
			case err := <-ended:
				if err == nil {
					t.Error("it ends without an error")
				}
			case <-time.After(20 * time.Second):
				t.Error("it waits for the next line")
			}
		})
	}
}

// TestBadLines: an error names file and line.
func TestBadLines(t *testing.T) {
	_, ep := start(t, broker.Options{})
	good := numbered(1)[0]
	for _, bad := range []string{`{"ms":1`, `[]`, `{"ms":1,"topic":"a","payload":"x"} x`, `{"ms":1,"payload":"x"}`, `{"topic":"a","payload":"x"}`,
		`{"ms":-1,"topic":"a","payload":"x"}`, `{"ms":1e300,"topic":"a","payload":"x"}`, `{"ms":1,"topic":"a"}`, `{"ms":1,"topic":"a","payload":"x","payload_base64":""}`,
		`{"ms":1,"topic":"a","payload_base64":"*"}`, `{"ms":1,"topic":"a/#","payload":"x"}`, `{"ms":1,"topic":"","payload":"x"}`, `{"ms":1,"topic":"a","qos":3,"payload":"x"}`,
		`{"ms":1,"topic":"a","payload":"x","more":1}`, "{\"ms\":1,\"topic\":\"a\xff\",\"payload\":\"x\"}"} {
		path := file(t, good, "", bad)
		res, err := play.Run(context.Background(), play.Options{File: path, Broker: ep})
		if err == nil || !strings.Contains(err.Error(), path+":3: ") || res.Sent != 1 {
			t.Errorf("%s: %+v: %v", bad, res, err)
		}
	}
	path := file(t, good, `{"ms":1,"topic":"a","payload":"`+strings.Repeat("x", play.MaxLine)+`"}`)
	if _, err := play.Run(context.Background(), play.Options{File: path, Broker: ep}); err == nil || !strings.Contains(err.Error(), ":2: longer than") {
		t.Errorf("a long line: %.200v", err)
	}
	for _, opts := range []play.Options{{}, {File: "missing.jsonl", Broker: ep}, {File: path}, {File: path, Broker: ep, Speed: -1}, {File: path, Broker: ep, Skip: []string{"a#"}}} {
		if _, err := play.Run(context.Background(), opts); err == nil {
			t.Errorf("%+v was accepted", opts)
		}
	}
}

// TestLateAcks: a broker may answer a PINGREQ before it acknowledges what came before: all acknowledgements are waited for.
func TestLateAcks(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = nc.Close() }()
		var ids []uint16
		for {
			pk, err := packets.ReadPacket(nc)
			if err != nil {
				return
			}
			switch p := pk.Content.(type) {
			case *packets.Connect:
				_, _ = (&packets.Connack{Properties: &packets.Properties{}}).WriteTo(nc)
			case *packets.Pingreq:
				_, _ = (&packets.Pingresp{}).WriteTo(nc)
			case *packets.Publish:
				if ids = append(ids, p.PacketID); len(ids) == 5 {
					time.AfterFunc(100*time.Millisecond, func() {
						for _, id := range ids {
							_, _ = (&packets.Puback{PacketID: id, Properties: &packets.Properties{}}).WriteTo(nc)
						}
					})
				}
			}
		}
	}()
	res, err := play.Run(context.Background(), play.Options{File: file(t, numbered(5)...), Broker: client.Endpoint{URL: "mqtt://" + ln.Addr().String()}, QoS: &one})
	if err != nil || res.Acked != 5 {
		t.Errorf("%+v: %v", res, err)
	}
	_ = ln.Close()
	<-done
}

// TestRefused: what the broker refuses ends it, with the line.
func TestRefused(t *testing.T) {
	_, ep := start(t, broker.Options{Limits: broker.Limits{MaxPayload: 1000}})
	path := file(t, numbered(1)[0], `{"ms":1,"topic":"$SYS/x","payload":"x"}`, numbered(1)[0])
	res, err := play.Run(context.Background(), play.Options{File: path, Broker: ep, QoS: &one, Window: 1})
	if err == nil || !strings.Contains(err.Error(), path+":2: the broker refused") || res.Next != 2 {
		t.Errorf("%+v: %v", res, err)
	}
	path = file(t, numbered(1)[0], `{"ms":1,"topic":"big","payload":"`+strings.Repeat("x", 300_000)+`"}`)
	if _, err := play.Run(context.Background(), play.Options{File: path, Broker: ep, QoS: &one}); err == nil || !strings.Contains(err.Error(), path+":2: ") {
		t.Errorf("too large: %v", err)
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(numbered(1)[0]))
	f.Add([]byte(`{"ms":1,"topic":"a","payload_base64":"/wD+"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := play.ParseRecord(b)
		if err == nil && (mqtt.ValidTopic(r.Topic) != nil || r.QoS > 2 || r.At < 0) {
			t.Fatalf("%+v", r)
		}
	})
}
