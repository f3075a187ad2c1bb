package template

import (
	"sort"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// A value of a template is one of:
//
//	nil (None), bool, int64 or *big.Int, float64, string, pyBytes, *list, *dict, *rangeSeq, *namespace,
//	*datetime, timedelta, *undefined, callable, *loopState, *unavailable
//
// An int is a *big.Int only if it does not fit 64 bits. Values never change, but for a namespace.

// undefined is what a name or an element that is not there gives. It writes nothing, and fails where something is done
// with it.
type undefined struct{ hint string }

// pyBytes is Python's bytes.
type pyBytes string

// list is a list or a tuple; its items are values, or JSON that becomes values when it is looked at.
type list struct {
	items []any
	json  []*entityv1.Value
	tuple bool
}

func (l *list) length() int { return len(l.items) + len(l.json) }

func (l *list) at(i int) any {
	if l.json != nil {
		return fromValue(l.json[i])
	}
	return l.items[i]
}

// dict is a dict. Its items are in the order of their insertion, or the fields of JSON, which are sorted by name.
type dict struct {
	json   []*entityv1.Field
	keys   []any
	values []any
	index  map[any]int
}

func (d *dict) length() int { return len(d.keys) + len(d.json) }

func (d *dict) at(i int) (key, value any) {
	if d.json != nil {
		return d.json[i].GetName(), fromValue(d.json[i].GetValue())
	}
	return d.keys[i], d.values[i]
}

// get finds a key. It fails on what cannot be a key.
func (d *dict) get(key any) (value any, ok bool, err error) {
	if d.json != nil {
		if name, is := key.(string); is {
			if field := findField(d.json, name); field != nil {
				return fromValue(field.GetValue()), true, nil
			}
			return nil, false, nil
		}
	}
	hashed, err := hash(key, 0)
	if err != nil {
		return nil, false, err
	}
	value, ok = d.hashed(hashed)
	return value, ok, nil
}

// hashed finds a key by its hash.
func (d *dict) hashed(hash any) (any, bool) {
	i, ok := d.index[hash]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

// put sets a key, of a dict that nobody has seen yet.
func (d *dict) put(key, value any) error {
	hashed, err := hash(key, 0)
	if err != nil {
		return err
	}
	d.putHashed(hashed, key, value)
	return nil
}

func (d *dict) putHashed(hashed, key, value any) {
	if i, ok := d.index[hashed]; ok {
		d.values[i] = value
		return
	}
	if d.index == nil {
		d.index = map[any]int{}
	}
	d.index[hashed] = len(d.keys)
	d.keys, d.values = append(d.keys, key), append(d.values, value)
}

// get is d.get, for a key that a template may have made as large as it likes, and pays for that.
func (r *run) get(d *dict, key any) (value any, ok bool, err error) {
	if _, is := key.(string); is && d.json != nil {
		if err := r.step(reading(key)); err != nil {
			return nil, false, err
		}
		return d.get(key)
	}
	hashed, err := r.hash(key)
	if err != nil {
		return nil, false, err
	}
	value, ok = d.hashed(hashed)
	return value, ok, nil
}

// put is d.put, for such a key.
func (r *run) put(d *dict, key, value any) error {
	hashed, err := r.hash(key)
	if err == nil {
		d.putHashed(hashed, key, value)
	}
	return err
}

// findField is the field of a name; fields are sorted by it.
func findField(fields []*entityv1.Field, name string) *entityv1.Field {
	i := sort.Search(len(fields), func(i int) bool { return fields[i].GetName() >= name })
	if i < len(fields) && fields[i].GetName() == name {
		return fields[i]
	}
	return nil
}

// rangeSeq is Python's range.
type rangeSeq struct{ start, stop, step, n int64 }

// namespace is the one thing that {% set %} can change.
type namespace struct{ attrs dict }

// unavailable is a function of Home Assistant that needs what a template of MQTT does not have here.
type unavailable struct{ name string }

func (u *unavailable) err() error {
	return failf("%s is not available: a template of MQTT sees its payload and its variables alone", u.name)
}
