//go:build !linux

package diskerror

func mount(string, int) error { return ErrNoMount }

func unmount(string) error { return ErrNoMount }
