package zigbee2mqtt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt/dialect/dialecttest"
)

// manyMegabytes is a list of devices, most of each of no use.
func manyMegabytes(devices int) string {
	var list strings.Builder
	padding := strings.Repeat(`{"cluster":"genBasic","attributes":[1,2,3]},`, 1200)
	for i := range devices {
		list.WriteString(map[bool]string{true: "[", false: ","}[i == 0])
		list.WriteString(strings.TrimSuffix(device(fmt.Sprintf("0x%d", i), fmt.Sprintf("device %d", i), exposeTemperature, exposeLight), "}"))
		list.WriteString(`,"endpoints":[` + strings.TrimSuffix(padding, ",") + `]}`)
	}
	list.WriteString("]")
	return list.String()
}

// TestAListOfManyMegabytes: what is of no use in a list costs nothing beyond the payload itself.
func TestAListOfManyMegabytes(t *testing.T) {
	devices := 500 // 27 MB
	if testing.Short() {
		devices = 100
	}
	b := newBench(t, Options{})
	b.house.Once = true
	var before, after runtime.MemStats
	payload := manyMegabytes(devices)
	runtime.ReadMemStats(&before)
	start := time.Now()
	b.say("zigbee2mqtt/bridge/devices", payload)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if got := b.house.Registry.Revision().Entities.Len(); got != devices*3+len(bridgeEntities) {
		t.Errorf("%d entities", got)
	}
	allocated := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(payload))
	t.Logf("%d bytes in %v, %.1f bytes allocated for each", len(payload), took, allocated)
	if allocated > 2 {
		t.Errorf("%.1f bytes allocated per byte of the list", allocated)
	}
}

func BenchmarkLists(b *testing.B) {
	payload := []byte(manyMegabytes(500))
	d := New(dialecttest.NewMemory(), Options{})
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if list, err := d.parseDevices(payload); err != nil || list.bad != nil || len(list.devices) != 500 {
			b.Fatal(err, list.bad)
		}
	}
}

// FuzzElements: lists are walked as encoding/json reads them.
func FuzzElements(f *testing.F) {
	for _, seed := range []string{
		`[]`, ` [ 1 , "a\\\"]", {"a":[{}]} , null ] `, `[{"id" : 1,"members":[[[]]],"x":{"id":2},"id":3}]`, `[`, `{}`, `[1,]`, `["\ud800"]`,
		`[-1.5e3,true,[{"a":"}"}]]`, `[] []`, "[\"\xff\"]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var want []json.RawMessage
		wantErr := json.Unmarshal(payload, &want)
		var got []json.RawMessage
		err := eachElement(payload, func(raw json.RawMessage) { got = append(got, raw) })
		if string(bytes.TrimSpace(payload)) == "null" { // which encoding/json takes for an empty list
			wantErr = errNotObject
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v, want %v", err, wantErr)
		}
		if err != nil {
			return
		}
		if !slices.EqualFunc(got, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Fatalf("%q, want %q", got, want)
		}
		for _, raw := range got {
			var all, picked map[string]json.RawMessage
			if json.Unmarshal(raw, &all) != nil || raw[0] != '{' {
				continue
			}
			if err := json.Unmarshal(pick(raw, groupFields), &picked); err != nil {
				t.Fatalf("%q: %v", raw, err)
			}
			for name, value := range picked {
				if !slices.Contains(groupFields, name) || !bytes.Equal(value, all[name]) && !bytes.ContainsRune(raw, '\\') {
					t.Fatalf("%q: %s is %q", raw, name, value)
				}
			}
		}
	})
}
