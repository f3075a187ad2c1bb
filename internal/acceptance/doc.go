// Package acceptance runs the program as people do, beside the programs of others, unchanged: Mosquitto, and Zigbee2MQTT with
// a house of 35 devices of which only the radio is not real (acceptance/zigbee2mqtt). There is nothing here but a test:
//
//	make acceptance
//	go test -tags acceptance -run Acceptance -count=1 -v ./internal/acceptance
//
// It needs mosquitto, node and npm, and fetches Zigbee2MQTT once. Where one of them is missing the test is skipped, or, with
// ACCEPTANCE_REQUIRED in the environment, fails and says what to install.
//
// # What it shows
//
// Devices come in once, though Zigbee2MQTT announces them in two ways; they are renamed and removed. Commands reach them, and
// what a device says of itself confirms them; what does not answer times out. Nothing is lost when the daemon is killed, and
// no command is sent twice or late, whatever is restarted. In the end Zigbee2MQTT, the daemon and its log say the same of every
// device, and moments that were looked at on the way are what they were.
//
// # Time
//
// Nothing waits for a fixed time or depends on how fast anything is: what is expected is asked for again and again, for some
// minutes at most. What the programs said last is printed when the test fails, and none of them outlives it.
package acceptance
