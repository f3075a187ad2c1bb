package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// smallIngest does what bigIngest does, with few devices.
var smallIngest = ingest{devices: 2 * publishers, rounds: 1, window: 5, turn: 50 * time.Millisecond, offers: 1, perSecond: 200, offer: 200 * time.Millisecond}

func TestIngestIsMeasured(t *testing.T) {
	figures, err := mqttIngest(t.TempDir(), smallIngest)
	if err != nil {
		t.Fatal(err)
	}
	if len(figures) != 4 {
		t.Errorf("%d figures", len(figures))
	}
	for _, f := range figures {
		if f.Ours <= 0 || f.ReferenceValue <= 0 || f.Goal == nil {
			t.Errorf("%+v", f)
		}
	}
}

// A message that was acknowledged and is not in the present, or no event, fails the measure.
func TestIngestIsChecked(t *testing.T) {
	c, err := startIngest(t.TempDir(), smallIngest)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	for _, e := range []*ecosystem{&zigbee, &discovery} {
		for n := range 3 {
			if _, err := c.reporting(e, 4)(7, n); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.check(); err != nil {
		t.Error(err)
	}
	c.acked[3]++
	if err := c.check(); err == nil || !strings.Contains(err.Error(), "25 messages were acknowledged, and 24 events recorded") {
		t.Errorf("one is not recorded: %v", err)
	}
	c.acked[3]--
	c.devices[&discovery][7][1].tenths[2]++
	if err := c.check(); err == nil || !strings.Contains(err.Error(), "sensor.ha_climate_00023_pressure is ") {
		t.Errorf("one is not visible: %v", err)
	}
	c.devices[&discovery][7][1].tenths[2]--
	if err := checkPresent(c.daemon, map[string]float64{}); err == nil {
		t.Error("more is there than should be")
	}
	want := map[string]float64{"sensor.nobody": 1}
	for _, e := range []*ecosystem{&zigbee, &discovery} {
		for _, share := range c.devices[e] {
			for _, d := range share {
				d.values(want)
			}
		}
	}
	if err := checkPresent(c.daemon, want); err == nil || !strings.Contains(err.Error(), "320 entities have a number, and 321 should") {
		t.Errorf("one is missing: %v", err)
	}
}

func TestZooIsMeasured(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads /proc")
	}
	figures, err := zooMemory(t.TempDir(), zoo{devices: 20, starts: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(figures) != 8 {
		t.Errorf("%d figures", len(figures))
	}
	for _, f := range figures {
		if f.Ours <= 0 || f.ReferenceValue <= 0 {
			t.Errorf("%+v", f)
		}
	}
}

// TestDevices would fail if a device said a value twice that is to be another, or if what it says were not what it is checked for.
func TestDevices(t *testing.T) {
	for _, e := range []*ecosystem{&zigbee, &discovery} {
		d := e.devices(3)[2]
		for range 10_000 {
			before := d.report()
			d.change()
			after := d.report()
			var was, is, want map[string]float64
			want = map[string]float64{}
			if err := errors.Join(json.Unmarshal([]byte(before.payload), &was), json.Unmarshal([]byte(after.payload), &is)); err != nil {
				t.Fatal(err)
			}
			d.values(want)
			changed := 0
			for key, v := range is {
				if v != was[key] {
					changed++
				}
				if id := fmt.Sprintf("sensor.%s_climate_00002_%s", e.prefix, key); want[id] != v {
					t.Fatalf("%s is %v, want %v", id, v, want[id])
				}
			}
			if changed != 1 || len(is) != len(properties) {
				t.Fatalf("%d of %d values have changed", changed, len(is))
			}
		}
		for _, m := range e.announce(e, 3) {
			if !json.Valid([]byte(m.payload)) {
				t.Errorf("%s: no JSON: %s", m.topic, m.payload)
			}
		}
	}
}

// A caller that is late says so: what waits for an answer is due all the same.
func TestOfferCountsFromWhenItIsDue(t *testing.T) {
	const slow = 50 * time.Millisecond
	waits, err := offer(1, 100, 100*time.Millisecond, func(_, n int) (int, error) {
		if n == 0 {
			time.Sleep(slow)
		}
		return 1, nil
	})
	if err != nil || len(waits) != 10 {
		t.Fatalf("%d calls, %v", len(waits), err)
	}
	// The second was due 10 ms after the first, which took 50 ms.
	if waits[0] < slow || waits[1] < slow-10*time.Millisecond {
		t.Errorf("the first took %s, the second %s", waits[0], waits[1])
	}
	broken := errors.New("broken")
	if _, err := offer(4, 100, time.Second, func(caller, _ int) (int, error) {
		if caller == 2 {
			return 0, broken
		}
		return 1, nil
	}); !errors.Is(err, broken) {
		t.Errorf("a caller failed: %v", err)
	}
}

func TestMemoryOf(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads /proc")
	}
	now, err := memoryOf(os.Getpid(), "VmRSS")
	most, err2 := memoryOf(os.Getpid(), "VmHWM")
	if err := errors.Join(err, err2); err != nil || now < 1 || most < now {
		t.Errorf("%v MB, at most %v MB: %v", now, most, err)
	}
	if _, err := memoryOf(os.Getpid(), "VmNothing"); err == nil {
		t.Error("a field that is not there was read")
	}
}

// A program that is not there, or does not start, is an error and no figure.
func TestProgramThatDoesNotStart(t *testing.T) {
	if _, err := startProgram(filepath.Join(t.TempDir(), "nothing"), filepath.Join(t.TempDir(), "home.db")); err == nil {
		t.Error("it started")
	}
}
