// Package native translates what ecosystems announce in words of their own into announcements of package discovery: each
// entity's configuration has the keys of Home Assistant's MQTT discovery, so that its engine and components do the rest,
// commands included.
//
// # Ecosystems
//
// Tasmota announces a device in two retained messages, what it can do and which sensors it has; an empty one takes it away.
// Shelly's first generation says little more than its model: what a device has is known by the topics on which it reports, so
// that a battery device, which announces nothing, is known by its first report. Shelly's later generations are known by the
// status of their components, whole (a status topic, NotifyFullStatus) or in part (NotifyStatus).
//
// # Order
//
// What a device comes to have does not depend on the order of its messages, on messages that come twice, or on announcements
// that never come: names and keys are made of the topic alone. An announcement is made when something is said for the
// first time. Announcements of Shelly devices are never complete, since no message of theirs is: what was announced stays. They are
// made again when the device says that it is online, and after one came to nothing: what a device says is then taken for the
// first that it says. Tasmota's need no such memory: each of its messages announces all that it speaks of.
//
// # Values
//
// Templates are plain paths wherever they can be, which render without being interpreted. What is missing in a message is
// undefined in its template and says nothing: a part of a status leaves the other values as they are. Names, units, classes
// and categories are those of Home Assistant's own integrations, and so is what is disabled at first. Where a device has
// several of a kind their names carry the number that the device itself gives them.
//
// # Sleepers
//
// A device that sleeps is offline nearly always and well all the same. Its entities have no availability: they expire when
// nothing was heard for 25 hours, since every sleeper reports once a day.
//
// # Bounds and failure
//
// A translator remembers at most 10,000 devices and 100 components of each; what is beyond is an error, and changes nothing.
// Nothing has to be remembered over a restart. Names that cannot stand in a template or in a topic are left out. No payload
// over 64 KiB is read.
//
// # Testing
//
// testdata/*.jsonl are messages, one a line; *.golden what is announced of them, and the states that follow. Rewrite them
// with -update.
package native
