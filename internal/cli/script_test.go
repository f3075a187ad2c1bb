package cli

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/daemon"
	"github.com/statehouse/statehouse/internal/dispatch/dispatchtest"
	doors "github.com/statehouse/statehouse/internal/server"
	"github.com/statehouse/statehouse/storage"
)

// TestMain makes of this test binary the program "statehouse" of the scripts and of the tests that kill it.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"statehouse": func() { os.Exit(Main()) }})
}

// leakChecked runs tests and then looks for goroutines that are left.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	code := m.M.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			for key, value := range map[string]string{
				"TZ":            "UTC",
				"HOME":          env.WorkDir,
				"STATEHOUSE_DB": filepath.Join(env.WorkDir, "home.db"),
				"GORACE":        os.Getenv("GORACE"),
				// Scripts run side by side.
				"STATEHOUSE_HTTP_ADDRESS": "127.0.0.1:0",
				"STATEHOUSE_MQTT_ADDRESS": "127.0.0.1:" + freePort(env),
			} {
				env.Setenv(key, value)
			}
			env.Setenv("MQTT", "mqtt://"+env.Getenv("STATEHOUSE_MQTT_ADDRESS"))
			env.Values[deviceKey{}] = new(*dispatchtest.Devices)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"mkhouse": makeHouse, "exits": exits, "waitdaemon": waitDaemon, "sleep": sleep,
			"mkconfig": makeConfig, "sql": runSQL, "devices": runDevices,
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// nextPort is where freePort looks next. Systems hand out higher ports to who asks for any, other tests among them.
var nextPort atomic.Int32

func init() { nextPort.Store(20_000 + int32(os.Getpid()%10_000)) }

// freePort is a port that nobody listens on nor is about to, so that scripts know where their broker will be.
func freePort(env *testscript.Env) string {
	for range 1000 {
		port := strconv.Itoa(int(nextPort.Add(1)))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			if err := l.Close(); err != nil {
				env.T().Fatal(err)
			}
			return port
		}
	}
	env.T().Fatal("no port is free")
	return ""
}

// sleep lets others get ahead: sleep DURATION.
func sleep(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	time.Sleep(d)
}

// makeConfig writes a configuration with a user whose password hash is in a file: mkconfig HASH CONFIG.
func makeConfig(ts *testscript.TestScript, _ bool, args []string) {
	hash := strings.TrimSpace(ts.ReadFile(args[0]))
	text := "mqtt:\n  users:\n    - {name: joe, password_hash: " + hash + ", publish: [\"zigbee2mqtt/#\"]}\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// exits runs statehouse and wants an exit code: exits CODE ARGS…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE ARGS...")
	}
	var stdout, stderr strings.Builder
	cmd := program(context.Background(), args[1:]...)
	cmd.Dir, cmd.Env = ts.Getenv("WORK"), scriptEnv(ts)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	_, _ = ts.Stdout().Write([]byte(stdout.String()))
	_, _ = ts.Stderr().Write([]byte(stderr.String()))
	if got := cmd.ProcessState.ExitCode(); args[0] != strconv.Itoa(got) {
		ts.Fatalf("statehouse %s exits %d instead of %s: %s", strings.Join(args[1:], " "), got, args[0], stderr.String())
	}
}

// runSQL changes home.db behind everybody's back: sql STATEMENT.
func runSQL(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite", "file:"+ts.Getenv("STATEHOUSE_DB")+"?_pragma=busy_timeout(10000)")
	ts.Check(err)
	_, err = db.ExecContext(context.Background(), args[0])
	ts.Check(errors.Join(err, db.Close()))
}

type deviceKey struct{}

// runDevices serves home.db, as a daemon does, with devices in it: devices obeying|silent|broken|gone says how they take commands
// from here on.
func runDevices(ts *testscript.TestScript, _ bool, args []string) {
	devices := ts.Value(deviceKey{}).(**dispatchtest.Devices)
	if *devices == nil {
		db := ts.Getenv("STATEHOUSE_DB")
		h, err := statehouse.Open(db)
		ts.Check(err)
		d, dispatcher := dispatchtest.New(h)
		dark := &entityv1.Attributes{Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: proto.Bool(false)}}}
		_, err = h.Append(context.Background(), dispatchtest.Light("light.lamp"), dispatchtest.Entity(&entityv1.Entity{Id: "sensor.s", UniqueId: "s"}),
			dispatchtest.Entity(&entityv1.Entity{Id: "lock.door", UniqueId: "d", Capabilities: &entityv1.Capabilities{Writable: true, Readable: true}}))
		ts.Check(err)
		ts.Check(d.Report(context.Background(), "light.lamp", dark))
		ctx, cancel := context.WithCancel(context.Background())
		var expiring sync.WaitGroup
		expiring.Go(func() { dispatcher.Run(ctx) })
		s, err := doors.Start(context.Background(), doors.Options{
			House: h, Address: "127.0.0.1:0", SocketPath: daemon.SocketPath(db), Dispatcher: func() doors.Dispatcher { return dispatcher },
		})
		ts.Check(err)
		ts.Check(h.Announce(s.URL()))
		ts.Defer(func() {
			cancel()
			expiring.Wait()
			ts.Check(errors.Join(s.Close(context.Background()), h.Close()))
		})
		*devices = d
	}
	(*devices).Take(map[string]dispatchtest.Manner{
		"obeying": dispatchtest.Obeying, "silent": dispatchtest.Silent, "broken": dispatchtest.Broken, "gone": dispatchtest.Gone,
	}[args[0]])
}

