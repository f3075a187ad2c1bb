package discovery

import (
	"math"
	"strconv"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// number is a value that is a number, also in a string.
func number(v *entityv1.Value) (float64, bool) {
	if f, ok := dialect.DoubleOf(v); ok {
		return f, true
	}
	s, ok := dialect.TextOf(v)
	if !ok {
		return 0, false
	}
	return parseNumber(s)
}

// parseNumber reads a finite number.
func parseNumber(s string) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
}
