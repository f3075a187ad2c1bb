package filter

import (
	"sync"

	"cel.dev/cel-go/cel"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// environment is what expressions are compiled in. To make one takes milliseconds.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Types(&entityv1.Attributes{}),
		cel.Container("statehouse.entity.v1"), // so that the names of enumerations are short
		cel.CrossTypeNumericComparisons(true), // sensors have fractions, people write 20
		cel.ParserExpressionSizeLimit(MaxExpression),
		cel.ParserRecursionLimit(maxDepth),
	}
	for _, v := range variables {
		options = append(options, cel.Variable(v.Name, v.kind))
	}
	return cel.NewEnv(options...)
})
