package template

import (
	"slices"
	"strconv"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// Step is one step of a path: to the field of an object, or to the element of an array.
type Step struct {
	// Name is the field, where IsIndex is false.
	Name string
	// Index is the element; a negative one counts from the end.
	Index   int64
	IsIndex bool
	// dotted is a step written as .name, for which Jinja prefers a method of that name.
	dotted bool
}

// directPath is a template that is nothing but {{ value }} or {{ value_json… }}.
type directPath struct {
	text  bool // {{ value }}
	steps []Step
}

// Path is the path of a template that is nothing but {{ value_json.x.y }}, or the same in brackets. It is empty for
// {{ value_json }} itself. A path with a step such as .items, which is a method of dict to Jinja, is none.
func (t *Template) Path() ([]Step, bool) {
	if t.direct == nil || t.direct.text {
		return nil, false
	}
	return append([]Step{}, t.direct.steps...), true
}

// directOf is the path of a template, or nil. The text around it may be blank, since what is rendered is stripped.
func directOf(body []stmt) *directPath {
	var output *outputStmt
	for _, s := range body {
		switch s := s.(type) {
		case *dataStmt:
			if pyStrip(s.text) != "" {
				return nil
			}
		case *outputStmt:
			if output != nil {
				return nil
			}
			output = s
		default:
			return nil
		}
	}
	if output == nil {
		return nil
	}
	if name, ok := output.value.(*nameExpr); ok && name.name == "value" {
		return &directPath{text: true}
	}
	steps, ok := stepsOf(output.value)
	if !ok {
		return nil
	}
	return &directPath{steps: steps}
}

// stepsOf is the path of an expression from value_json on, if it is one.
func stepsOf(e expr) (steps []Step, ok bool) {
	for {
		switch node := e.(type) {
		case *nameExpr:
			slices.Reverse(steps) // the last step is the outermost node
			return steps, node.name == "value_json"
		case *attrExpr:
			if isDictMethod(node.name) {
				return nil, false
			}
			steps, e = append(steps, Step{Name: node.name, dotted: true}), node.of
		case *itemExpr:
			step, ok := stepOf(node.key)
			if !ok {
				return nil, false
			}
			steps, e = append(steps, step), node.of
		default:
			return nil, false
		}
	}
}

// stepOf is the step that a constant in brackets makes.
func stepOf(key expr) (Step, bool) {
	sign, signed := key.(*signExpr)
	if signed {
		key = sign.of
	}
	c, ok := key.(*constExpr)
	if !ok {
		return Step{}, false
	}
	switch v := c.value.(type) {
	case string:
		return Step{Name: v}, !signed
	case int64:
		if signed && sign.minus {
			v = -v
		}
		return Step{Index: v, IsIndex: true}, true
	}
	return Step{}, false
}

// render walks the path. What is not a field of an object or an element of an array is left to the same functions that the
// interpreter uses.
func (d *directPath) render(p *Payload) (string, error) {
	if d.text {
		if p.binary {
			return string(appendBytesRepr(nil, p.text)), nil
		}
		return d.bounded(pyStrip(p.text))
	}
	v, err := p.JSON()
	if err != nil {
		if len(d.steps) == 0 {
			return "", nil
		}
		return "", errUndefined(p.valueJSON().(*undefined))
	}
	for i, step := range d.steps {
		next := walk(v, step)
		if next == nil {
			return d.leave(v, d.steps[i:])
		}
		v = next
	}
	var buffer [32]byte // holds any number, without a value on the heap
	switch k := v.GetKind().(type) {
	case *entityv1.Value_StringValue:
		return d.bounded(pyStrip(k.StringValue))
	case *entityv1.Value_BoolValue:
		if k.BoolValue {
			return "True", nil
		}
		return "False", nil
	case *entityv1.Value_NullValue:
		return "None", nil
	case *entityv1.Value_IntValue:
		return string(strconv.AppendInt(buffer[:0], k.IntValue, 10)), nil
	case *entityv1.Value_DoubleValue:
		return string(appendFloat(buffer[:0], k.DoubleValue)), nil
	}
	return d.leave(v, nil)
}

// walk is the value one step further, or nil where it is not as simple as that.
func walk(v *entityv1.Value, step Step) *entityv1.Value {
	switch k := v.GetKind().(type) {
	case *entityv1.Value_StructValue:
		if !step.IsIndex {
			return findField(k.StructValue.GetFields(), step.Name).GetValue()
		}
	case *entityv1.Value_ListValue:
		values := k.ListValue.GetValues()
		i := step.Index
		if i < 0 {
			i += int64(len(values))
		}
		if step.IsIndex && i >= 0 && i < int64(len(values)) {
			return values[i]
		}
	}
	return nil
}

// leave goes the rest of a path as the interpreter does, and writes what is there.
func (d *directPath) leave(at *entityv1.Value, rest []Step) (string, error) {
	v := fromValue(at)
	for _, step := range rest {
		var err error
		switch {
		case step.IsIndex:
			v, err = element(v, step.Index)
		case step.dotted:
			v, err = attribute(v, step.Name)
		default:
			v, err = element(v, step.Name)
		}
		if err != nil {
			return "", err
		}
	}
	r := newRun(nil, nil, nil)
	s, err := r.str(v)
	if err != nil {
		return "", err
	}
	if len(s) > maxOutput {
		return d.bounded(s)
	}
	return pyStrip(s), nil
}

// bounded is s, if it is not over the bound of output.
func (d *directPath) bounded(s string) (string, error) {
	if len(s) > maxOutput {
		return "", failBound("output has more than %d bytes", maxOutput)
	}
	return s, nil
}
