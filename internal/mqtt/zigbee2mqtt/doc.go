// Package zigbee2mqtt takes devices in that Zigbee2MQTT publishes in its own dialect: a list of devices with what each
// exposes, a list of groups, and a JSON object per report.
//
// # What becomes what
//
// The lists become registry events, one atomic batch a message, and only for what differs from the registry. What a
// user decided (names, areas, ids, enabled or not) is kept. A report becomes the states of all its entities, one
// atomic batch; what it does not mention is unchanged, null makes a value unknown, and a value that fits no typed field
// is kept in the attributes' extra under its property. Properties that nothing exposes are extra of the device's main
// entity, except last_seen, linkquality, elapsed and device, which say nothing of its state. A report that changes
// nothing is no event, unless an entity had been silent for [Options].SilentAfter. One that would make a state larger
// than 64 KiB is refused.
//
// # Identity
//
// A device is its broker, base topic and address; an entity is its device, domain and property. Names are none of it:
// an entity's id is made of the name that the device has when it is first seen, and stays.
//
// # Time
//
// An event's time is the report's last_seen, if that is within an hour before and a minute after the message's arrival,
// and otherwise the arrival: a clock that is wrong, or a recording that is played, must not rewrite the past. A report
// that the broker stored may be older than an hour, but not before the device's last event.
//
// # Availability
//
// An entity is as available as its device and the bridge. One that is new, or that is enabled again, takes over what is
// known of both, in the batch that registers it.
//
// # Devices that come back
//
// The registry remembers what a user decided of a device and its entities when they are gone, and their ids. When they
// are listed again the dialect writes it into their registration. An empty list of devices is an error and removes none.
//
// # Retained messages
//
// Lists, availability and the bridge's state are retained by Zigbee2MQTT and hold whenever they arrive. A report that
// the broker delivered from its store (mqtt.Message.Retained) is no fresh one: it does not count as hearing of the
// device, nor is it an action. Where it differs from what is known, the device has changed while nobody listened, at its
// last_seen, or at a time that is not known better than now. It is outdated, and changes nothing, if its last_seen is not
// later than what is known of the device, or if it is the same that was delivered before. See heard. An empty payload
// only clears what a broker retains; it changes nothing here. Devices leave by not being in the list.
//
// # Messages of devices that are not known
//
// Devices that the log knows are taken in at once, also right after a restart. For the others, until the bridge's two
// lists (devices and groups, which Zigbee2MQTT publishes together) have arrived in this process, the newest report per
// topic waits, within bounds, and is taken in or dropped when they have. A waiting message is acknowledged, and lost if
// the process ends first: it is of a device that does not exist here yet, so that it is no state of anything. The other
// way, refusing it, would close the connection of the very publisher whose next message is the list. After the lists,
// messages of unknown devices are counted and dropped: a straggler of a removed device does not bring it back.
//
// # Failure
//
// A bad message is counted, logged (once a minute and topic, and 60 times a minute in all; what is not logged is
// counted), and dropped; Handle returns nil for it, since a second delivery would be no better. Handle fails only when
// the house could not record what a good one says.
package zigbee2mqtt
