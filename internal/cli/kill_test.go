package cli

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/internal/mqtt/client"
	"github.com/statehouse/statehouse/internal/mqtt/play"
	"github.com/statehouse/statehouse/state"
)

// server is "statehouse serve" as a process.
type server struct {
	cmd *exec.Cmd
	// mqtt is the URL of its broker.
	mqtt string
	log  *bytes.Buffer
}

// startServer starts the program, and returns when it is ready if it is to be waited for. under is a command that is given
// the program's to run.
func startServer(t *testing.T, db string, wait bool, under ...string) *server {
	t.Helper()
	s := &server{log: &bytes.Buffer{}}
	s.cmd = program(context.Background(), "serve", "--db", db, "--http-address", "127.0.0.1:0", "--mqtt-address", "127.0.0.1:0",
		"--log-format", "json")
	if len(under) > 0 {
		s.cmd.Path, s.cmd.Args = under[0], slices.Concat(under, []string{s.cmd.Path}, s.cmd.Args[1:])
	}
	s.cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	if !wait {
		return s
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		s.log.WriteString(lines.Text() + "\n")
		var entry struct{ Msg, MQTT string }
		if err := json.Unmarshal(lines.Bytes(), &entry); err == nil && entry.Msg == "ready" {
			s.mqtt = "mqtt://" + entry.MQTT
			go func() { _, _ = io.Copy(io.Discard, stderr) }() // ends with the process
			return s
		}
	}
	t.Fatalf("serve ended before it was ready: %v\n%s", s.cmd.Wait(), s.log)
	return nil
}

// kill ends the process as a power cut would end it.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// attempt is one way through the recording between two kills.
type attempt struct {
	// from and sent are the first and the last line that were sent; up to acked everything was acknowledged.
	from, acked, sent int
}

// TestKill kills the program while the recorded house is played into it, again and again, and looks whether anything is
// missing: see checkLog.
func TestKill(t *testing.T) {
	file, kills := house, 6
	if testing.Short() {
		file, kills = head(t, house, 4000), 2
	}
	lines := readRecording(t, file)
	db := filepath.Join(t.TempDir(), "home.db")
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	var attempts []attempt
	for next := 1; next <= len(lines); {
		s := startServer(t, db, true)
		// The first list of devices is among the first 1,000 lines: a message before it waits in memory only.
		after := int64(1000 + rng.IntN(max(len(lines)/(kills+1), 1)))
		if len(attempts) >= kills {
			after = -1
		}
		tried, end := playUntilKilled(t, s, file, next, after)
		attempts = append(attempts, tried)
		next = end
		if rng.IntN(2) == 0 && next <= len(lines) {
			// Once more in the middle of the start.
			s := startServer(t, db, false)
			time.Sleep(time.Duration(rng.IntN(150)) * time.Millisecond)
			s.kill()
		}
	}
	t.Logf("attempts: %v", attempts)
	h := openHouse(t, db)
	defer func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := check.House(t.Context(), h); err != nil {
		t.Error(err)
	}
	compareFold(t, h)
	checkLog(t, h, lines, attempts)
}

// playUntilKilled plays from a line, and kills the server when so many messages are acknowledged; -1 means that it is
// stopped cleanly at the end instead. It returns the line to go on from.
func playUntilKilled(t *testing.T, s *server, file string, from int, after int64) (attempt, int) {
	t.Helper()
	qos := byte(1)
	var acks atomic.Int64
	res, err := play.Run(t.Context(), play.Options{
		File: file, Broker: client.Endpoint{URL: s.mqtt}, QoS: &qos, From: from, Skip: []string{"zigbee2mqtt/bridge/logging"},
		OnAck: func(int) {
			if acks.Add(1) == after {
				s.kill()
			}
		},
	})
	if err == nil {
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("serve after SIGTERM: %v", err)
		}
	} else if acks.Load() < after || after < 0 {
		t.Fatal(err)
	}
	return attempt{from: from, acked: res.Next - 1, sent: res.Line}, res.Next
}

// compareFold folds the log from its first event and compares the states, timestamps included.
func compareFold(t *testing.T, h *statehouse.House) {
	t.Helper()
	fold := state.New()
	for e, err := range h.Read(t.Context(), eventstore.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if err := fold.Apply(t.Context(), nil, e); err != nil {
			t.Fatal(err)
		}
	}
	fold.Promote()
	if diff := diffStates(fold.Revision(), h.Now().State); diff != "" {
		t.Errorf("the present is not the fold of the log: %s", diff)
	}
}

// reading is a number that a sensor had.
type reading struct {
	entity string
	value  float64
}

// checkLog derives from the recording what numbers the sensors had, line by line and attempt by attempt, and wants
// exactly that in the log: the changes of every line that was acknowledged, in order, then those of a few lines that
// were sent and not acknowledged, and then those of the next attempt.
func checkLog(t *testing.T, h *statehouse.House, lines []play.Record, attempts []attempt) {
	t.Helper()
	o := oracle{lines: lines, attempts: attempts, sensors: sensorsOf(t, h)}
	o.begin = 1 + slices.IndexFunc(lines, func(r play.Record) bool { return r.Topic == "zigbee2mqtt/bridge/devices" })
	log := numbersOf(t, h, o.sensors)
	if !o.explains(0, log, map[string]float64{}) {
		t.Error(o.complaint)
	}
	if len(log) < 500 {
		t.Errorf("only %d changes of %d sensors were compared", len(log), len(o.sensors))
	}
	t.Logf("%d changes of %d sensors are in the log, line by line", len(log), len(o.sensors))
}

