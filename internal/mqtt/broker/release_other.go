//go:build !linux

package broker

// unmap does nothing: other systems count mapped files otherwise, or not at all.
func unmap(_, _ uintptr) {}
