package template

import (
	"cmp"
	"math/big"
	"sort"
	"strings"
)

// equal is Python's ==. It pays for what it looks at.
func (r *run) equal(a, b any) (bool, error) {
	if err := r.step(1); err != nil {
		return false, err
	}
	if isNumber(a) && isNumber(b) {
		order, ok := compareNumbers(a, b)
		return ok && order == 0, r.step(reading(a, b) - 2)
	}
	switch a := a.(type) {
	case nil:
		return b == nil, nil
	case string:
		b, ok := b.(string)
		return ok && a == b, r.step(min(len(a), len(b)) / 64)
	case pyBytes:
		b, ok := b.(pyBytes)
		return ok && a == b, r.step(min(len(a), len(b)) / 64)
	case timedelta:
		return a == b, nil
	case *datetime:
		b, ok := b.(*datetime)
		return ok && a.naive == b.naive && a.t.Equal(b.t), nil
	case *undefined:
		_, ok := b.(*undefined)
		return ok, nil
	case *list:
		if b, ok := b.(*list); ok && a.tuple == b.tuple && a.length() == b.length() {
			return r.equalItems(a.length(), func(i int) (any, any, bool, error) { return a.at(i), b.at(i), true, nil })
		}
		return false, nil
	case *rangeSeq:
		b, ok := b.(*rangeSeq)
		return ok && *a == *b, nil
	case *dict:
		if b, ok := b.(*dict); ok && a.length() == b.length() {
			return r.equalItems(a.length(), func(i int) (any, any, bool, error) {
				key, value := a.at(i)
				other, ok, err := r.get(b, key)
				return value, other, ok, err
			})
		}
		return false, nil
	}
	if !isIdentity(a) || !isIdentity(b) {
		return false, nil
	}
	return a == b, nil
}

// isIdentity says whether Go may compare a value that is no list, dict, number or text.
func isIdentity(v any) bool {
	switch v.(type) {
	case *namespace, *loopState, *unavailable, *builtin, *method, *macro:
		return true
	}
	return false
}

func (r *run) equalItems(n int, pair func(int) (a, b any, ok bool, err error)) (bool, error) {
	if err := r.deeper(); err != nil {
		return false, err
	}
	defer func() { r.depth-- }()
	for i := range n {
		a, b, ok, err := pair(i)
		if err != nil || !ok {
			return false, err
		}
		if same, err := r.equal(a, b); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// order is how a and b compare for Python's <, and an error where Python has no order. Ok is false for a NaN.
func (r *run) order(op string, a, b any) (order int, ok bool, err error) {
	if err := r.step(1); err != nil {
		return 0, false, err
	}
	if isNumber(a) && isNumber(b) {
		order, ok := compareNumbers(a, b)
		return order, ok, r.step(reading(a, b) - 2)
	}
	if u, ok := a.(*undefined); ok {
		return 0, false, errUndefined(u)
	}
	if u, ok := b.(*undefined); ok {
		return 0, false, errUndefined(u)
	}
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b), true, r.step(min(len(a), len(b)) / 64)
		}
	case pyBytes:
		if b, ok := b.(pyBytes); ok {
			return strings.Compare(string(a), string(b)), true, r.step(min(len(a), len(b)) / 64)
		}
	case timedelta:
		if b, ok := b.(timedelta); ok {
			return cmp.Compare(a, b), true, nil
		}
	case *datetime:
		if b, ok := b.(*datetime); ok {
			if a.naive != b.naive {
				return 0, false, failf("can't compare offset-naive and offset-aware datetimes")
			}
			return a.t.Compare(b.t), true, nil
		}
	case *list:
		if b, ok := b.(*list); ok && a.tuple == b.tuple {
			return r.orderItems(op, a, b)
		}
	}
	return 0, false, failf("'%s' not supported between instances of '%s' and '%s'", op, typeName(a), typeName(b))
}

func (r *run) orderItems(op string, a, b *list) (int, bool, error) {
	if err := r.deeper(); err != nil {
		return 0, false, err
	}
	defer func() { r.depth-- }()
	for i := range min(a.length(), b.length()) {
		same, err := r.equal(a.at(i), b.at(i))
		if err != nil {
			return 0, false, err
		}
		if !same {
			return r.order(op, a.at(i), b.at(i))
		}
	}
	return cmp.Compare(a.length(), b.length()), true, nil
}

func isNumber(v any) bool {
	switch v.(type) {
	case bool, int64, float64, *big.Int:
		return true
	}
	return false
}

// compareNumbers compares exactly, also a float and an integer that no float holds. Ok is false for a NaN.
func compareNumbers(a, b any) (order int, ok bool) {
	x, xInt := toInt(a)
	y, yInt := toInt(b)
	if xInt && yInt {
		if x, ok := x.(int64); ok {
			if y, ok := y.(int64); ok {
				return cmp.Compare(x, y), true
			}
		}
		return toBig(x).Cmp(toBig(y)), true
	}
	if !xInt && !yInt {
		f, g := a.(float64), b.(float64)
		return cmp.Compare(f, g), f == f && g == g
	}
	if !xInt {
		order, ok = compareNumbers(b, a)
		return -order, ok
	}
	g := b.(float64)
	if g != g {
		return 0, false
	}
	if g-g != 0 { // an infinity
		return cmp.Compare(0, g), true
	}
	return new(big.Float).SetInt(toBig(x)).Cmp(big.NewFloat(g)), true
}

// contains is Python's "item in container".
func (r *run) contains(container, item any) (bool, error) {
	if err := r.step(reading(container, item)); err != nil {
		return false, err
	}
	switch c := container.(type) {
	case string:
		s, ok := item.(string)
		if u, is := item.(*undefined); is {
			return false, errUndefined(u)
		}
		if !ok {
			return false, failf("'in <string>' requires string as left operand, not %s", typeName(item))
		}
		return strings.Contains(c, s), nil
	case *dict:
		_, ok, err := r.get(c, item)
		return ok, err
	case *rangeSeq:
		n, ok := item.(int64)
		return ok && c.n > 0 && (n-c.start)%c.step == 0 && (n-c.start)/c.step >= 0 && (n-c.start)/c.step < c.n, nil
	case *undefined:
		return false, nil
	}
	n, at, err := items(container)
	if err != nil {
		return false, failf("argument of type '%s' is not iterable", typeName(container))
	}
	for i := range n {
		if same, err := r.equal(at(i), item); err != nil || same {
			return same, err
		}
	}
	return false, nil
}

// sort sorts values by their keys, keeping the order of equal ones, and fails where Python could not compare two.
func (r *run) sort(values, keys []any, reverse bool) ([]any, error) {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	var failure error
	sort.SliceStable(order, func(i, j int) bool {
		a, b := order[i], order[j]
		if failure != nil {
			return false
		}
		if reverse {
			a, b = b, a
		}
		c, ok, err := r.order("<", keys[a], keys[b])
		if err != nil {
			failure = err
		}
		return ok && c < 0
	})
	sorted := make([]any, len(values))
	for i, at := range order {
		sorted[i] = values[at]
	}
	return sorted, failure
}
