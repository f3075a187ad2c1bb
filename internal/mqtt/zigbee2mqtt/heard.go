package zigbee2mqtt

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// heard remembers of each device how new what is known of it is, to tell a stored report that came while nobody
// listened from one that is known or outdated. It lives as long as the process, and starts from the states that the log
// has. Later the states would not do: what is said of a device's availability moves their times, too, and on a new
// connection that may come before the stored report.
type heard struct {
	mu      sync.Mutex // guards devices; a leaf of the lock order
	devices map[string]lastHeard
}

type lastHeard struct {
	// at is when the device was last heard of: by its own last_seen where the newest report had one, so that a clock
	// that is wrong is compared with itself, and otherwise by the arrival. Zero means never.
	at time.Time
	// stamped is the time of the newest report's events, which the next stored one must not come before.
	stamped time.Time
	stored  digest // of the last stored report
}

type digest [sha256.Size]byte

// recollect is what the states say of when devices were last heard of. Those without a value say nothing: they have
// the time of their registration.
func recollect(p statehouse.Pending, devices []*entityv1.Device) map[string]lastHeard {
	known := make(map[string]lastHeard)
	for _, device := range devices {
		var newest time.Time
		for _, e := range p.DeviceEntities(device.GetId()) {
			st, ok := p.State(e.GetId())
			if ok && st.Attributes.GetDomain() != nil && st.UpdatedAt.After(newest) {
				newest = st.UpdatedAt
			}
		}
		known[device.GetId()] = lastHeard{at: newest, stamped: newest}
	}
	return known
}

// news says whether a stored report tells anything new of a device, and of which time it then is. It does not if it is
// dated and not newer than what is known, or if it is the same that was there the last time.
func (h *heard) news(device string, r report, arrived time.Time) (at time.Time, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.devices[device]
	if !r.lastSeen.IsZero() && !r.lastSeen.After(last.at) || r.digest == last.stored {
		return time.Time{}, false
	}
	if !r.at.After(last.stamped) {
		return arrived, true // its clock is behind
	}
	return r.at, true
}

// note remembers a report that was taken in.
func (h *heard) note(device string, r report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.devices[device]
	switch {
	case !r.lastSeen.IsZero():
		last.at = r.lastSeen
	case !r.retained:
		last.at = r.at
	}
	if r.retained {
		last.stored = r.digest
	}
	last.stamped = r.at
	h.devices[device] = last
}

// start makes known what is remembered at the beginning.
func (h *heard) start(known map[string]lastHeard) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.devices = known
}

// forget drops what is remembered of devices that are no longer among these.
func (h *heard) forget(but []*entityv1.Device) {
	keep := make(map[string]bool, len(but))
	for _, device := range but {
		keep[device.GetId()] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.devices, func(id string, _ lastHeard) bool { return !keep[id] })
}
