package native

import (
	"errors"
	"fmt"
	"sync"
)

const (
	// maxDevices is how many devices a translator remembers.
	maxDevices = 10_000
	// maxComponents is how many components of one are.
	maxComponents = 100
	// maxPayload is far beyond every real message.
	maxPayload = 64 << 10
)

// ErrTooMany says that there are more devices, or more parts of one, than are taken.
var ErrTooMany = errors.New("too many")

// memory is what a translator knows of devices. It is safe for concurrent use.
type memory[T any] struct {
	mu      sync.Mutex // guards all; a leaf: nothing is locked below it
	devices map[string]*T
}

// with calls f with what is known of a device, nobody else changing it meanwhile.
func (m *memory[T]) with(id string, f func(d *T) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.devices[id]
	if !ok {
		if len(m.devices) >= maxDevices {
			return fmt.Errorf("%w devices: %.80q is one more than %d", ErrTooMany, id, maxDevices)
		}
		d = new(T)
	}
	if err := f(d); err != nil || ok {
		return err
	}
	if m.devices == nil {
		m.devices = make(map[string]*T)
	}
	m.devices[id] = d
	return nil
}

// renew changes what is known of a device that is known, which is forgotten where nothing is to be kept.
func (m *memory[T]) renew(id string, change func(d *T) (keep bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d, ok := m.devices[id]; ok && !change(d) {
		delete(m.devices, id)
	}
}

// known are the parts of a device that were announced, by component.
type known map[string]map[string]bool

// add says that a part of a component is new, and remembers it.
func (k *known) add(component, part string) (isNew bool, err error) {
	parts, ok := (*k)[component]
	switch {
	case parts[part]:
		return false, nil
	case !ok && len(*k) >= maxComponents:
		return false, fmt.Errorf("%w components: %.80q is one more than %d", ErrTooMany, component, maxComponents)
	case !ok:
		parts = make(map[string]bool)
		if *k == nil {
			*k = make(known)
		}
		(*k)[component] = parts
	}
	parts[part] = true
	return true, nil
}
