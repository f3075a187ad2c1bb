package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// server is a mosquitto of the test's own, with a file for its sessions.
type server struct {
	t    *testing.T
	path string
	port string
	dir  string
	cmd  *exec.Cmd
}

// startMosquitto starts Debian's broker. The test is skipped where it is not installed.
func startMosquitto(t *testing.T, more string) *server {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
		if _, err := os.Stat(path); err != nil {
			t.Skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	s := &server{t: t, path: path, port: port, dir: t.TempDir()}
	if err := os.Chmod(s.dir, 0o777); err != nil { // run by root, it gives up its rights
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(s.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\nautosave_interval 1\nautosave_on_changes true\n%s\n", port, s.dir, more)
	if err := os.WriteFile(filepath.Join(s.dir, "mosquitto.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command(s.path, "-c", filepath.Join(s.dir, "mosquitto.conf"))
	var out bytes.Buffer
	s.cmd.Stderr, s.cmd.Stdout = &out, &out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "mosquitto listens", func() bool {
		nc, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err == nil {
			_ = nc.Close()
		}
		return err == nil
	})
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *server) endpoint() client.Endpoint {
	return client.Endpoint{URL: "mqtt://127.0.0.1:" + s.port}
}

// publish publishes with mosquitto's own program.
func (s *server) publish(topic, payload string, more ...string) {
	s.t.Helper()
	pub, err := exec.LookPath("mosquitto_pub")
	if err != nil {
		s.t.Skip("mosquitto_pub is not installed (Debian: apt-get install mosquitto-clients)")
	}
	args := append([]string{"-h", "127.0.0.1", "-p", s.port, "-q", "1", "-t", topic, "-m", payload}, more...)
	if out, err := exec.Command(pub, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("mosquitto_pub: %v: %s", err, out)
	}
}

// TestMosquitto: messages arrive, one that the handler did not take comes again, a client that was stopped in the middle
// gets it with its session, and a broker that was killed and started again is found again.
func TestMosquitto(t *testing.T) {
	s := startMosquitto(t, "")
	s.publish("z/stored", "stored", "-r")
	fails := 2
	h := &recorder{do: func(_ context.Context, m mqtt.Message) error {
		if string(m.Payload) == "two" && fails > 0 {
			fails--
			return errors.New("disk full")
		}
		return nil
	}}
	c, stop := run(t, client.Options{Endpoint: s.endpoint(), Handler: h})
	eventually(t, "retained message", func() bool { return len(h.payloads()) == 1 })
	s.publish("z/a", "one", "-r")
	s.publish("z/a", "two")
	s.publish("z/a", "three")
	eventually(t, "messages", func() bool { return slices.Contains(h.payloads(), "three") })
	live := func(h *recorder) (all []string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, m := range h.got {
			if !m.Retained {
				all = append(all, string(m.Payload))
			}
		}
		return slices.Compact(all)
	}
	if got := live(h); !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Fatalf("handled %q", got)
	}
	if st := c.Status(); st.Failed != 2 || !st.SessionPresent {
		t.Errorf("%+v", st)
	}

	// Killed and restarted.
	time.Sleep(1500 * time.Millisecond) // its file is written every second
	connects := c.Status().Connects
	s.kill()
	eventually(t, "disconnect", func() bool { return !c.Status().Connected })
	s.start()
	eventually(t, "reconnect", func() bool { return c.Status().Connects == connects+1 })
	s.publish("z/a", "four")
	eventually(t, "message", func() bool { return slices.Contains(h.payloads(), "four") })
	stop()

	// Stopped in the middle.
	begun := make(chan struct{}, 1)
	cut := &recorder{do: func(ctx context.Context, m mqtt.Message) error {
		if m.Retained {
			return nil
		}
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	_, stop = run(t, client.Options{Endpoint: s.endpoint(), Handler: cut})
	s.publish("z/a", "five")
	<-begun
	stop()
	s.publish("z/a", "six")
	again := &recorder{}
	run(t, client.Options{Endpoint: s.endpoint(), Handler: again})
	eventually(t, "redelivery", func() bool { return slices.Contains(again.payloads(), "six") })
	if got := live(again); !slices.Equal(got, []string{"five", "six"}) {
		t.Errorf("handled %q", got)
	}

	// The will, and the goodbye.
	sub, err := exec.LookPath("mosquitto_sub")
	if err != nil {
		t.Skip("mosquitto_sub is not installed (Debian: apt-get install mosquitto-clients)")
	}
	state := func() string {
		out, err := exec.Command(sub, "-h", "127.0.0.1", "-p", s.port, "-t", "statehouse/status", "-C", "1", "-W", "5").CombinedOutput()
		if err != nil {
			t.Fatalf("mosquitto_sub: %v: %s", err, out)
		}
		return string(bytes.TrimSpace(out))
	}
	eventually(t, "online", func() bool { return state() == "online" })
}

// TestMosquittoLargePacket: what is beyond the limit is not sent to this client, and everything else is.
func TestMosquittoLargePacket(t *testing.T) {
	s := startMosquitto(t, "")
	h := &recorder{}
	c, _ := run(t, client.Options{Endpoint: s.endpoint(), Handler: h, MaxPacket: 1000})
	eventually(t, "connection", func() bool { return c.Status().Connected })
	time.Sleep(100 * time.Millisecond)
	s.publish("z/a", string(bytes.Repeat([]byte("x"), 2000)))
	s.publish("z/a", "small")
	eventually(t, "small one", func() bool { return slices.Equal(h.payloads(), []string{"small"}) })
	if st := c.Status(); st.Connects != 1 {
		t.Errorf("%+v", st)
	}
}

// TestMosquittoPublish: mosquitto takes what the client publishes and subscribes to, topics of every kind that is let through
// among it, and has the rest of it again after it was killed.
func TestMosquittoPublish(t *testing.T) {
	s := startMosquitto(t, "max_packet_size 5000")
	h := &recorder{}
	c, _ := run(t, client.Options{Endpoint: s.endpoint(), Handler: h})
	odd := []string{"a b/ü/灯", "/", "//", strings.Repeat("/", 63), strings.Repeat("x", 1024), "a\u00a0b", "\ufeff", "\U0001f4a1", "$SYS/broker/uptime"}
	c.Subscribe(odd...)
	many := make([]string, 150)
	for i := range many {
		many[i] = fmt.Sprintf("t/%d", i)
	}
	c.Subscribe(many...)
	eventually(t, "connection", c.Connected)
	for round := range 2 {
		for _, topic := range append(odd[:len(odd)-1:len(odd)-1], many...) {
			// Retained, so that it comes whether the topic is subscribed to already or not.
			if err := c.Publish(t.Context(), mqtt.Publication{Topic: topic, Payload: []byte(fmt.Sprint(round)), QoS: 1, Retain: true}); err != nil {
				t.Fatalf("%q: %v", topic, err)
			}
		}
		eventually(t, "all messages", func() bool {
			got := map[string]bool{}
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, m := range h.got {
				if string(m.Payload) == fmt.Sprint(round) {
					got[m.Topic] = true
				}
			}
			return len(got) == len(odd)-1+len(many)
		})
		if err := c.Publish(t.Context(), mqtt.Publication{Topic: "large", Payload: make([]byte, 5000), QoS: 1}); err == nil || errors.Is(err, mqtt.ErrUnknownOutcome) {
			t.Errorf("too large: %v", err)
		}
		if st := c.Status(); st.Connects != int64(round)+1 || st.TopicsRefused != 0 || st.TopicsLeftOut != 0 {
			t.Errorf("%+v", st)
		}
		if round == 0 {
			s.kill()
			eventually(t, "disconnect", func() bool { return !c.Connected() })
			s.start()
			eventually(t, "reconnect", c.Connected)
		}
	}
}
