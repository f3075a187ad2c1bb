// Package load gives the harnesses of faults something to break: it starts the program that people run under package
// trace, and plays devices to it over MQTT, whose messages are numbered, so that each can be found in the log.
package load
