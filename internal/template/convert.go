package template

import (
	"fmt"
	"math/big"
	"sort"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// hashed keys of what Go could not compare as Python does
type (
	noneKey      struct{}
	undefinedKey struct{}
	bigKey       string
	tupleKey     string
)

// hash is a key for Go's maps that is equal exactly if Python holds the keys for equal.
func hash(v any, depth int) (any, error) {
	switch v := v.(type) {
	case nil:
		return noneKey{}, nil
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case int64, string, pyBytes, timedelta:
		return v, nil
	case *big.Int:
		return bigKey(v.String()), nil
	case float64:
		if n, ok := floatToInt(v); ok {
			return hash(n, depth)
		}
		return v, nil
	case *undefined:
		return undefinedKey{}, nil
	case *datetime:
		return v.t.UnixMicro(), nil
	case *list:
		if !v.tuple {
			break
		}
		key, err := appendKey(nil, v, depth)
		return tupleKey(key), err
	case *namespace, *loopState, *rangeSeq, callable:
		return v, nil
	}
	return nil, failf("unhashable type: '%s'", typeName(v))
}

// appendKey appends what a tuple is as a key: how many items it has, and each of them with its length.
func appendKey(b []byte, tuple *list, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, failf("tuples are nested more than %d deep", maxDepth)
	}
	b = fmt.Appendf(b, "(%d", tuple.length())
	for i := range tuple.length() {
		item := tuple.at(i)
		if inner, ok := item.(*list); ok && inner.tuple {
			var err error
			if b, err = appendKey(b, inner, depth+1); err != nil {
				return nil, err
			}
			continue
		}
		part, err := hash(item, depth+1)
		if err != nil {
			return nil, err
		}
		verb := "%T:%v"
		switch part.(type) {
		case *namespace, *loopState, *rangeSeq, callable:
			verb = "%T:%p" // itself, and not what is in it
		}
		text := fmt.Sprintf(verb, part, part)
		if b = fmt.Appendf(b, "%d:%s", len(text), text); len(b) > maxString/64 {
			return nil, failBound("a tuple as a key")
		}
	}
	return b, nil
}

// hash is hash of a value that a template may have made as large as it likes, and pays for that.
func (r *run) hash(v any) (any, error) {
	if err := r.step(reading(v)); err != nil {
		return nil, err
	}
	hashed, err := hash(v, 0)
	if key, ok := hashed.(tupleKey); ok && err == nil {
		err = r.step(len(key) / 4) // it is written, number by number
	}
	return hashed, err
}

// fromValue makes a value of JSON. Objects and arrays stay as they are, and are looked into when a template does.
func fromValue(v *entityv1.Value) any {
	switch k := v.GetKind().(type) {
	case *entityv1.Value_BoolValue:
		return k.BoolValue
	case *entityv1.Value_IntValue:
		return k.IntValue
	case *entityv1.Value_DoubleValue:
		return k.DoubleValue
	case *entityv1.Value_NumberValue:
		f, _ := parseFloat(k.NumberValue)
		return f
	case *entityv1.Value_StringValue:
		return k.StringValue
	case *entityv1.Value_BytesValue:
		return pyBytes(k.BytesValue)
	case *entityv1.Value_ListValue:
		return &list{json: k.ListValue.GetValues()}
	case *entityv1.Value_StructValue:
		return &dict{json: k.StructValue.GetFields()}
	}
	return nil
}

// fromGo makes a value of a variable that the caller gives.
func fromGo(v any) any {
	switch v := v.(type) {
	case nil, bool, int64, float64, string:
		return v
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case uint64:
		return normal(new(big.Int).SetUint64(v))
	case float32:
		return float64(v)
	case []byte:
		return pyBytes(v)
	case time.Time:
		return &datetime{t: v}
	case []string:
		l := &list{}
		for _, s := range v {
			l.items = append(l.items, s)
		}
		return l
	case []any:
		l := &list{}
		for _, item := range v {
			l.items = append(l.items, fromGo(item))
		}
		return l
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Strings(names)
		d := &dict{}
		for _, name := range names {
			_ = d.put(name, fromGo(v[name])) // a string can always be a key
		}
		return d
	case *entityv1.Value:
		return fromValue(v)
	}
	return &undefined{hint: fmt.Sprintf("a variable is a %T, which templates do not know", v)}
}

// typeName is Python's name of a value's type.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case pyBytes:
		return "bytes"
	case *list:
		if v.tuple {
			return "tuple"
		}
		return "list"
	case *dict:
		return "dict"
	case *rangeSeq:
		return "range"
	case *namespace:
		return "Namespace"
	case *datetime:
		return "datetime"
	case timedelta:
		return "timedelta"
	case *undefined:
		return "LoggingUndefined"
	case *loopState:
		return "LoopContext"
	}
	return "function"
}

// truth is Python's bool().
func truth(v any) bool {
	switch v := v.(type) {
	case nil, *undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case pyBytes:
		return v != ""
	case *list:
		return v.length() > 0
	case *dict:
		return v.length() > 0
	case *rangeSeq:
		return v.n > 0
	case timedelta:
		return v != 0
	}
	return true
}

// each visits the items of what can be iterated over, and pays for each. It stops at the first error.
func (r *run) each(v any, visit func(any) error) error {
	if s, ok := v.(string); ok {
		for _, c := range s {
			if err := r.step(1); err != nil {
				return err
			}
			if err := visit(string(c)); err != nil {
				return err
			}
		}
		return nil
	}
	n, at, err := items(v)
	if err != nil {
		return err
	}
	for i := range n {
		if err := r.step(1); err != nil {
			return err
		}
		if err := visit(at(i)); err != nil {
			return err
		}
	}
	return nil
}

// items gives access to what has items: their number, and one of them. A dict's are its keys.
func items(v any) (n int, at func(int) any, err error) {
	switch v := v.(type) {
	case *undefined:
		return 0, nil, nil
	case *list:
		return v.length(), v.at, nil
	case *dict:
		return v.length(), func(i int) any { key, _ := v.at(i); return key }, nil
	case *rangeSeq:
		return int(v.n), func(i int) any { return v.start + int64(i)*v.step }, nil
	case pyBytes:
		return len(v), func(i int) any { return int64(v[i]) }, nil
	case string:
		runes := []rune(v)
		return len(runes), func(i int) any { return string(runes[i]) }, nil
	case *unavailable:
		return 0, nil, v.err()
	}
	return 0, nil, failf("'%s' object is not iterable", typeName(v))
}

// slice is what can be iterated over, as a Go slice.
func (r *run) slice(v any) ([]any, error) {
	var all []any
	err := r.each(v, func(item any) error {
		all = append(all, item)
		if len(all) > maxItems {
			return r.items(len(all))
		}
		return nil
	})
	return all, err
}
