package filter

import (
	"math"

	"google.golang.org/protobuf/proto"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"github.com/statehouse/statehouse/internal/regex"
)

const (
	// maxCost is what an expression may cost for one entity, in the units of CEL: about one for each operation, and one
	// for each ten bytes of a text that is read.
	maxCost = 2000
	// perUnit is how many bytes of a text, or items of a list, are read for one unit.
	perUnit = 10
	// zoneCost is what a time in a zone that is named costs: the zone is read from a file.
	zoneCost = 100
	// search is the function that matches becomes. Under its own name CEL would put its own in its place.
	search = "search"
)

// costs are what the calls of an expression cost. CEL's own figures say one for calls that read a long text, for lists that
// are added to themselves and for comparing lists in lists, which is exponential; and the same for whatever it does not know
// the type of. So they are counted here by what their arguments are.
type costs struct{ patterns map[string]*regex.Regex }

// CallCost implements [interpreter.ActualCostEstimator]; nil is what CEL says.
func (c costs) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	n := 0
	switch {
	case function == operators.Conditional:
		return nil
	case len(args) == 2 && (function == operators.Equals || function == operators.NotEquals):
		n = comparison(args[0], args[1])
	case len(args) == 2 && function == operators.In:
		n = weight(args[1], maxCost)
	case len(args) == 2 && function == search:
		n = c.search(args[0], args[1])
	case len(args) == 2 && args[0] != nil && args[0].Type() == types.TimestampType && args[1] != nil && args[1].Type() == types.StringType:
		n = zoneCost + length(args[1])/perUnit
	case len(args) == 2 && function == operators.Add && isList(args[1]):
		n = 1 + length(args[1])/perUnit // the first one is not copied
	default:
		for _, a := range args {
			n += length(a) / perUnit
		}
		if n == 0 {
			return nil
		}
		n++
	}
	cost := uint64(max(n, 1))
	return &cost
}

// search is what it costs to search a text for a pattern.
func (c costs) search(text, pattern ref.Val) int {
	s, isText := text.(types.String)
	p, isPattern := pattern.(types.String)
	if re := c.patterns[string(p)]; isText && isPattern && re != nil {
		return re.Cost(len(s))
	}
	return 1 // it was refused
}

// bound makes a call that costs more before it is charged than an expression may fail first. Others stay what they are.
// What CEL charges for a call it charges afterwards.
func (c costs) bound(call interpreter.InterpretableCall) interpreter.InterpretableCall {
	var of func(a, b ref.Val) ref.Val
	function := call.Function()
	switch function {
	case operators.Equals:
		of = types.Equal
	case operators.NotEquals:
		of = func(a, b ref.Val) ref.Val { return types.Bool(types.Equal(a, b) != types.True) }
	case operators.In:
		of = within
	case overloads.Matches:
		function, of = search, c.match
	default:
		return call
	}
	return interpreter.NewCall(call.ID(), function, call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
		if len(args) != 2 {
			return types.NoSuchOverloadErr()
		}
		if n := c.CallCost(function, "", args, nil); *n > maxCost {
			return types.NewErr("%s costs more than a filter may", call.Function()) // the charge will end the evaluation
		}
		return of(args[0], args[1])
	})
}

func (c costs) match(text, pattern ref.Val) ref.Val {
	s, isText := text.(types.String)
	p, isPattern := pattern.(types.String)
	re := c.patterns[string(p)]
	if !isText || !isPattern || re == nil {
		return types.NoSuchOverloadErr()
	}
	return types.Bool(re.MatchString(string(s)))
}

// within is CEL's in.
func within(value, container ref.Val) ref.Val {
	if c, ok := container.(traits.Container); ok {
		return c.Contains(value)
	}
	return types.ValOrErr(container, "no such overload")
}

func isList(v ref.Val) bool {
	_, ok := v.(traits.Lister)
	return ok
}

// length is the length of what has one: a text in bytes, the number of items; 0 for others.
func length(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	case traits.Sizer:
		if n, ok := v.Size().(types.Int); ok {
			return int(min(int64(n), math.MaxInt32))
		}
	}
	return 0
}

// comparison is what it costs to compare two values: as much as the smaller one is large.
func comparison(a, b ref.Val) int { return weight(a, weight(b, maxCost)) }

// weight is how much there is to read in a value, with all that is in it. It stops counting a little beyond the limit: a list
// that holds another one twice, and that the same, soon has more in it than can be counted.
func weight(v ref.Val, limit int) int {
	n := 1
	switch v := v.(type) {
	case types.String, types.Bytes:
		n += length(v) / perUnit
	case traits.Lister: // also what is in a message; a map is none
		for it := v.Iterator(); n <= limit && it.HasNext() == types.True; {
			n += weight(it.Next(), limit-n)
		}
	case traits.Mapper:
		for it := v.Iterator(); n <= limit && it.HasNext() == types.True; {
			key := it.Next()
			n += weight(key, limit-n) + weight(v.Get(key), limit-n)
		}
	case nil:
	default:
		if m, ok := v.Value().(proto.Message); ok {
			n += proto.Size(m) / perUnit
		}
	}
	return min(n, limit+1)
}
