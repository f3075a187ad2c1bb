package discovery

import (
	"errors"
	"fmt"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// lockComponent is a lock of a door or the like.
var lockComponent = Component{
	Name: "lock", Domain: "lock",
	Check: needsAll("lock", "command_topic"),
	Describe: func(c Config, e *entityv1.Entity) {
		reads := answersOn(c, "state_topic")
		addFeature(e, &entityv1.Feature{Name: "state", Readable: reads, Writable: true})
		if c.Word("payload_open", "") != "" {
			addFeature(e, &entityv1.Feature{Name: "open", Readable: reads, Writable: true})
		}
	},
	Inputs: func(c Config) []Input { return stateInput(c, unlessEmpty(lockSetter(c))) },
	Command: func(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
		key := "payload_" + cmd.Action
		payload := c.Word(key, map[string]string{"lock": "LOCK", "unlock": "UNLOCK"}[cmd.Action])
		if payload == "" {
			return nil, cannot(cmd, "the device has no "+key)
		}
		code, given := cmd.Code()
		if format := compiledPattern(c.Str("code_format")); format != nil && !format.MatchString(code) {
			return nil, fmt.Errorf("%w: the code is not of the form %.80q", command.ErrInvalid, c.Str("code_format"))
		}
		return sendCode(c, "", payload, nil, code, given)
	},
}

func lockSetter(c Config) setter {
	words := []stateWord[entityv1.LockState]{
		{c.Word("payload_reset", "None"), entityv1.LockState_LOCK_STATE_UNSPECIFIED},
		{c.Word("state_locked", "LOCKED"), entityv1.LockState_LOCK_STATE_LOCKED},
		{c.Word("state_unlocked", "UNLOCKED"), entityv1.LockState_LOCK_STATE_UNLOCKED},
		{c.Word("state_locking", "LOCKING"), entityv1.LockState_LOCK_STATE_LOCKING},
		{c.Word("state_unlocking", "UNLOCKING"), entityv1.LockState_LOCK_STATE_UNLOCKING},
		{c.Word("state_open", "OPEN"), entityv1.LockState_LOCK_STATE_OPEN},
		{c.Word("state_opening", "OPENING"), entityv1.LockState_LOCK_STATE_OPENING},
		{c.Word("state_jammed", "JAMMED"), entityv1.LockState_LOCK_STATE_JAMMED},
	}
	return func(a *entityv1.Attributes, s Said) error {
		st, ok := meaning(s.Text, words)
		if !ok {
			return unfit(s, wordList(words))
		}
		if a.GetLock() == nil {
			a.Domain = &entityv1.Attributes_Lock{Lock: &entityv1.Lock{}}
		}
		a.GetLock().State = st
		return nil
	}
}

// sendCode publishes on the command topic what is made with a code. Otherwise is the template where the configuration has
// none. What is wrong with a template may repeat what it was given, so that an error does not say it.
func sendCode(c Config, otherwise, value string, vars map[string]any, code string, given bool) ([]mqtt.Publication, error) {
	all := map[string]any{"code": nil}
	if given {
		all["code"] = code
	}
	for name, v := range vars {
		all[name] = v
	}
	if otherwise != "" && c.Str("command_template") == "" {
		return sendOn(c, "command_topic", "", otherwise, nil)
	}
	p, err := send(c, value, all)
	if err != nil && given && !errors.Is(err, ErrNoTopic) {
		return nil, errCodeTemplate
	}
	return p, err
}

var errCodeTemplate = errors.New("command_template: it fails with this code")
