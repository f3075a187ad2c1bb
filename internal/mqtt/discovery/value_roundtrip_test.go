package discovery

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/internal/command"
)

// echo is a device whose state has the form of its commands, and how it is asked. Both topics are x.
type echo struct{ component, config, words string }

func drawEcho(t *rapid.T) echo {
	// A scale of less than 25 steps is coarser than what a position may differ by.
	closed := rapid.IntRange(-500, 500).Draw(t, "closed")
	open := closed + rapid.OneOf(rapid.IntRange(25, 1000), rapid.IntRange(-1000, -25)).Draw(t, "span")
	percent := rapid.IntRange(0, 100).Draw(t, "percent")
	scale := fmt.Sprintf(`"position_closed":%d,"position_open":%d`, closed, open)
	low, high := min(closed, open), max(closed, open)
	number := rapid.Float64Range(-1e6, 1e6).Draw(t, "number")
	word := rapid.SampledFrom([]string{"eco", "none", "None", "3", "über"}).Draw(t, "option")
	text := rapid.StringMatching(`[a-zA-Z0-9äß:{}"]{1,20}`).Draw(t, "text")
	at := time.Unix(rapid.Int64Range(-5e9, 5e9).Draw(t, "second"), 0).UTC()
	on := rapid.SampledFrom([]string{"on", "off"}).Draw(t, "on")
	return rapid.SampledFrom([]echo{
		{"switch", `{"state_topic":"x","command_topic":"x","payload_on":"1","payload_off":"0"}`, on},
		{"switch", `{"state_topic":"x","command_topic":"x","value_template":"{{value_json.s}}","command_template":"{\"s\":\"{{value}}\"}"}`, on},
		{"siren", `{"state_topic":"x","command_topic":"x"}`, on},
		{"number", `{"state_topic":"x","command_topic":"x","min":-1000000,"max":1000000,"step":0}`, fmt.Sprintf("value=%v", number)},
		{"number", `{"state_topic":"x","command_topic":"x","min":-1000000,"max":1000000,"step":0,"value_template":"{{value|float / 10}}","command_template":"{{value * 10}}"}`,
			fmt.Sprintf("value=%v", number)},
		{"select", `{"state_topic":"x","command_topic":"x","options":["eco","none","None",3,"über"]}`, "option=" + word},
		{"text", `{"state_topic":"x","command_topic":"x"}`, "value=" + text},
		{"date", `{"state_topic":"x","command_topic":"x"}`, "date=" + at.Format(time.DateOnly)},
		{"time", `{"state_topic":"x","command_topic":"x"}`, "time=" + at.Format(time.TimeOnly)},
		{"datetime", `{"state_topic":"x","command_topic":"x"}`, "datetime=" + at.Format(time.RFC3339)},
		{"cover", `{"position_topic":"x","set_position_topic":"x",` + scale + `}`, fmt.Sprint(percent)},
		{"cover", `{"position_topic":"x","set_position_topic":"x",` + scale + `}`, map[string]string{"on": "open", "off": "close"}[on]},
		{"cover", `{"position_topic":"x","set_position_topic":"x","set_position_template":"{\"position\":{{value}}}",` + scale + `}`, fmt.Sprint(percent)},
		{"cover", `{"tilt_status_topic":"x","tilt_command_topic":"x",` + fmt.Sprintf(`"tilt_min":%d,"tilt_max":%d}`, low, high), fmt.Sprintf("tilt=%d", percent)},
		{"cover", `{"state_topic":"x","command_topic":"x","state_open":"OPEN","state_closed":"CLOSE"}`, map[string]string{"on": "open", "off": "close"}[on]},
		{"valve", `{"state_topic":"x","command_topic":"x","reports_position":true,` + scale + `}`, fmt.Sprint(percent)},
		{"valve", `{"state_topic":"x","command_topic":"x","reports_position":true,` + scale + `}`, map[string]string{"on": "open", "off": "close"}[on]},
		{"valve", `{"state_topic":"x","command_topic":"x","state_open":"OPEN","state_closed":"CLOSE"}`, map[string]string{"on": "open", "off": "close"}[on]},
		{"lock", `{"state_topic":"x","command_topic":"x","state_locked":"LOCK","state_unlocked":"UNLOCK","payload_open":"OPEN"}`,
			map[string]string{"on": "open", "off": "lock"}[on]},
		{"alarm_control_panel", `{"state_topic":"x","command_topic":"x","payload_arm_home":"armed_home","payload_disarm":"disarmed"}`,
			map[string]string{"on": "home", "off": "disarm"}[on]},
		{"lawn_mower", `{"activity_state_topic":"x","start_mowing_command_topic":"x","start_mowing_command_template":"mowing","dock_command_topic":"x","dock_command_template":"docked"}`,
			map[string]string{"on": "start", "off": "dock"}[on]},
		{"vacuum", `{"state_topic":"x","command_topic":"x","payload_start":"{\"state\":\"cleaning\"}","payload_return_to_base":"{\"state\":\"returning\"}"}`,
			map[string]string{"on": "start", "off": "dock"}[on]},
		{"update", `{"state_topic":"x","command_topic":"x","payload_install":"{\"in_progress\":true}"}`, "install"},
	}).Draw(t, "device")
}

// TestADeviceThatEchoesAnswers: the state that a command asks for, in the words in which it is asked, answers the command.
func TestADeviceThatEchoesAnswers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := drawEcho(rt)
		p := newPart(t, components[d.component], d.config)
		r, err := command.ParseWords(p.entity.GetId(), []string{d.words})
		if err != nil {
			rt.Fatal(err)
		}
		cmd, err := command.Check(r, p.entity, p.attributes)
		if err != nil {
			rt.Fatal(err)
		}
		if cmd.Expected == nil {
			rt.Fatalf("%s %s: nothing is expected of %s", d.component, d.config, d.words)
		}
		all, err := p.component.Command(p.config, cmd, p.attributes)
		if err != nil || len(all) != 1 || all[0].Topic != "x" {
			rt.Fatal(all, err)
		}
		p.say("x", string(all[0].Payload))
		if p.unfit != nil || !command.Answers(cmd.Expected, p.attributes) {
			rt.Fatalf("%s %s: %s publishes %s, which gives %v, where %v was expected (%v)",
				d.component, d.config, d.words, all[0].Payload, p.attributes, cmd.Expected, p.unfit)
		}
	})
}
