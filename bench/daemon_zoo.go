package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/storage"
)

// zoo is how much zoo.memory does.
type zoo struct {
	devices, starts int
}

// bigZoo has 40,000 entities.
var bigZoo = zoo{devices: 40_000 / len(properties), starts: 3}

// zooMemory measures a daemon that is started again on a house full of devices, whose announcements, availability and states its
// broker retains: how long it takes from the start of the process until it is ready, and how much memory is resident when it
// has taken everything in once more (VmRSS, nothing is collected for it), and was at most until then (VmHWM). The
// references are a daemon on a house without devices; for the time, reading the same announcements as JSON; and for the memory,
// the bytes of the retained messages, which a broker has to have.
func zooMemory(dir string, size zoo) (figures []Figure, err error) {
	if runtime.GOOS != "linux" {
		fmt.Fprintln(os.Stderr, "zoo.memory is left out: it reads /proc")
		return nil, nil
	}
	program, err := buildProgram(dir)
	if err != nil {
		return nil, err
	}
	empty := &zooHouse{program: program, db: filepath.Join(dir, "empty.db")}
	for _, e := range []*ecosystem{&discovery, &zigbee} {
		full := &zooHouse{program: program, db: filepath.Join(dir, e.prefix+".db")}
		if err := full.fill(e, size.devices); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		ms, err := takeTurnsOrFail(size.starts, full.start, empty.start, full.decode)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		figures = append(figures,
			Figure{"MB", median(full.resident), e.name + ", beside no devices", median(empty.resident), atMostOf(200, "MB")},
			Figure{"MB", median(full.most), "at most, beside what is retained", full.bytes(), nil},
			Figure{"ms", ms[0], e.name + ", ready; no devices", ms[1], atMostOf(3000, "ms")},
			Figure{"ms", ms[0], "decoding the announcements", ms[2], nil})
	}
	return figures, nil
}

// zooHouse is the house of a daemon, and what its starts found.
type zooHouse struct {
	program, db        string
	announced, reports []message
	// values are those of all entities.
	values map[string]float64

	resident, most []float64 // megabytes
}

// fill has a daemon take in the devices of an ecosystem, and stops it.
func (z *zooHouse) fill(e *ecosystem, devices int) (err error) {
	z.values = map[string]float64{}
	z.announced = e.announce(e, devices)
	for i, d := range e.devices(devices) {
		z.reports = append(z.reports, d.report(), message{fmt.Sprintf(e.available, e.deviceName(i)), "online"})
		d.values(z.values)
	}
	daemon, err := startProgram(z.program, z.db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, daemon.Stop()) }()
	clients := make([]*faults.Publisher, publishers)
	for i := range clients {
		if clients[i], err = faults.Dial(daemon.MQTT, fmt.Sprintf("bench-%d", i), "", ""); err != nil {
			return err
		}
		defer func() { _ = clients[i].Close() }() // everything was acknowledged, or has failed
	}
	if err := errors.Join(publishAll(clients, z.announced, true), publishAll(clients, z.reports, true)); err != nil {
		return err
	}
	return checkPresent(daemon, z.values)
}

// bytes are the megabytes of what is retained.
func (z *zooHouse) bytes() float64 {
	sum := 0
	for _, all := range [][]message{z.announced, z.reports} {
		for _, m := range all {
			sum += len(m.topic) + len(m.payload)
		}
	}
	return float64(sum) / 1e6
}

// start starts a daemon, waits until it has taken in what is retained, and stops it. It answers after how many
// milliseconds it was ready.
func (z *zooHouse) start() (ms float64, err error) {
	begin := time.Now()
	daemon, err := startProgram(z.program, z.db)
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, daemon.Stop()) }()
	if err := z.takenIn(daemon); err != nil {
		return 0, err
	}
	holder, err := storage.ReadHolder(z.db)
	if err != nil {
		return 0, err
	}
	resident, err := memoryOf(holder.PID, "VmRSS")
	if err != nil {
		return 0, err
	}
	most, err := memoryOf(holder.PID, "VmHWM")
	if err != nil {
		return 0, err
	}
	z.resident, z.most = append(z.resident, resident), append(z.most, most)
	return microseconds(took) / 1000, checkPresent(daemon, z.values)
}

// takenIn waits until the dialects have been handed everything that is retained. That must not take a minute.
func (z *zooHouse) takenIn(daemon *faults.Program) error {
	want := len(z.announced) + len(z.reports)
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		var metrics []byte
		if err := daemon.Get(context.Background(), "/metrics", &metrics); err != nil {
			return err
		}
		got := 0
		for line := range strings.Lines(string(metrics)) {
			if strings.HasPrefix(line, "statehouse_mqtt_received_total{") {
				n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 64)
				if err != nil {
					return err
				}
				got += int(n)
			}
		}
		switch {
		case got >= want:
			return nil
		case time.Since(begin) > time.Minute:
			return fmt.Errorf("%d of %d retained messages were taken in after a minute", got, want)
		}
	}
}

// decode answers how many milliseconds it takes to decode the announcements.
func (z *zooHouse) decode() (float64, error) {
	begin := time.Now()
	for _, m := range z.announced {
		var v any
		if err := json.Unmarshal([]byte(m.payload), &v); err != nil {
			return 0, err
		}
	}
	return microseconds(time.Since(begin)) / 1000, nil
}

// memoryOf is a field of what the kernel says of the memory of a process, in megabytes.
func memoryOf(pid int, field string) (float64, error) {
	file := fmt.Sprintf("/proc/%d/status", pid)
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kib * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, field)
}
