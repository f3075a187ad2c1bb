package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// tool finds a program of Debian's mosquitto-clients. The test is skipped where it is not installed.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (Debian: apt-get install mosquitto-clients)", name)
	}
	return path
}

// TestMosquittoClients: the programs that everybody has work with the broker, in both versions and at every QoS.
func TestMosquittoClients(t *testing.T) {
	pub, sub := tool(t, "mosquitto_pub"), tool(t, "mosquitto_sub")
	for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
		for qos := range 3 {
			t.Run(fmt.Sprintf("%s/qos%d", version, qos), func(t *testing.T) {
				h := &recorder{}
				b := start(t, broker.Options{Handler: h, DataPath: dataPath(t)})
				host, port, _ := net.SplitHostPort(b.Addr().String())
				args := func(more ...string) []string {
					return append([]string{"-h", host, "-p", port, "-V", version, "-q", fmt.Sprint(qos)}, more...)
				}
				do := func(more ...string) {
					t.Helper()
					if out, err := exec.Command(pub, args(more...)...).CombinedOutput(); err != nil {
						t.Fatalf("mosquitto_pub: %v: %s", err, out)
					}
				}
				do("-t", "r/stored", "-m", "stored", "-r")
				eventually(t, "retained message", func() bool { return len(retained(b, "#")) == 1 && b.Stats().Connected == 0 })
				var out bytes.Buffer
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				s := exec.CommandContext(ctx, sub, args("-t", "r/#", "-t", "w/#", "-C", "4", "-F", "%t %p %r %q")...)
				s.Stdout = &out
				if err := s.Start(); err != nil {
					t.Fatal(err)
				}
				eventually(t, "subscription", func() bool { return b.Stats().Connected == 1 })
				time.Sleep(200 * time.Millisecond)
				do("-t", "r/live", "-m", "live")
				do("-t", "r/live", "-m", "kept", "-r")
				// Its will, when it is killed.
				w := exec.Command(sub, args("-t", "none", "--will-topic", "w/sub", "--will-payload", "gone", "--will-qos", fmt.Sprint(qos), "--will-retain")...)
				if err := w.Start(); err != nil {
					t.Fatal(err)
				}
				eventually(t, "second client", func() bool { return b.Stats().Connected == 2 })
				time.Sleep(100 * time.Millisecond)
				_ = w.Process.Kill()
				_ = w.Wait()
				if err := s.Wait(); err != nil {
					t.Fatalf("mosquitto_sub: %v: %s", err, out.String())
				}
				q := fmt.Sprint(qos)
				want := []string{"r/stored stored 1 " + q, "r/live live 0 " + q, "r/live kept 0 " + q, "w/sub gone 0 " + q}
				if got := strings.Split(strings.TrimSpace(out.String()), "\n"); !slices.Equal(got, want) {
					t.Errorf("received %q, want %q", got, want)
				}
				if got := h.payloads(); !slices.Equal(got, []string{"stored", "live", "kept", "gone"}) {
					t.Errorf("handled %q", got)
				}
				if got := retained(b, "#"); !slices.Equal(got, []string{"r/live=kept", "r/stored=stored", "w/sub=gone"}) {
					t.Errorf("retained %q", got)
				}
			})
		}
	}
}

// TestMosquittoSession: a session of theirs, left and taken up again.
func TestMosquittoSession(t *testing.T) {
	pub, sub := tool(t, "mosquitto_pub"), tool(t, "mosquitto_sub")
	for _, version := range []string{"mqttv311", "mqttv5"} {
		path := dataPath(t)
		b := start(t, broker.Options{DataPath: path})
		host, port, _ := net.SplitHostPort(b.Addr().String())
		session := []string{"-h", host, "-p", port, "-V", version, "-q", "1", "-c", "-i", "kept", "-t", "a"}
		if version == "mqttv5" {
			session = append(session, "-x", "3600")
		}
		if out, err := exec.Command(sub, append(session, "-E")...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for i := range 30 {
			if out, err := exec.Command(pub, "-h", host, "-p", port, "-V", version, "-q", "1", "-t", "a", "-m", fmt.Sprint(i)).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		start(t, broker.Options{DataPath: path, Address: net.JoinHostPort(host, port)})
		out, err := exec.Command(sub, append(session, "-C", "30", "-W", "10")...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var want strings.Builder
		for i := range 30 {
			fmt.Fprintln(&want, i)
		}
		if string(out) != want.String() {
			t.Errorf("%s: received %q", version, out)
		}
	}
}
