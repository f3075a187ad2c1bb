// Package load gives the harnesses of faults something to break: it builds the program that people run, starts it under
// package trace, and plays devices to it over MQTT, whose messages are numbered, so that each can be found in the log.
package load
