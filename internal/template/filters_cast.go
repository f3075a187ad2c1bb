package template

import (
	"math"
	"math/big"
	"strings"
)

// castFilters make one type of another. All are functions too.
var castFilters = []*builtin{
	define("float", "value default?", func(r *run, a []any) (any, error) {
		f, ok, err := number(a[0])
		if err != nil {
			return nil, err
		}
		if !ok {
			return fallback(r, "float", a[0], a[1])
		}
		return f, nil
	}),
	define("int", "value default? base?", castInt),
	define("bool", "value default?", castBool),
	define("is_number", "value", isNumeric),
	define("iif", "value if_true? if_false? if_none?", iif),
}

// castInt is int(): of a text the integer it is, or its float without a fraction.
func castInt(r *run, a []any) (any, error) {
	base, err := argInt("int", a[2], 10)
	if err != nil {
		return nil, err
	}
	if s, ok := a[0].(string); ok {
		// Digits cost more the more there are: 4,300 of them take as long as 700 steps.
		if err := r.step(min(len(s), maxDigits) / 4); err != nil {
			return nil, err
		}
		if n, ok := parseInt(s, base); ok {
			return n, nil
		}
	} else if n, ok := toInt(a[0]); ok {
		return n, nil
	}
	f, ok, err := number(a[0])
	if err != nil {
		return nil, err
	}
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return fallback(r, "int", a[0], a[1])
	}
	return truncate(f), nil
}

// castBool is what Home Assistant's configuration takes for a bool.
func castBool(r *run, a []any) (any, error) {
	switch v := a[0].(type) {
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(pyStrip(clip(v, 1000))) {
		case "1", "true", "yes", "on", "enable":
			return true, nil
		case "0", "false", "no", "off", "disable":
			return false, nil
		}
	case int64, float64, *big.Int:
		return truth(v), nil
	}
	return fallback(r, "bool", a[0], a[1])
}

func isNumeric(_ *run, a []any) (any, error) {
	f, ok, err := number(a[0])
	return ok && finite(f) && f == f, err
}
