package template

import "testing"

// BenchmarkRender compares a path that is walked with the same path interpreted, and with templates that need the interpreter.
func BenchmarkRender(b *testing.B) {
	p := NewPayload([]byte(`{"battery":97,"humidity":51.2,"linkquality":120,"temperature":21.5,"update":{"installed_version":1,"latest_version":2,"state":"idle"},"voltage":3000}`))
	if _, err := p.JSON(); err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name, text string
		interpret  bool
	}{
		{"direct", "{{ value_json.temperature }}", false},
		{"direct/interpreted", "{{ value_json.temperature }}", true},
		{"deep", "{{ value_json['update']['state'] }}", false},
		{"deep/interpreted", "{{ value_json['update']['state'] }}", true},
		{"round", "{{ value_json.temperature | float(0) | round(1) }}", false},
		{"update", `{"latest_version":"{{ value_json['update']['latest_version'] }}","installed_version":"{{ value_json['update']['installed_version'] }}","update_percentage":{{ value_json['update'].get('progress', 'null') }},"in_progress":{{ (value_json['update']['state'] == 'updating')|lower }}}`, false},
	} {
		compiled, err := Compile(bench.text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if bench.interpret {
					_, err = compiled.interpret(nil, p, nil)
				} else {
					_, err = compiled.Render(p, nil)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
