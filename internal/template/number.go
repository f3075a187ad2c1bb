package template

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// maxDigits is how many digits an integer may have, as in Python where it becomes text. maxBits is about as much.
const (
	maxDigits = 4300
	maxBits   = 14_300
)

// normal is an integer in the form that values have.
func normal(n *big.Int) any {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

// bounded is normal for what was calculated.
func bounded(n *big.Int) (any, error) {
	if n.BitLen() > maxBits {
		return nil, errBigNumber()
	}
	return normal(n), nil
}

func errBigNumber() error {
	return failBound("an integer of more than %d digits", maxDigits)
}

// toInt is an integer or a bool as an integer.
func toInt(v any) (any, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return int64(1), true
		}
		return int64(0), true
	case int64, *big.Int:
		return v, true
	}
	return nil, false
}

func toBig(v any) *big.Int {
	switch v := v.(type) {
	case int64:
		return big.NewInt(v)
	case *big.Int:
		return v
	}
	return new(big.Int)
}

// toFloat is a number as a float. It fails on an integer that is too large for one.
func toFloat(v any) (float64, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case int64:
		return float64(v), nil
	case float64:
		return v, nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		if math.IsInf(f, 0) {
			return 0, failf("int too large to convert to float")
		}
		return f, nil
	}
	return 0, failf("must be real number, not %s", typeName(v))
}

// floatToInt is a float as an integer, if it is one.
func floatToInt(f float64) (any, bool) {
	if f != math.Trunc(f) || math.IsInf(f, 0) {
		return nil, false
	}
	return truncate(f), true
}

// truncate is a finite float without its fraction.
func truncate(f float64) any {
	if f > -1<<62 && f < 1<<62 {
		return int64(f)
	}
	n, _ := big.NewFloat(f).Int(nil)
	return normal(n)
}

// parseFloat reads what Python's float() does.
func parseFloat(s string) (float64, bool) {
	s = pyStrip(s)
	word := strings.ToLower(strings.TrimLeft(s, "+-"))
	switch word {
	case "inf", "infinity", "nan":
		if len(s)-len(word) > 1 {
			return 0, false
		}
	default:
		if strings.Trim(s, "0123456789+-.eE_") != "" || strings.HasPrefix(s, "_") || len(s) > maxDigits {
			return 0, false
		}
		for i := range len(s) {
			if s[i] == '_' && (i+1 == len(s) || !isDigit(s[i-1]) || !isDigit(s[i+1])) {
				return 0, false
			}
		}
		s = strings.ReplaceAll(s, "_", "")
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || math.IsInf(f, 0)
}

// parseInt reads what Python's int() does.
func parseInt(s string, base int) (any, bool) {
	s = pyStrip(s)
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" || len(s) > maxDigits || strings.HasPrefix(digits, "_") && base != 0 || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
		return nil, false
	}
	if len(digits) > 2 && digits[0] == '0' {
		prefix := map[byte]int{'x': 16, 'o': 8, 'b': 2}[digits[1]|0x20]
		if prefix != 0 && prefix == base {
			s = strings.Replace(s, digits, digits[2:], 1)
		}
	}
	if base != 0 {
		s = strings.ReplaceAll(s, "_", "")
	}
	if base != 0 && (base < 2 || base > 36) {
		return nil, false
	}
	n, ok := new(big.Int).SetString(s, base)
	if !ok || n.BitLen() > maxBits {
		return nil, false
	}
	return normal(n), true
}

// arithmetic calculates with two numbers.
func arithmetic(op string, a, b any) (any, error) {
	x, xInt := toInt(a)
	y, yInt := toInt(b)
	if xInt && yInt && op != "/" {
		return intArithmetic(op, x, y)
	}
	f, err := toFloat(a)
	if err != nil {
		return nil, err
	}
	g, err := toFloat(b)
	if err != nil {
		return nil, err
	}
	switch op {
	case "+":
		return f + g, nil
	case "-":
		return f - g, nil
	case "*":
		return f * g, nil
	case "**":
		return floatPower(f, g)
	}
	if g == 0 {
		return nil, failf("division by zero")
	}
	if op == "/" {
		return f / g, nil
	}
	quotient, remainder := floatDivMod(f, g)
	if op == "//" {
		return quotient, nil
	}
	return remainder, nil
}

