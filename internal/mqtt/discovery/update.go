package discovery

import (
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// updateComponent is the version of software, and the one that it could have.
var updateComponent = Component{
	Name: "update", Domain: "update", KeepsExtra: true,
	Check: func(c Config) error {
		if !listens(c, "latest_version_topic") {
			return needsAll("update", "state_topic")(c)
		}
		return validTopics(c)
	},
	Describe: func(c Config, e *entityv1.Entity) {
		reads := listens(c, "state_topic")
		for _, name := range []string{"installed_version", "latest_version", "update_percentage"} {
			addFeature(e, &entityv1.Feature{Name: name, Readable: reads || name == "latest_version"})
		}
		addFeature(e, &entityv1.Feature{
			Name: "in_progress", Readable: reads, Writable: c.Str("command_topic") != "" && c.Has("payload_install"),
		})
	},
	Inputs: func(c Config) []Input {
		return inputsOf(
			Input{Sources: c.Sources("state_topic", "value_template"), Set: unlessEmpty(updateSetter(c))},
			Input{Sources: c.Sources("latest_version_topic", "latest_version_template"), Set: unlessEmpty(setLatestVersion)},
		)
	},
	Command: func(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
		if !c.Has("payload_install") {
			return nil, cannot(cmd, "the device has no payload_install")
		}
		return sendOn(c, "command_topic", "", c.Word("payload_install", ""), nil)
	},
}

// updateOf is the update in a, made where there is none.
func updateOf(a *entityv1.Attributes) *entityv1.Update {
	if a.GetUpdate() == nil {
		a.Domain = &entityv1.Attributes_Update{Update: &entityv1.Update{}}
	}
	return a.GetUpdate()
}

// updateSetter takes an object; anything else is the installed version. What the configuration says of the software goes
// before what the object does.
func updateSetter(c Config) setter {
	return func(a *entityv1.Attributes, s Said) error {
		o := s.object()
		if o != nil && len(o.Value.GetStructValue().GetFields()) == 0 {
			return ErrIgnored
		}
		u := updateOf(a)
		if o == nil {
			u.InstalledVersion = version(dialect.StringValue(s.Text))
		} else {
			setUpdateObject(a, u, o.Value.GetStructValue())
		}
		for key, field := range map[string]**string{
			"title": &u.Title, "release_summary": &u.ReleaseSummary, "release_url": &u.ReleaseUrl,
		} {
			if text := c.Str(key); text != "" {
				*field = &text
			}
		}
		return nil
	}
}

// setUpdateObject puts the fields of an object where they belong, and others, or values that fit none, into the extra.
func setUpdateObject(a *entityv1.Attributes, u *entityv1.Update, o *entityv1.StructValue) {
	texts := map[string]**string{
		"installed_version": &u.InstalledVersion, "latest_version": &u.LatestVersion, "title": &u.Title,
		"release_summary": &u.ReleaseSummary, "release_url": &u.ReleaseUrl,
	}
	for _, f := range o.GetFields() {
		name, v := f.GetName(), f.GetValue()
		left := v
		if dialect.IsNull(v) {
			left = nil
		}
		switch field := texts[name]; {
		case field != nil:
			if *field = version(v); *field != nil || isNone(v) {
				left = nil
			}
		case name == "in_progress":
			u.InProgress = nil
			if b, ok := v.GetKind().(*entityv1.Value_BoolValue); ok {
				is := b.BoolValue // the message's is shared
				u.InProgress, left = &is, nil
			}
		case name == "update_percentage":
			u.UpdatePercentage = nil
			if n, ok := dialect.DoubleOf(v); ok && n >= 0 && n <= 100 {
				u.UpdatePercentage, left = &n, nil
			}
		}
		dialect.SetExtra(a, name, left)
	}
	if says := (Config{dialect.Node{Value: &entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: o}}}}); says.Has("update_percentage") && !says.Has("in_progress") {
		in := u.UpdatePercentage != nil
		u.InProgress = &in
	}
}

// version is a value as a version, nil where it says none.
func version(v *entityv1.Value) *string {
	const longest = 4096 // of a summary
	word, ok := wordOf(v)
	if !ok || isNone(v) || len(word) > longest {
		return nil
	}
	return &word
}

func isNone(v *entityv1.Value) bool {
	word, _ := dialect.TextOf(v)
	return dialect.IsNull(v) || word == "None"
}

func setLatestVersion(a *entityv1.Attributes, s Said) error {
	updateOf(a).LatestVersion = version(dialect.StringValue(s.Text))
	return nil
}
