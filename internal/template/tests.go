package template

import (
	"math/big"
	"strings"
)

// tests are what "is" asks for.
var tests = []*builtin{
	is("defined", func(v any) bool { _, undef := v.(*undefined); return !undef }),
	is("undefined", func(v any) bool { _, undef := v.(*undefined); return undef }),
	is("none", func(v any) bool { return v == nil }),
	is("boolean", func(v any) bool { _, ok := v.(bool); return ok }),
	is("true", func(v any) bool { return v == true }),
	is("false", func(v any) bool { return v == false }),
	is("number", isNumber),
	is("float", func(v any) bool { _, ok := v.(float64); return ok }),
	is("integer", func(v any) bool {
		switch v.(type) {
		case int64, *big.Int:
			return true
		}
		return false
	}),
	is("string", func(v any) bool { _, ok := v.(string); return ok }),
	is("string_like", func(v any) bool {
		switch v.(type) {
		case string, pyBytes:
			return true
		}
		return false
	}),
	is("mapping", func(v any) bool { _, ok := v.(*dict); return ok }),
	is("iterable", func(v any) bool { _, _, err := items(v); return err == nil }),
	is("sequence", func(v any) bool { _, _, err := items(v); return err == nil }),
	is("list", func(v any) bool { l, ok := v.(*list); return ok && !l.tuple }),
	is("tuple", func(v any) bool { l, ok := v.(*list); return ok && l.tuple }),
	is("set", func(any) bool { return false }),
	is("datetime", func(v any) bool { _, ok := v.(*datetime); return ok }),
	is("callable", func(v any) bool { _, ok := v.(callable); return ok }),
	is("escaped", func(any) bool { return false }),
	define("lower", "value", func(r *run, a []any) (any, error) { return isCase(r, a[0], strings.ToLower, strings.ToUpper) }),
	define("upper", "value", func(r *run, a []any) (any, error) { return isCase(r, a[0], strings.ToUpper, strings.ToLower) }),
	define("odd", "value", func(r *run, a []any) (any, error) { return remainderIs(r, a[0], int64(2), int64(1)) }),
	define("even", "value", func(r *run, a []any) (any, error) { return remainderIs(r, a[0], int64(2), int64(0)) }),
	define("divisibleby", "value num", func(r *run, a []any) (any, error) { return remainderIs(r, a[0], a[1], int64(0)) }),
	define("sameas", "value other", func(r *run, a []any) (any, error) {
		if typeName(a[0]) != typeName(a[1]) {
			return false, nil
		}
		return r.equal(a[0], a[1])
	}),
	comparing("eq", "=="), comparing("ne", "!="), comparing("lt", "<"), comparing("le", "<="), comparing("gt", ">"),
	comparing("ge", ">="), comparing("in", "in"),
	define("contains", "value item", func(r *run, a []any) (any, error) { return r.contains(a[0], a[1]) }),
	define("match", "value find? ignorecase?", func(r *run, a []any) (any, error) { return regexMatches(r, a, `\A`) }),
	define("search", "value find? ignorecase?", func(r *run, a []any) (any, error) { return regexMatches(r, a, "") }),
	define("is_number", "value", isNumeric),
}

func is(name string, f func(any) bool) *builtin {
	return define(name, "value", func(_ *run, a []any) (any, error) { return f(a[0]), nil })
}

func comparing(name, op string) *builtin {
	return define(name, "value other", func(r *run, a []any) (any, error) { return r.compare(op, a[0], a[1]) })
}

func isCase(r *run, v any, same, other func(string) string) (any, error) {
	s, err := r.str(v)
	if err != nil {
		return nil, err
	}
	return same(s) == s && other(s) != s, r.text(2 * len(s))
}

func remainderIs(r *run, v, by, want any) (any, error) {
	remainder, err := r.binary("%", v, by)
	if err != nil {
		return nil, err
	}
	return r.equal(remainder, want)
}