func floatPower(f, g float64) (any, error) {
	if f == 0 && g < 0 {
		return nil, failf("0.0 cannot be raised to a negative power")
	}
	power := math.Pow(f, g)
	if math.IsNaN(power) && f < 0 && !math.IsInf(f, 0) && g == g {
		return nil, failf("a negative number to a fractional power is complex, which templates do not know")
	}
	if math.IsInf(power, 0) && !math.IsInf(f, 0) && !math.IsInf(g, 0) {
		return nil, failf("the result is too large for a float")
	}
	return power, nil
}

// floatDivMod divides as Python does: the remainder has the sign of the divisor.
func floatDivMod(f, g float64) (quotient, remainder float64) {
	remainder = math.Mod(f, g)
	quotient = (f - remainder) / g
	if remainder != 0 {
		if (g < 0) != (remainder < 0) {
			remainder += g
			quotient--
		}
	} else {
		remainder = math.Copysign(0, g)
	}
	if quotient == 0 {
		return math.Copysign(0, f/g), remainder
	}
	floor := math.Floor(quotient)
	if quotient-floor > 0.5 {
		floor++
	}
	return floor, remainder
}

func intArithmetic(op string, x, y any) (any, error) {
	if a, ok := x.(int64); ok {
		if b, ok := y.(int64); ok {
			if v, ok := smallArithmetic(op, a, b); ok {
				return v, nil
			}
		}
	}
	a, b := toBig(x), toBig(y)
	n := new(big.Int)
	switch op {
	case "+":
		return bounded(n.Add(a, b))
	case "-":
		return bounded(n.Sub(a, b))
	case "*":
		return bounded(n.Mul(a, b))
	case "**":
		return intPower(a, b)
	}
	if b.Sign() == 0 {
		return nil, failf("integer division or modulo by zero")
	}
	quotient, remainder := new(big.Int).QuoRem(a, b, new(big.Int))
	if remainder.Sign() != 0 && remainder.Sign() != b.Sign() {
		quotient.Sub(quotient, big.NewInt(1))
		remainder.Add(remainder, b)
	}
	if op == "//" {
		return normal(quotient), nil
	}
	return normal(remainder), nil
}

// smallArithmetic does what cannot leave 64 bits.
func smallArithmetic(op string, a, b int64) (any, bool) {
	switch op {
	case "+":
		if sum := a + b; (sum > a) == (b > 0) {
			return sum, true
		}
	case "-":
		if difference := a - b; (difference < a) == (b > 0) {
			return difference, true
		}
	case "*":
		high, low := bits.Mul64(abs64(a), abs64(b))
		if high == 0 && low < 1<<63 {
			return a * b, true
		}
	}
	return nil, false
}

func abs64(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func intPower(a, b *big.Int) (any, error) {
	if b.Sign() < 0 {
		f, err := toFloat(normal(a))
		if err != nil {
			return nil, err
		}
		g, err := toFloat(normal(b))
		if err != nil {
			return nil, err
		}
		return floatPower(f, g)
	}
	if a.BitLen() > 1 && (!b.IsInt64() || b.Int64() > maxBits || int64(a.BitLen()-1)*b.Int64() > maxBits) {
		return nil, errBigNumber()
	}
	if a.BitLen() <= 1 { // -1, 0 and 1 to a power, whatever its size
		b = new(big.Int).SetInt64(int64(b.Bit(0)) + 2*int64(min(1, b.BitLen()/2)))
	}
	return bounded(new(big.Int).Exp(a, b, nil))
}

// bitwise does &, | and ^ on two integers.
func bitwise(op string, a, b any) (any, error) {
	x, ok := toInt(a)
	y, also := toInt(b)
	if !ok || !also {
		for _, v := range []any{a, b} {
			if u, is := v.(*undefined); is {
				return nil, errUndefined(u)
			}
		}
		return nil, failf("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(a), typeName(b))
	}
	n := new(big.Int)
	switch op {
	case "&":
		n.And(toBig(x), toBig(y))
	case "|":
		n.Or(toBig(x), toBig(y))
	default:
		n.Xor(toBig(x), toBig(y))
	}
	if _, is := a.(bool); is {
		if _, is := b.(bool); is {
			return n.Sign() != 0, nil
		}
	}
	return normal(n), nil
}

// roundFloat is Python's round() of a float to a number of digits.
func roundFloat(f float64, digits int) float64 {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0) || digits > 323:
		return f
	case digits < -308:
		return math.Copysign(0, f)
	case digits >= 0:
		rounded, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', digits, 64), 64)
		return rounded
	}
	power := math.Pow(10, float64(-digits))
	return math.RoundToEven(f/power) * power
}
