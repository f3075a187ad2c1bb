package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/statehouse/statehouse/internal/daemon"
)

// TestEveryKeyOfTheFile: what the files of docs/configuration.md say, which have every key, is what the daemon gets.
func TestEveryKeyOfTheFile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	files := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
	if len(files) != 2 {
		t.Fatalf("%d files", len(files))
	}
	said := map[string]bool{}
	for _, file := range files {
		var want daemon.Config
		if err := yaml.UnmarshalWithOptions(file[1], &want, yaml.Strict()); err != nil {
			t.Fatal(err)
		}
		want.SetDefaults()
		checkShown(t, string(file[1]), want)
		for _, word := range regexp.MustCompile(`\w+`).FindAllString(string(file[1]), -1) {
			said[word] = true
		}
	}
	for _, key := range configKeys() {
		if !said[key] {
			t.Errorf("docs/configuration.md has no %s", key)
		}
	}
}

// TestValuesOfTheFile: what has no value is not set, and a list has the elements that stand there.
func TestValuesOfTheFile(t *testing.T) {
	for text, want := range map[string]daemon.Config{
		"db:\nhttp:\n  address:\nlog: ~\n":    {},
		"dialects: []\n":                      {},
		"mqtt: {ignore: ['a,b/#', 'c\\', d]}": {MQTT: daemon.MQTT{Ignore: []string{"a,b/#", `c\`, "d"}}},
		"max_entities: 7\nmqtt: {broker: {url: mqtt://h, client_id: 7}}\n": {
			MaxEntities: 7, MQTT: daemon.MQTT{Broker: daemon.Broker{URL: "mqtt://h", ClientID: "7"}},
		},
	} {
		want.SetDefaults()
		checkShown(t, text, want)
	}
}

// checkShown wants a configuration to come of a file.
func checkShown(t *testing.T, text string, want daemon.Config) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	shown, err := formatConfig(want)
	if err := errors.Join(err, os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	Run(t.Context(), []string{"config", "show", "-c", path}, nil, &stdout, &stderr)
	if stdout.String() != shown {
		t.Errorf("%s\nis\n%s%s\ninstead of\n%s", text, stdout.String(), stderr.String(), shown)
	}
}
