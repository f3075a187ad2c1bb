package dialect

import "sync/atomic"

// Reason says why a message had no effect.
type Reason string

// The reasons for which messages have no effect.
const (
	// ReasonLogging: bridge/logging, Zigbee2MQTT's own log.
	ReasonLogging Reason = "logging"
	// ReasonBridge: other topics of the bridge that say nothing about devices: definitions, requests and responses.
	ReasonBridge Reason = "bridge"
	// ReasonCommand: a set or get, which asks something of a device; its report follows.
	ReasonCommand Reason = "command"
	// ReasonAction: the plain-text copy of an action, which the device's report has already told.
	ReasonAction Reason = "action_copy"
	// ReasonCopy: a part of a device's report published once more under a topic of its own.
	ReasonCopy Reason = "copy"
	// ReasonUnknownDevice: the message of a device that the bridge does not list.
	ReasonUnknownDevice Reason = "unknown_device"
	// ReasonWaitingFull: a message that waited for the bridge's lists and had to make room for a newer one.
	ReasonWaitingFull Reason = "waiting_full"
	// ReasonMalformed: the payload is not what the topic promises.
	ReasonMalformed Reason = "malformed"
	// ReasonTooLarge: the message is larger than what is taken in.
	ReasonTooLarge Reason = "too_large"
	// ReasonTooMany: devices were left out, since the house would have more entities than it may have.
	ReasonTooMany Reason = "too_many_entities"
	// ReasonEmpty: an empty payload, which only clears what a broker retains.
	ReasonEmpty Reason = "empty"
	// ReasonRetained: a stored report that says nothing new, or is outdated.
	ReasonRetained Reason = "retained"
	// ReasonUnchanged: a report that changes nothing.
	ReasonUnchanged Reason = "unchanged"
	// ReasonTooSoon: a measured value that came before the entity's minimum interval was over. Such a report may have other
	// effects, and counts once for each value.
	ReasonTooSoon Reason = "too_soon"
	// ReasonFault: what the dialect makes of the message panicked.
	ReasonFault Reason = "fault"
	// ReasonOther: a topic that is none of the dialect's.
	ReasonOther Reason = "other"
)

// Reasons are all that there are.
func Reasons() []Reason { return reasons[:] }

var reasons = [...]Reason{
	ReasonLogging, ReasonBridge, ReasonCommand, ReasonAction, ReasonCopy, ReasonUnknownDevice, ReasonWaitingFull,
	ReasonMalformed, ReasonTooLarge, ReasonTooMany, ReasonEmpty, ReasonRetained, ReasonUnchanged, ReasonTooSoon, ReasonFault, ReasonOther,
}

// Stats counts what a dialect did since it was made.
type Stats struct {
	// Received is the number of messages handed to Handle.
	Received uint64
	// Events is the number of events that were recorded.
	Events uint64
	// Waiting is the number of messages that wait now for the bridge's lists.
	Waiting int
	// Ignored counts the messages without effect, by reason; it has an entry for each.
	Ignored map[Reason]uint64
	// Suppressed is the number of complaints that were not logged, so as not to fill the log.
	Suppressed uint64
}

// Counters are what Stats is made of.
type Counters struct {
	Received, Events atomic.Uint64
	ignored          [len(reasons)]atomic.Uint64
}

// Ignore counts a message without effect.
func (c *Counters) Ignore(r Reason) {
	for i := range reasons {
		if reasons[i] == r {
			c.ignored[i].Add(1)
			return
		}
	}
}

func (c *Counters) stats() Stats {
	s := Stats{Received: c.Received.Load(), Events: c.Events.Load(), Ignored: make(map[Reason]uint64, len(reasons))}
	for i, r := range reasons {
		s.Ignored[r] = c.ignored[i].Load()
	}
	return s
}
