package template

import (
	"math"
	"math/big"
)

// numberFilters calculate. Most are functions too.
var numberFilters = []*builtin{
	define("abs", "x", func(_ *run, a []any) (any, error) {
		switch v := a[0].(type) {
		case float64:
			return math.Abs(v), nil
		case timedelta:
			return max(v, -v), nil
		case *undefined:
			return nil, errUndefined(v)
		}
		n, ok := toInt(a[0])
		if !ok {
			return nil, failf("bad operand type for abs(): '%s'", typeName(a[0]))
		}
		return normal(new(big.Int).Abs(toBig(n))), nil
	}),
	define("round", "value precision? method? default?", roundFilter),
	define("multiply", "value amount default?", func(r *run, a []any) (any, error) { return calculate(r, "multiply", "*", a) }),
	define("add", "value amount default?", func(r *run, a []any) (any, error) { return calculate(r, "add", "+", a) }),
	define("log", "value base? default?", logarithm),
	real("sqrt", math.Sqrt, func(x float64) bool { return x >= 0 || x != x }),
	real("sin", math.Sin, finite), real("cos", math.Cos, finite), real("tan", math.Tan, finite),
	real("asin", math.Asin, unit), real("acos", math.Acos, unit), real("atan", math.Atan, nil),
	define("atan2", "args*", atan2),
	define("average", "args*", func(r *run, a []any) (any, error) { return statistic(r, "average", a) }),
	define("median", "args*", func(r *run, a []any) (any, error) { return statistic(r, "median", a) }),
	define("bitwise_and", "first_value second_value", func(_ *run, a []any) (any, error) { return bitwise("&", a[0], a[1]) }),
	define("bitwise_or", "first_value second_value", func(_ *run, a []any) (any, error) { return bitwise("|", a[0], a[1]) }),
	define("bitwise_xor", "first_value second_value", func(_ *run, a []any) (any, error) { return bitwise("^", a[0], a[1]) }),
	define("clamp", "value min_value max_value", func(_ *run, a []any) (any, error) {
		f, err := floats("clamp", a)
		if err != nil {
			return nil, err
		}
		return math.Max(f[1], math.Min(f[2], f[0])), nil
	}),
	define("wrap", "value min_value max_value", func(_ *run, a []any) (any, error) {
		f, err := floats("wrap", a)
		if err != nil {
			return nil, err
		}
		span := f[2] - f[1]
		if span == 0 {
			return f[1], nil
		}
		_, remainder := floatDivMod(f[0]-f[1], span)
		return remainder + f[1], nil
	}),
	define("remap", "value in_min in_max out_min out_max", func(_ *run, a []any) (any, error) {
		f, err := floats("remap", a)
		if err != nil {
			return nil, err
		}
		if f[1] == f[2] {
			return nil, failf("remap: in_min and in_max are equal")
		}
		return f[3] + (f[0]-f[1])*(f[4]-f[3])/(f[2]-f[1]), nil
	}),
}

func finite(x float64) bool { return x-x == 0 || x != x }
func unit(x float64) bool   { return x >= -1 && x <= 1 || x != x }

// number is Python's float(v). Ok is false where that raises a ValueError or a TypeError, for which there may be a default.
func number(v any) (f float64, ok bool, err error) {
	switch v := v.(type) {
	case string:
		f, ok = parseFloat(v)
		return f, ok, nil
	case pyBytes:
		f, ok = parseFloat(string(v))
		return f, ok, nil
	case *undefined:
		return 0, false, errUndefined(v)
	}
	if !isNumber(v) {
		return 0, false, nil
	}
	f, err = toFloat(v)
	return f, err == nil, err
}

// floats are arguments that all have to be numbers.
func floats(name string, a []any) ([]float64, error) {
	all := make([]float64, len(a))
	for i, v := range a {
		f, ok, err := number(v)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, failf("%s requires numeric arguments", name)
		}
		all[i] = f
	}
	return all, nil
}

// fallback is the default where there is one, and else the error that there is none.
func fallback(r *run, name string, value, otherwise any) (any, error) {
	if otherwise == missing {
		return nil, errNoDefault(r, name, value)
	}
	return otherwise, nil
}

