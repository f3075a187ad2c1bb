package filter

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"

	"github.com/statehouse/statehouse/internal/regex"
)

// refuse refuses what a filter has no use for and what has no bound, before the types are worked out. The type of a map in
// a map, {a: a}, is twice as large as that of the map, and so with a few of them larger than anything; a message with lists
// in it is written out, in which the same list may be many times.
func refuse(parsed *cel.Ast) error {
	var err error
	macros := 0
	tree := parsed.NativeRep()
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if err != nil {
			return
		}
		where := place(tree.SourceInfo().GetStartLocation(e.ID()))
		switch e.Kind() {
		case ast.MapKind:
			err = fmt.Errorf("at %s: a map, as in {\"a\": 1}, is not possible here; lists are, as in [1, 2]", where)
		case ast.StructKind:
			err = fmt.Errorf("at %s: a message, as in %s{}, is not possible here", where, e.AsStruct().TypeName())
		case ast.ComprehensionKind:
			if macros++; macros > maxMacros {
				err = fmt.Errorf("at %s: more than %d macros, as all and exists, are not possible", where, maxMacros)
			}
		}
	}))
	return err
}

// plan makes a program of an expression: what is constant is worked out once, and all that it does is bounded.
func plan(env *cel.Env, checked *cel.Ast) (cel.Program, error) {
	c := costs{patterns: map[string]*regex.Regex{}}
	var budget regex.Budget
	info := checked.NativeRep().SourceInfo()
	decorate := func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		call, ok := i.(interpreter.InterpretableCall)
		if !ok {
			return i, nil
		}
		if call.Function() == overloads.Matches && len(call.Args()) == 2 {
			if err := c.compile(&budget, call.Args()[1]); err != nil {
				return nil, fmt.Errorf("at %s: %w", place(info.GetStartLocation(call.ID())), err)
			}
		}
		return c.bound(call), nil
	}
	return env.Program(checked, cel.CustomDecoratorV2(decorate), cel.EvalOptions(cel.OptOptimize), cel.CostTracking(c),
		cel.CostLimit(maxCost), cel.InterruptCheckFrequency(checkEvery))
}

// compile compiles the pattern of a call of matches, once for the whole expression.
func (c costs) compile(budget *regex.Budget, argument interpreter.InterpretableV2) error {
	constant, ok := argument.(interpreter.InterpretableConst)
	if !ok {
		return errors.New(`the pattern of matches has to be written as a text, as in name.matches("(?i)lamp"); it cannot be worked out`)
	}
	text, ok := constant.Value().(types.String)
	if !ok || c.patterns[string(text)] != nil {
		return nil // what is no text the types refuse, or the call
	}
	re, err := budget.Compile("", string(text))
	if err != nil {
		return err
	}
	c.patterns[string(text)] = re
	return nil
}
