// Package powercut cuts the power, again and again: it records what the program writes and syncs while devices report to
// it, builds disks as a power cut could have left them, opens each, and looks whether anything that was acknowledged is
// lost, or anything else is not as it was.
package powercut
