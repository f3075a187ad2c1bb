package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/statehouse/statehouse/internal/daemon"
)

// configFile is what a configuration file says. It resolves the flags that were given neither on the command line nor
// in the environment.
type configFile struct {
	path string
	// config holds the keys of the file, and nothing else.
	config daemon.Config
	// flags are the keys of the file that are flags, by the flag's name.
	flags map[string]any
}

// defaultConfigPath is where the configuration file is looked for when nobody says where.
func defaultConfigPath() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "statehouse", "config.yaml")
}

// readConfigFile reads and checks a configuration file. A missing one is an empty one unless somebody named it.
func readConfigFile(path string, named bool) (*configFile, error) {
	f := &configFile{path: path}
	text, err := os.ReadFile(path)
	if !named && (path == "" || errors.Is(err, fs.ErrNotExist)) {
		f.path = ""
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", daemon.ErrConfig, err)
	}
	// An empty file, or one of comments only, is EOF to the decoder.
	err = yaml.UnmarshalWithOptions(text, &f.config, yaml.Strict())
	if token, key := badDuration(text); err != nil && token != nil {
		return nil, fmt.Errorf("%w: %s:%d:%d: %s: %s", daemon.ErrConfig, path, token.Position.Line, token.Position.Column, key,
			wanted(reflect.TypeFor[time.Duration]()))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", daemon.ErrConfig, describeYAML(path, err))
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", daemon.ErrConfig, describeYAML(path, err))
	}
	if err := oneDocument(path, text); err != nil {
		return nil, fmt.Errorf("%w: %w", daemon.ErrConfig, err)
	}
	f.flags = map[string]any{}
	flattenKeys("", tree, f.flags)
	return f, nil
}

// oneDocument refuses a file with a second document, which nothing would read.
func oneDocument(path string, text []byte) error {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return describeYAML(path, err)
	}
	read := false
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if read {
			return fmt.Errorf("%s:%d: a second YAML document begins here; put all keys into one, without a line of ---",
				path, doc.Body.GetToken().Position.Line)
		}
		read = true
	}
	return nil
}

// flattenKeys turns nested keys into names of flags: mqtt: {broker: {url: …}} is mqtt-broker-url. A key without a value is not set.
func flattenKeys(prefix string, tree, into map[string]any) {
	for key, value := range tree {
		name := prefix + strings.ReplaceAll(key, "_", "-")
		switch value := value.(type) {
		case nil:
		case map[string]any:
			flattenKeys(name+"-", value, into)
		case []any:
			list := make([]any, len(value)) // kong would split a text at its commas
			for i, v := range value {
				list[i] = fmt.Sprint(v)
			}
			into[name] = list
		default:
			into[name] = fmt.Sprint(value)
		}
	}
}

// resolve implements [kong.ResolverFunc]: flags and the environment come before the file.
func (f *configFile) resolve(flag *kong.Flag) any {
	for _, env := range flag.Tag.Envs {
		if _, ok := os.LookupEnv(env); ok {
			return nil
		}
	}
	return f.flags[flag.Name]
}

// takeKeys copies into c the keys that are no flags.
func (f *configFile) takeKeys(c *daemon.Config) {
	takeKeys(reflect.ValueOf(c).Elem(), reflect.ValueOf(f.config))
}

func takeKeys(into, from reflect.Value) {
	for i := range into.NumField() {
		switch field := into.Type().Field(i); {
		case field.Tag.Get("kong") == "-":
			into.Field(i).Set(from.Field(i))
		case field.Type.Kind() == reflect.Struct:
			takeKeys(into.Field(i), from.Field(i))
		}
	}
}

// passwordEnv is the one variable that is no flag.
const passwordEnv = "STATEHOUSE_MQTT_BROKER_PASSWORD"

// describeYAML says in one line where a file is wrong. The source is not quoted: it may hold passwords.
func describeYAML(path string, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	found := at.GetToken()
	where := fmt.Sprintf("%s:%d:%d", path, found.Position.Line, found.Position.Column)
	var unknown *yaml.UnknownFieldError
	var mistyped *yaml.TypeError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%s: unknown key %q%s", where, found.Value, didYouMean(found.Value, configKeys()))
	case errors.As(err, &mistyped):
		return fmt.Errorf("%s: wrong value: %s", where, wanted(mistyped.DstType))
	}
	return fmt.Errorf("%s: %s", where, at.GetMessage())
}

// badDuration finds the first duration that is none, whose error does not say where it is; nil where there is none.
func badDuration(text []byte) (at *token.Token, key string) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, ""
	}
	duration := func(text string) error { _, err := time.ParseDuration(text); return err }
	interval := func(text string) error { return new(daemon.Interval).UnmarshalText([]byte(text)) }
	for _, k := range [...]struct {
		key   string
		parse func(text string) error
	}{
		{"zigbee2mqtt.silent_after", duration}, {"mqtt.limits.session_expiry", duration}, {"min_intervals[*].interval", duration},
		{"verify_every", interval}, {"keep_history", interval},
	} {
		path, err := yaml.PathString("$." + k.key)
		if err != nil {
			continue
		}
		node, err := path.FilterFile(file)
		if err != nil || node == nil {
			continue // the key is not in the file
		}
		nodes := []ast.Node{node}
		if all, ok := node.(*ast.SequenceNode); ok { // of a key of a list
			nodes = all.Values
		}
		for _, node := range nodes {
			if k.parse(node.GetToken().Value) != nil {
				return node.GetToken(), k.key
			}
		}
	}
	return nil, ""
}

// wanted says what a key of a type may be.
func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "write a duration, as in 90s or 1h30m"
	case t.Kind() == reflect.Int:
		return "write a whole number"
	case t.Kind() == reflect.Slice:
		return "write a list, as in [one, two]"
	case t.Kind() == reflect.Struct:
		return "keys belong below this one"
	case t.Kind() == reflect.Bool:
		return "write true or false"
	}
	return "write text"
}

// configKeys are the last parts of all keys.
func configKeys() []string {
	var keys []string
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		if t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for i := range t.NumField() {
			key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			keys = append(keys, key)
			walk(t.Field(i).Type)
		}
	}
	walk(reflect.TypeFor[daemon.Config]())
	slices.Sort(keys)
	return slices.Compact(keys)
}

// strangeEnv are the STATEHOUSE_ variables that nothing reads. They are no error, since service managers set variables
// of such names themselves.
func strangeEnv(model *kong.Application, environ []string) []string {
	known := map[string]bool{passwordEnv: true}
	_ = kong.Visit(model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			for _, env := range flag.Tag.Envs {
				known[env] = true
			}
		}
		return next(nil)
	})
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	var strange []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "STATEHOUSE_") && !known[name] && !serviceEnv.MatchString(name) {
			strange = append(strange, "environment: "+name+" is not known"+didYouMean(name, names))
		}
	}
	slices.Sort(strange)
	return strange
}

// serviceEnv are variables that Docker and Kubernetes set for a service called statehouse; the one before the last is package
// state's, and the last this package's own, for tests.
var serviceEnv = regexp.MustCompile(`^STATEHOUSE_(SERVICE_|PORT($|_)|NAME$|ENV_|DETECT_MUTATIONS$|TEST_)`)

// formatConfig writes a configuration as the file that says it.
func formatConfig(c daemon.Config) (string, error) {
	text, err := yaml.MarshalWithOptions(c.Redacted(), yaml.IndentSequence(true))
	if err != nil {
		return "", fmt.Errorf("config show: %s", strconv.Quote(err.Error()))
	}
	return string(text), nil
}