// scriptEnv is the environment of a script.
func scriptEnv(ts *testscript.TestScript) []string {
	var env []string
	for _, key := range []string{"PATH", "HOME", "TZ", "WORK", "STATEHOUSE_DB", "STATEHOUSE_HTTP_ADDRESS", "STATEHOUSE_MQTT_ADDRESS",
		"STATEHOUSE_LOG_LEVEL", "STATEHOUSE_LOG_LEVL", "STATEHOUSE_CONFIG", "STATEHOUSE_MQTT_BROKER_PASSWORD"} {
		if value := ts.Getenv(key); value != "" {
			env = append(env, key+"="+value)
		}
	}
	return env
}

// waitDaemon waits until the daemon of home.db answers.
func waitDaemon(ts *testscript.TestScript, _ bool, _ []string) {
	path := ts.Getenv("STATEHOUSE_DB")
	for range 200 {
		if h, err := storage.ReadHolder(path); err == nil && h.URL != "" {
			ts.Setenv("URL", h.URL)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("no daemon came up for %s", path)
}

// makeHouse makes a small house in home.db, long ago, so that what is printed does not depend on today.
func makeHouse(ts *testscript.TestScript, _ bool, _ []string) {
	at := time.Date(2025, 1, 31, 8, 0, 0, 0, time.UTC)
	h, err := statehouse.OpenContext(context.Background(), ts.Getenv("STATEHOUSE_DB"), statehouse.Options{
		Clock: func() time.Time { at = at.Add(time.Minute); return at },
	})
	ts.Check(err)
	for _, e := range houseEvents() {
		_, err := h.Append(context.Background(), e)
		ts.Check(err)
	}
	ts.Check(h.Close())
}

func houseEvents() []eventstore.Event {
	entity := func(e *entityv1.Entity) eventstore.Event {
		return eventstore.Event{Entity: e.GetId(), Source: "test", Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: e}}}}
	}
	changed := func(id string, a *entityv1.Attributes) eventstore.Event {
		return eventstore.Event{Entity: id, Source: "test", Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: a}}}}
	}
	light := func(on bool) *entityv1.Attributes {
		return &entityv1.Attributes{Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: proto.Bool(on)}}}
	}
	degrees := func(v float64) *entityv1.Attributes {
		return &entityv1.Attributes{Domain: &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{Value: &entityv1.Sensor_Number{Number: v}}}}
	}
	return []eventstore.Event{
		{Source: "test", Payload: &eventv1.Payload{Kind: &eventv1.Payload_AreaRegistered{
			AreaRegistered: &eventv1.AreaRegistered{Area: &entityv1.Area{Id: "kitchen", Name: "Kitchen"}}}}},
		{Source: "test", Payload: &eventv1.Payload{Kind: &eventv1.Payload_DeviceRegistered{
			DeviceRegistered: &eventv1.DeviceRegistered{Device: &entityv1.Device{
				Id: "test/0x01", Name: "lamp", Model: "L1", Manufacturer: "Acme", AreaId: "kitchen", Source: "test", Address: "0x01"}}}}},
		entity(&entityv1.Entity{Id: "light.kitchen", UniqueId: "1", DeviceId: "test/0x01"}),
		entity(&entityv1.Entity{Id: "sensor.attic_temperature", UniqueId: "2", Name: "Attic temperature", Unit: "°C", DeviceClass: "temperature"}),
		entity(&entityv1.Entity{Id: "sensor.attic_secret", UniqueId: "3", Name: "Escape \x1b[31m", Disabled: true}),
		changed("light.kitchen", light(true)),
		changed("sensor.attic_temperature", degrees(21.5)),
		changed("light.kitchen", light(false)),
		changed("sensor.attic_temperature", degrees(22)),
		changed("light.kitchen", light(true)),
	}
}
