package discovery

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// alarmComponent is a burglar alarm. Its code may be in the configuration; [Config.Sealed] takes it out.
var alarmComponent = Component{
	Name: "alarm_control_panel", Domain: "alarm_control_panel",
	Check: needsAll("alarm_control_panel", "state_topic", "command_topic"),
	Describe: func(c Config, e *entityv1.Entity) {
		addFeature(e, &entityv1.Feature{
			Name: "state", Readable: answersOn(c, "state_topic"), Writable: true, Options: append(alarmModes(c), "disarm"),
		})
	},
	Inputs:  func(c Config) []Input { return stateInput(c, unlessEmpty(setAlarm)) },
	Command: alarmCommand,
}

// alarmFeatures are what an alarm does besides disarming, where its configuration does not say otherwise.
var alarmFeatures = []string{"arm_home", "arm_away", "arm_night", "arm_vacation", "arm_custom_bypass", "trigger"}

// alarmModes are those of the features that the alarm has.
func alarmModes(c Config) []string {
	if !c.Has("supported_features") {
		return slices.Clone(alarmFeatures)
	}
	own := wordsOf(c, "supported_features")
	return slices.DeleteFunc(slices.Clone(alarmFeatures), func(f string) bool { return !slices.Contains(own, f) })
}

func setAlarm(a *entityv1.Attributes, s Said) error {
	const prefix = "ALARM_CONTROL_PANEL_STATE_"
	n, ok := entityv1.AlarmControlPanelState_value[prefix+strings.ToUpper(s.Text)]
	switch {
	case s.Unknown():
		n = 0
	case !ok || n == 0 || s.Text != strings.ToLower(s.Text):
		return unfit(s, "disarmed, armed_home, armed_away, armed_night, armed_vacation, armed_custom_bypass, pending, arming, disarming, triggered")
	}
	if a.GetAlarmControlPanel() == nil {
		a.Domain = &entityv1.Attributes_AlarmControlPanel{AlarmControlPanel: &entityv1.AlarmControlPanel{}}
	}
	a.GetAlarmControlPanel().State = entityv1.AlarmControlPanelState(n)
	return nil
}

func alarmCommand(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
	what := strings.TrimPrefix(cmd.Action, "alarm_")
	if what != "disarm" && !slices.Contains(alarmModes(c), what) {
		return nil, cannot(cmd, "the alarm has: "+strings.Join(append(alarmModes(c), "disarm"), ", "))
	}
	code, given := cmd.Code()
	required := map[string]string{"disarm": "code_disarm_required", "trigger": "code_trigger_required"}[what]
	if required == "" {
		required = "code_arm_required"
	}
	if c.Flag(required, true) {
		if err := checkCode(c, code); err != nil {
			return nil, err
		}
	}
	action := c.Word("payload_"+what, strings.ToUpper(what))
	return sendCode(c, action, action, map[string]any{"action": action}, code, given)
}

// Codes that the device checks itself: digits, or any text.
const (
	remoteCode     = "REMOTE_CODE"
	remoteCodeText = "REMOTE_CODE_TEXT"
)

// keySealed is the key of a code that was taken out.
const keySealed = "code_sealed"

// checkCode compares a code with the one of the configuration. The error repeats neither.
func checkCode(c Config, code string) error {
	want, sealed := c.Word("code", ""), c.Str(keySealed)
	var right bool
	switch {
	case want == "" && !c.Has(keySealed):
		return nil
	case want == remoteCode || want == remoteCodeText:
		right = code != ""
	case want == "":
		right = sealed != "" && subtle.ConstantTimeCompare([]byte(seal(c, code)), []byte(sealed)) == 1
	default:
		right = subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1
	}
	if !right {
		return fmt.Errorf("%w: the code is missing or wrong", command.ErrInvalid)
	}
	return nil
}

// Sealed is the configuration without the code of an alarm, if it has one: with something in its place that a code can be
// compared with. That is what may go to the log of events. Whoever has the log can still find a short code by trying all.
func (c Config) Sealed() Config {
	code := c.Word("code", "")
	if code == "" || code == remoteCode || code == remoteCodeText {
		return c
	}
	fields := slices.DeleteFunc(slices.Clone(c.Value.GetStructValue().GetFields()), func(f *entityv1.Field) bool {
		return f.GetName() == "code" || f.GetName() == keySealed
	})
	fields = append(fields, &entityv1.Field{Name: keySealed, Value: dialect.StringValue(seal(c, code))})
	slices.SortFunc(fields, func(a, b *entityv1.Field) int { return strings.Compare(a.GetName(), b.GetName()) })
	sealed := Config{}
	sealed.Value = &entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: proto.CloneOf(&entityv1.StructValue{Fields: fields})}}
	return sealed
}

// seal is what stands for a code. It is the same whenever the same is announced, or every announcement would be a change.
func seal(c Config, code string) string {
	const rounds, size = 10_000, 16
	key, err := pbkdf2.Key(sha256.New, code, []byte("alarm_control_panel "+c.Str("command_topic")), rounds, size)
	if err != nil {
		return "" // which no code equals
	}
	return hex.EncodeToString(key)
}
