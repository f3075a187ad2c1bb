package discovery

import (
	"fmt"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/template"
)

const (
	// maxConfig is four times what the richest real configuration has; the registry keeps all of them.
	maxConfig = 48 << 10
	// maxAvailability is far beyond the two or three that real entities have.
	maxAvailability = 100
)

// Words for whether a device is there, where the configuration gives none.
const (
	payloadAvailable    = "online"
	payloadNotAvailable = "offline"
)

// haConfig is the configuration that components and the engine work with: keys that they need, checked, availability in its
// one form, what says no more than its absence left out.
func haConfig(o haObject) (Config, error) {
	if err := o.availability(); err != nil {
		return Config{}, err
	}
	kept := make(haObject, len(o))
	for _, key := range sortedKeys(o) {
		if !haKeeps(key) {
			continue
		}
		if dialect.IsNull(o[key]) {
			if strings.HasPrefix(key, "payload_") { // it takes the action away
				kept[key] = o[key]
			}
			continue
		}
		v, err := haValue(key, o[key])
		if err != nil {
			return Config{}, err
		}
		if v != nil {
			kept[key] = v
		}
	}
	c := Config{dialect.Node{Value: kept.value()}}
	if size := jsonSize(c.Value); size > maxConfig {
		return Config{}, fmt.Errorf("%w: a configuration of %d bytes, at most %d are taken", ErrAnnouncementTooLarge, size, maxConfig)
	}
	return c, nil
}

// haValue checks the value of a key, and is nil where that says nothing.
func haValue(key string, v *entityv1.Value) (*entityv1.Value, error) {
	switch {
	case haIsTopic(key):
		topic, ok := dialect.TextOf(v)
		if !ok {
			return nil, haWrong(key, v, "a topic")
		}
		if err := mqtt.ValidTopic(topic); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		return v, nil
	case strings.HasSuffix(key, "_template"):
		return v, haTemplate(key, v)
	}
	switch key {
	case keyAvailability:
		return v, nil
	case "qos":
		return haNumber(key, v, 2, true)
	case keyExpireAfter, keyOffDelay:
		return haNumber(key, v, 1<<31, false)
	case "retain", keyForceUpdate, "optimistic":
		b, ok := haBool(v)
		if !ok {
			return nil, haWrong(key, v, "true or false")
		}
		if !b && key != "optimistic" {
			return nil, nil
		}
		return dialect.BoolValue(b), nil
	case keyEncoding:
		s, ok := dialect.TextOf(v)
		if !ok {
			return nil, haWrong(key, v, "the name of an encoding")
		}
		if strings.EqualFold(s, "utf-8") {
			return nil, nil
		}
		return v, nil
	}
	return v, haNested(v)
}

// haNumber is a number from 0 to most, nil for 0, which is what all of them are where nothing is said.
func haNumber(key string, v *entityv1.Value, most float64, whole bool) (*entityv1.Value, error) {
	f, ok := number(v)
	if !ok || f < 0 || f > most || whole && f != float64(int64(f)) {
		return nil, haWrong(key, v, fmt.Sprintf("a number from 0 to %.0f", most))
	}
	switch {
	case f == 0:
		return nil, nil
	case f == float64(int64(f)):
		return &entityv1.Value{Kind: &entityv1.Value_IntValue{IntValue: int64(f)}}, nil
	}
	return &entityv1.Value{Kind: &entityv1.Value_DoubleValue{DoubleValue: f}}, nil
}

func haTemplate(key string, v *entityv1.Value) error {
	text, ok := dialect.TextOf(v)
	if !ok {
		return haWrong(key, v, "a template")
	}
	if _, err := template.Compile(text); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// haNested checks the templates within a value.
func haNested(v *entityv1.Value) error {
	for _, one := range v.GetListValue().GetValues() {
		if err := haNested(one); err != nil {
			return err
		}
	}
	for _, f := range v.GetStructValue().GetFields() {
		if strings.HasSuffix(f.GetName(), "_template") && !dialect.IsNull(f.GetValue()) {
			if err := haTemplate(f.GetName(), f.GetValue()); err != nil {
				return err
			}
			continue
		}
		if err := haNested(f.GetValue()); err != nil {
			return err
		}
	}
	return nil
}

// availability puts both forms in which a configuration can say it into one list, with the words written out, so that
// nobody else needs to know of the forms. Where there is no such topic, nothing is left.
func (o haObject) availability() error {
	entries := haList(o[keyAvailability])
	if !dialect.IsNull(o["availability_topic"]) {
		entries = append(entries, haObject{
			"topic": o["availability_topic"], "value_template": o["availability_template"],
			"payload_available": o["payload_available"], "payload_not_available": o["payload_not_available"],
		}.value())
	}
	for _, key := range [...]string{
		keyAvailability, "availability_topic", "availability_template", "payload_available", "payload_not_available",
	} {
		delete(o, key)
	}
	mode, err := o.text(keyAvailabilityMode)
	delete(o, keyAvailabilityMode)
	switch {
	case err != nil:
		return err
	case len(entries) > maxAvailability:
		return fmt.Errorf("%w: %s has %d topics, at most %d are taken", ErrAnnouncementTooLarge, keyAvailability, len(entries), maxAvailability)
	case mode == "":
		mode = "latest"
	case mode != "all" && mode != "any" && mode != "latest":
		return haWrong(keyAvailabilityMode, dialect.StringValue(mode), "all, any or latest")
	}
	for i, v := range entries {
		if entries[i], err = haAvailability(v); err != nil {
			return fmt.Errorf("%s: %w", keyAvailability, err)
		}
	}
	if len(entries) > 0 {
		o[keyAvailability], o[keyAvailabilityMode] = haListValue(entries), dialect.StringValue(mode)
	}
	return nil
}

// haAvailability is one entry of the list.
func haAvailability(v *entityv1.Value) (*entityv1.Value, error) {
	o, ok := haObjectOf(v)
	if !ok {
		return nil, haWrong("an entry", v, "an object with a topic")
	}
	one := make(haObject, 4)
	var err error
	if one["topic"], err = haValue("topic", o["topic"]); err != nil {
		return nil, err
	}
	if t := o["value_template"]; !dialect.IsNull(t) {
		if one["value_template"], err = haValue("value_template", t); err != nil {
			return nil, err
		}
	}
	c := Config{dialect.Node{Value: v}}
	one["payload_available"] = dialect.StringValue(c.Word("payload_available", payloadAvailable))
	one["payload_not_available"] = dialect.StringValue(c.Word("payload_not_available", payloadNotAvailable))
	return one.value(), nil
}
