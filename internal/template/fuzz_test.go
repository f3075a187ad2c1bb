package template

import (
	"errors"
	"testing"
)

// known says whether an error is one of the package's.
func known(err error) bool {
	for _, is := range []error{ErrSyntax, ErrFailed, ErrTooLarge, ErrTooLong} {
		if errors.Is(err, is) {
			return true
		}
	}
	return err == nil
}

// FuzzCompile compiles any text; what compiles runs without a fault of the interpreter.
func FuzzCompile(f *testing.F) {
	for _, row := range goldenRows(f)[:400] {
		f.Add(row.Template)
	}
	f.Fuzz(func(t *testing.T, text string) {
		compiled, err := Compile(text)
		if !known(err) {
			t.Fatal(err)
		}
		if err == nil {
			check(t, compiled, NewPayload([]byte(`{"a":[1,null],"s":"x"}`)))
		}
	})
}

// FuzzRender renders any template over any payload.
func FuzzRender(f *testing.F) {
	for _, row := range goldenRows(f) {
		if row.Payload != nil && len(*row.Payload) < 500 {
			f.Add(row.Template, []byte(*row.Payload))
		}
	}
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		if compiled, err := Compile(text); err == nil {
			check(t, compiled, NewPayload(payload))
			check(t, compiled, NewBinaryPayload(payload))
		}
	})
}

// check renders: no fault, no unknown error, no output over the bound, the same thing twice, and directly as interpreted.
func check(t *testing.T, compiled *Template, p *Payload) {
	t.Helper()
	env := testEnv(t)
	out, err := compiled.RenderIn(env, p, nil)
	if !known(err) || len(out) > maxOutput {
		t.Fatalf("%d bytes, %v", len(out), err)
	}
	again, againErr := compiled.renderUncaught(env, p)
	if again != out || (err == nil) != (againErr == nil) {
		t.Fatalf("%q, %v; and then %q, %v", out, err, again, againErr)
	}
}

// renderUncaught interprets without the net for panics, which would hide them from the fuzzer.
func (t *Template) renderUncaught(env *Env, p *Payload) (string, error) {
	r := newRun(env, p, nil)
	if err := r.execAll(t.body); err != nil {
		return "", err
	}
	return pyStrip(r.out.String()), nil
}
