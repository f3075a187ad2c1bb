// Package discovery takes devices in that announce themselves with a configuration per entity: Home Assistant's MQTT
// discovery, and ecosystems of their own that are translated into its words.
//
// # Parts
//
// A [Translator] makes [Announcement]s of what an ecosystem says of its devices; [HomeAssistant] is one, [Mapping], of what the
// user says, another. A [Component] says what an entity of a kind listens to, what a message makes of its typed attributes, and
// what is published for a command. An [Engine] is the dialect of one ecosystem: it registers what is announced, finds the entities
// that a message is for, and makes one decision of each message.
//
// # What the log keeps
//
// The registry keeps each entity's configuration, as text. A new process knows from it what every device publishes, and
// needs no announcement; an announcement that says what is known changes nothing.
//
// # Ordering
//
// Templates are run before the writer's turn, since they need nothing but the message; what they say is put into the state in it. One
// message is one batch. Announcements of an ecosystem are taken in one after another. What a device published before it was
// announced is known only if the broker retained it: the topics of a new entity are subscribed to when a burst of announcements is over,
// and what is retained there comes then. Each entity takes in once what is retained, and where it is fetched from the embedded broker
// only before it has taken in anything fresh on that topic (retained.go): what was said last is recorded last.
//
// # Availability and deadlines
//
// What is said of availability is remembered per topic as long as the process lives, so that an entity that is announced later is as
// available as the others, and is in the states of the log, so that a restart changes nothing. Deadlines (expire_after, off_delay) are
// kept by [Engine.Run]. What happens at one has its time, also if nobody watched then.
//
// # Failure
//
// A bad message is counted, complained about within bounds, and dropped. A template that needs what a message does not have says nothing.
// Handle fails only when the house could not record what a good message says.
//
// # Bounds
//
// Announcements, configurations, entities, topics, templates and states have limits, of each and of all together; see [Options]. Entities
// of a kind, whose configurations differ in their topics alone, share what is made of them; of 4,096 kinds it is kept.
//
// # Testing
//
// bench_test.go has an entity without a house, engine_test.go a house in memory that can be restarted. testdata/samples are announcements
// of real programs.
package discovery
