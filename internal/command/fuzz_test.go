package command_test

import (
	"strings"
	"testing"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/state"
)

// fuzzed checks what came of a door against all entities of the domain.
func fuzzed(t *testing.T, r command.Request, err error) {
	t.Helper()
	if err != nil {
		mustBeOurs(t, err)
		return
	}
	if len(r.Arguments) > command.MaxArguments {
		t.Fatalf("%d arguments", len(r.Arguments))
	}
	domain, _, _ := strings.Cut(r.Entity, ".")
	for id, e := range things {
		if own, _, _ := strings.Cut(id, "."); own != domain {
			continue
		}
		for _, now := range []*entityv1.Attributes{nil, present["light on"], present["fan at 33"], present["select Eco"], present["tv playing"]} {
			own := r
			own.Entity = id
			c, err := command.Check(own, e, now)
			if err != nil {
				mustBeOurs(t, err)
				continue
			}
			holds(t, e, c, now, present["light on"])
		}
	}
}

// Whatever a person writes, words apart by line breaks: an error, or a request that holds what is promised of all.
func FuzzParseWords(f *testing.F) {
	for _, seed := range []string{"on\nbrightness=50%", "21.5", "heat\ntemperature=21", "color=#f80", "xy=0.3,0.4", "very high", "position=30",
		"play_media\nmedia_content_id=a\nmedia_content_type=b\nextra={\"a\":[1,2]}", "code=1\nlock", "2026-01-31T08:00:00Z", "volume=50%"} {
		for id := range things {
			f.Add(id, seed)
		}
	}
	f.Fuzz(func(t *testing.T, entity, line string) {
		r, err := command.ParseWords(entity, strings.Split(line, "\n"))
		fuzzed(t, r, err)
	})
}

// Whatever a client sends as service data: an error, or a request that holds what is promised of all.
func FuzzFromService(f *testing.F) {
	for _, a := range command.Domains() {
		f.Add(a.Domain, a.Name, `{}`, a.Domain+".x")
		for _, argument := range a.Arguments {
			f.Add(a.Domain, a.Name, `{"`+argument.Name+`":1}`, a.Domain+".x")
		}
	}
	f.Add("light", "turn_on", `{"rgb_color":[1,2,3],"brightness_pct":1e308,"profile":"relax"}`, "light.x")
	f.Add("homeassistant", "toggle", `{"xy":{"x":0.1,"y":0.2}}`, "light.x")
	f.Add("media_player", "play_media", `{"media":{"media_content_id":null,"media_content_type":1}}`, "media_player.x")
	f.Fuzz(func(t *testing.T, domain, service, data, entity string) {
		v, err := state.ValueFromJSON([]byte(data))
		if err != nil {
			return
		}
		r, err := command.FromService(domain, service, v, entity)
		fuzzed(t, r, err)
	})
}