// oracle knows what the log must say.
type oracle struct {
	lines    []play.Record
	attempts []attempt
	sensors  map[[2]string]string
	// begin is the line of the first list of devices.
	begin int
	// complaint is what was wrong on the way that led furthest, which left so many changes unexplained.
	complaint string
	left      int
}

// explains says whether the attempts from the i-th on make this log. How many lines an attempt's process handled
// without acknowledging them nobody knows: each number is tried.
func (o *oracle) explains(i int, log []reading, now map[string]float64) bool {
	if i == len(o.attempts) {
		return len(log) == 0 || o.wrong(log, "the log has %d changes that no line made, the first of them %v", len(log), log[0])
	}
	a := o.attempts[i]
	now = maps.Clone(now)
	for line := max(a.from, o.begin); line <= a.sent; line++ {
		changes := changesOf(o.lines[line-1], o.sensors, now)
		if len(changes) == 0 {
			continue
		}
		if line > a.acked && o.explains(i+1, log, now) {
			return true
		}
		n := min(len(changes), len(log))
		got := map[string]float64{}
		for _, r := range log[:n] {
			got[r.entity] = r.value
		}
		if !maps.Equal(got, changes) {
			return o.wrong(log, "attempt %d: line %d of %+v has the changes %v, and the log goes on with %v", i+1, line, a, changes, got)
		}
		maps.Copy(now, changes)
		log = log[n:]
	}
	return o.explains(i+1, log, now)
}

// wrong remembers what was wrong.
func (o *oracle) wrong(log []reading, format string, args ...any) bool {
	if o.complaint == "" || len(log) < o.left {
		o.complaint, o.left = fmt.Sprintf(format, args...), len(log)
	}
	return false
}

// sensorsOf are the numeric sensors of devices that keep their topic, by topic and property.
func sensorsOf(t *testing.T, h *statehouse.House) map[[2]string]string {
	t.Helper()
	topics := map[string]map[string]bool{}
	for e, err := range h.Read(t.Context(), eventstore.Query{Kinds: []eventstore.Kind{eventstore.KindDeviceRegistered}}) {
		if err != nil {
			t.Fatal(err)
		}
		d := e.Payload.GetDeviceRegistered().GetDevice()
		if topics[d.GetId()] == nil {
			topics[d.GetId()] = map[string]bool{}
		}
		topics[d.GetId()][d.GetTopic()] = true
	}
	sensors := map[[2]string]string{}
	m := h.Now()
	for id, e := range m.Registry.Entities.All() {
		d, ok := m.Registry.Device(e.GetDeviceId())
		if _, recorded := m.State.Get(id); ok && recorded && strings.HasPrefix(id, "sensor.") && len(topics[d.GetId()]) == 1 {
			sensors[[2]string{d.GetTopic(), e.GetProperty()}] = id
		}
	}
	return sensors
}

// numbersOf are the numbers that the log has for sensors, each time that one changes.
func numbersOf(t *testing.T, h *statehouse.House, sensors map[[2]string]string) (readings []reading) {
	t.Helper()
	now := map[string]float64{}
	q := eventstore.Query{Kinds: []eventstore.Kind{eventstore.KindStateChanged}, Entities: slices.Collect(maps.Values(sensors))}
	for e, err := range h.Read(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		number, ok := e.Payload.GetStateChanged().GetAttributes().GetSensor().GetValue().(*entityv1.Sensor_Number)
		if !ok {
			continue // a text, or not known yet
		}
		value := number.Number
		if before, ok := now[e.Entity]; ok && before == value {
			continue
		}
		now[e.Entity] = value
		readings = append(readings, reading{e.Entity, value})
	}
	return readings
}

// changesOf are the numbers that a message changes.
func changesOf(r play.Record, sensors map[[2]string]string, now map[string]float64) map[string]float64 {
	changes := map[string]float64{}
	var report map[string]any
	if json.Unmarshal(r.Payload, &report) != nil {
		return changes
	}
	for property, value := range report {
		id, ok := sensors[[2]string{r.Topic, property}]
		if number, numeric := value.(float64); ok && numeric {
			if before, known := now[id]; !known || before != number {
				changes[id] = number
			}
		}
	}
	return changes
}

// readRecording reads a recording into memory.
func readRecording(t *testing.T, path string) (records []play.Record) {
	t.Helper()
	err := eachLine(path, func(line []byte) error {
		r, err := play.ParseRecord(line)
		records = append(records, r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// errEnoughLines ends eachLine.
var errEnoughLines = errors.New("enough lines")

// head is a recording with the first lines of another one.
func head(t *testing.T, path string, n int) string {
	t.Helper()
	var text bytes.Buffer
	err := eachLine(path, func(line []byte) error {
		if n--; n < 0 {
			return errEnoughLines
		}
		_, err := fmt.Fprintf(&text, "%s\n", line)
		return err
	})
	if err != nil && !errors.Is(err, errEnoughLines) {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short.jsonl")
	if err := os.WriteFile(short, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return short
}

func eachLine(path string, f func(line []byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	z, err := gzip.NewReader(file)
	var in io.Reader = z
	if err != nil {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		in = file
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, play.MaxLine)
	for lines.Scan() {
		if err := f(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}
