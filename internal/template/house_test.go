package template

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// eachTemplate visits what ends in _template in a discovery message.
func eachTemplate(config any, visit func(key, text string)) {
	switch c := config.(type) {
	case []any:
		for _, v := range c {
			eachTemplate(v, visit)
		}
	case map[string]any:
		for key, v := range c {
			if text, ok := v.(string); ok && strings.HasSuffix(key, "_template") {
				visit(key, text)
			}
			eachTemplate(v, visit)
		}
	}
}

// recorded gives the templates of the recorded house and of testdata/discovery, and the payloads of the house.
func recorded(t testing.TB) (templates map[string]bool, payloads []*Payload) {
	t.Helper()
	templates = map[string]bool{}
	add := func(config []byte) {
		var v any
		if err := json.Unmarshal(config, &v); err != nil {
			t.Fatal(err)
		}
		eachTemplate(v, func(_, text string) { templates[text] = true })
	}
	files, err := filepath.Glob("testdata/discovery/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no discovery messages: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		add(data)
	}
	f, err := os.Open("../../testdata/zigbee2mqtt/house.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 8<<20)
	seen := map[string]int{}
	for lines.Scan() {
		var m struct{ Topic, Payload string }
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(m.Topic, "homeassistant/") && strings.HasSuffix(m.Topic, "/config") && m.Payload != "":
			add([]byte(m.Payload))
		case strings.HasSuffix(m.Topic, "bridge/logging"):
		case seen[m.Topic] < 3: // some of each topic
			seen[m.Topic]++
			payloads = append(payloads, NewPayload([]byte(m.Payload)))
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return templates, payloads
}

// Every template of the house runs over every payload, its own and others; a walked path says what the interpreter says.
func TestRecordedHouse(t *testing.T) {
	env := testEnv(t)
	templates, payloads := recorded(t)
	rendered, direct := 0, 0
	for text := range templates {
		compiled, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if compiled.direct != nil {
			direct++
		}
		for _, p := range payloads {
			out, err := compiled.RenderIn(env, p, nil)
			// The house's own description has 100s of KiB, and is no value.
			if err != nil && !errors.Is(err, ErrUndefined) && !errors.Is(err, ErrTooLarge) && !strings.Contains(text, "volume_level") && !strings.Contains(text, "tojson") {
				t.Errorf("%s over %s: %v", text, clip(p.text, 100), err)
			}
			if err == nil {
				rendered++
			}
			if compiled.direct != nil {
				same, sameErr := compiled.interpret(env, p, nil)
				if same != out || !sameError(err, sameErr) {
					t.Errorf("%s over %s: direct %q, %v; interpreted %q, %v", text, clip(p.text, 100), out, err, same, sameErr)
				}
			}
		}
	}
	t.Logf("%d templates, %d of them paths, over %d payloads: %d rendered", len(templates), direct, len(payloads), rendered)
	if len(templates) < 100 || len(payloads) < 50 || rendered < 1000 || direct*10 < len(templates)*8 {
		t.Error("that is less than the recording has")
	}
}

// sameError says whether two runs failed alike.
func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return errors.Is(a, ErrUndefined) == errors.Is(b, ErrUndefined) && errors.Is(a, ErrTooLarge) == errors.Is(b, ErrTooLarge) && a.Error() == b.Error()
}
