//go:build acceptance

package hass

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/dispatch/dispatchtest"
)

// Run with: go test -tags acceptance -run Acceptance ./internal/hass. It needs node and npm.

// scripts is the folder of the scripts, with what they need installed.
func scripts(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../acceptance")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "home-assistant-js-websocket")); err == nil {
		return dir
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return dir
}

func script(t *testing.T, url string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), "node", args...)
	c.Dir, c.Stderr = scripts(t), os.Stderr
	c.Env = append(os.Environ(), "STATEHOUSE_URL="+url, "STATEHOUSE_TOKEN=reader")
	return c
}

// node is a running script that reads and writes lines.
type node struct {
	t     *testing.T
	in    io.Writer
	lines chan string
}

func startNode(t *testing.T, c *exec.Cmd) *node {
	t.Helper()
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, in: in, lines: make(chan string, 1000)}
	go func() {
		defer close(n.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			n.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		_ = c.Wait()
	})
	return n
}

// want waits for a line that begins so, and returns it; "different" is a failure.
func (n *node) want(begin string) string {
	n.t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		select {
		case line, ok := <-n.lines:
			if !ok || strings.HasPrefix(line, "different") {
				n.t.Fatalf("want %q, got %q", begin, line)
			}
			if strings.HasPrefix(line, begin) {
				return line
			}
		case <-timeout:
			n.t.Fatalf("the script says nothing; it ought to say %q", begin)
		}
	}
}

func (n *node) say(line string) {
	n.t.Helper()
	if _, err := io.WriteString(n.in, line+"\n"); err != nil {
		n.t.Fatal(err)
	}
}

// breaker passes connections on, and breaks them.
type breaker struct {
	to      string
	l       net.Listener
	mu      sync.Mutex // guards conns
	conns   map[net.Conn]bool
	passing sync.WaitGroup
}

func newBreaker(t *testing.T, to string) *breaker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &breaker{to: strings.TrimPrefix(to, "http://"), l: l, conns: map[net.Conn]bool{}}
	b.passing.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", b.to)
			if err != nil {
				_ = in.Close()
				continue
			}
			b.pass(in, out)
			b.pass(out, in)
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		b.breakAll()
		b.passing.Wait()
	})
	return b
}

func (b *breaker) pass(from, to net.Conn) {
	b.mu.Lock()
	b.conns[from] = true
	b.mu.Unlock()
	b.passing.Go(func() {
		_, _ = io.Copy(to, from)
		_, _ = from.Close(), to.Close()
		b.mu.Lock()
		delete(b.conns, from)
		b.mu.Unlock()
	})
}

func (b *breaker) breakAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		_ = c.Close()
	}
}

// What the official client makes of a house under load is the house, also when its connection breaks again and again.
func TestAcceptanceFollow(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	b := newBreaker(t, serve(t, house, everyone(), Options{}))
	n := startNode(t, script(t, "http://"+b.l.Addr().String(), "follow.mjs"))
	n.want("synced")
	r := rand.New(rand.NewPCG(7, 7))
	for round := range 6 {
		if err := load(t.Context(), house, r, 150); err != nil {
			t.Fatal(err)
		}
		n.say("check")
		t.Logf("round %d, position %d: %s", round, house.Now().Position(), n.want("equal"))
		// The client forgets nothing while it is away, so that nothing goes then.
		ctx, cancel := context.WithCancel(t.Context())
		var loading sync.WaitGroup
		loading.Go(func() {
			r := rand.New(rand.NewPCG(8, uint64(round)))
			for ctx.Err() == nil {
				if err := loadOf(t.Context(), house, r, 5, true); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
		time.Sleep(100 * time.Millisecond)
		b.breakAll()
		n.want("disconnected")
		n.want("synced")
		time.Sleep(100 * time.Millisecond)
		cancel()
		loading.Wait()
		n.say("check")
		n.want("equal")
	}
	n.say("end")
}

// The official client's calls reach devices, and their contexts lead to the commands.
func TestAcceptanceCall(t *testing.T) {
	house := newHouse(t)
	_, dispatcher := dispatchtest.New(house)
	furnished(t, house)
	url := serve(t, house, everyone(), Options{Dispatcher: func() Dispatcher { return dispatcher }})
	c := script(t, url, "call.mjs", "light.a")
	c.Env = append(c.Env, "STATEHOUSE_TOKEN=anything")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	id, ok := parseContextID(strings.TrimSpace(string(out)))
	e, err := house.Store().Event(t.Context(), id.position)
	if !ok || err != nil || e.Kind != eventstore.KindCommandIssued || e.Entity != "light.a" || e.Source != "api:anything" {
		t.Errorf("%s leads to %v, %v", out, e, err)
	}
}

// A moment of the past is to the official client what the present was then.
func TestAcceptanceFrozen(t *testing.T) {
	house := newHouse(t)
	furnish(t, house)
	url := serve(t, house, everyone(), Options{})
	r := rand.New(rand.NewPCG(5, 5))
	type moment struct{ at, states string }
	var moments []moment
	for range 3 {
		if err := load(t.Context(), house, r, 60); err != nil {
			t.Fatal(err)
		}
		states := map[string]any{}
		for _, s := range get[[]object](t, url+"/api/states", "reader") {
			states[s["entity_id"].(string)] = s
		}
		moments = append(moments, moment{fmt.Sprint("@", house.Now().Position()), string(encode(states))})
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				if err := load(t.Context(), house, r, 2); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	for _, m := range moments {
		out, err := script(t, url, "frozen.mjs", m.at).Output()
		if err != nil {
			t.Fatalf("%s: %v", m.at, err)
		}
		var got any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if string(encode(got)) != string(encode(decode[any](t, []byte(m.states)))) {
			t.Errorf("%s:\ngot  %s\nwant %s", m.at, out, m.states)
		}
	}
	close(stop)
	<-done
}