func roundFilter(r *run, a []any) (any, error) {
	digits, isInt := toInt(or(a[1], int64(0)))
	precision, small := digits.(int64)
	f, ok, err := number(a[0])
	if err != nil {
		return nil, err
	}
	if !ok || !isInt {
		return fallback(r, "round", a[0], a[3])
	}
	if !small || precision > 308 || precision < -308 {
		return nil, failf("round: a precision of %v; want one from -308 to 308", digits)
	}
	multiplier := math.Pow(10, float64(precision))
	if !finite(f) || f != f {
		if precision == 0 || or(a[2], "") == "ceil" || or(a[2], "") == "floor" || or(a[2], "") == "half" {
			if f != f {
				return fallback(r, "round", a[0], a[3])
			}
			return nil, failf("cannot convert float infinity to integer")
		}
		return f, nil
	}
	switch or(a[2], "common") {
	case "ceil":
		f = math.Ceil(f*multiplier) / multiplier
	case "floor":
		f = math.Floor(f*multiplier) / multiplier
	case "half":
		f = math.RoundToEven(f*2) / 2
	default:
		f = roundFloat(f, int(precision))
	}
	if precision == 0 && finite(f) {
		return truncate(f), nil
	}
	return f, nil
}

// calculate is add and multiply: the value as a float, and the amount as it is.
func calculate(r *run, name, op string, a []any) (any, error) {
	f, ok, err := number(a[0])
	if err != nil {
		return nil, err
	}
	if u, is := a[1].(*undefined); is {
		return nil, errUndefined(u)
	}
	if !ok || !isNumber(a[1]) {
		return fallback(r, name, a[0], a[2])
	}
	return arithmetic(op, f, a[1])
}

// real is a function of one number; allowed says where it is defined.
func real(name string, f func(float64) float64, allowed func(float64) bool) *builtin {
	return define(name, "value default?", func(r *run, a []any) (any, error) {
		x, ok, err := number(a[0])
		if err != nil {
			return nil, err
		}
		if !ok || allowed != nil && !allowed(x) {
			return fallback(r, name, a[0], a[1])
		}
		return f(x), nil
	})
}

func logarithm(r *run, a []any) (any, error) {
	base, ok, err := number(or(a[1], math.E))
	if err != nil {
		return nil, err
	}
	if !ok {
		return fallback(r, "log", a[1], a[2])
	}
	x, ok, err := number(a[0])
	if err != nil {
		return nil, err
	}
	if !ok || x <= 0 || base <= 0 {
		return fallback(r, "log", a[0], a[2])
	}
	switch {
	case base == 1:
		return nil, failf("division by zero")
	case a[1] == missing:
		return math.Log(x) / math.Log(math.E), nil
	}
	return math.Log(x) / math.Log(base), nil
}

func atan2(r *run, a []any) (any, error) {
	otherwise := missing
	if len(a) > 0 {
		if l, ok := a[0].(*list); ok {
			if len(a) == 2 {
				otherwise = a[1]
			}
			a, _ = r.slice(l)
		} else if len(a) == 3 {
			otherwise = a[2]
		}
	}
	if len(a) < 2 {
		return nil, failf("atan2 takes two numbers")
	}
	y, ok, err := number(a[0])
	if err != nil {
		return nil, err
	}
	x, also, err := number(a[1])
	if err != nil {
		return nil, err
	}
	if !ok || !also {
		return fallback(r, "atan2", a[0], otherwise)
	}
	return math.Atan2(y, x), nil
}

// statistic is average and median, of one iterable and a default, or of several numbers.
func statistic(r *run, name string, a []any) (any, error) {
	if len(a) == 0 {
		return nil, failf("%s expected at least 1 argument, got 0", name)
	}
	values, otherwise := a, missing
	if _, _, err := items(a[0]); err == nil {
		if values, err = r.slice(a[0]); err != nil {
			return nil, err
		}
		if len(a) > 1 {
			otherwise = a[1]
		}
	} else if len(a) == 1 {
		return nil, failf("'%s' object is not iterable", typeName(a[0]))
	}
	if len(values) == 0 {
		return fallback(r, name, a[0], otherwise)
	}
	total := 0.0
	for _, v := range values {
		if u, ok := v.(*undefined); ok {
			return nil, errUndefined(u)
		}
		f, err := toFloat(v)
		if err != nil {
			return fallback(r, name, a[0], otherwise)
		}
		total += f
	}
	if name == "average" {
		return total / float64(len(values)), nil
	}
	sorted, err := r.sort(values, values, false)
	if err != nil {
		return nil, err
	}
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle], nil
	}
	both, err := arithmetic("+", sorted[middle-1], sorted[middle])
	if err != nil {
		return nil, err
	}
	return arithmetic("/", both, int64(2))
}
