package discovery

import (
	"fmt"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// coverComponent is a blind, a curtain, a garage door. Its state comes as words, or follows from its position where there are
// none. Tilts are counted from tilt_min to tilt_max; where the slats are open between the two, 100 % is not what
// open_cover_tilt leads to.
var coverComponent = Component{
	Name: "cover", Domain: "cover",
	Check: func(c Config) error {
		for _, key := range []string{"command_topic", "set_position_topic", "tilt_command_topic", "state_topic", "position_topic"} {
			if !listens(c, key) {
				continue
			}
			if err := positionScale(c).check("positions"); err != nil {
				return err
			}
			if err := tiltScale(c).check("tilts"); err != nil {
				return err
			}
			return validTopics(c)
		}
		return fmt.Errorf("%w: a cover needs a topic: command_topic, state_topic, position_topic, set_position_topic", ErrIncomplete)
	},
	Describe: func(c Config, e *entityv1.Entity) {
		addFeature(e, &entityv1.Feature{
			Name: "state", Readable: answersOn(c, "state_topic"), Writable: c.Str("command_topic") != "", Options: coverMovement.words(c),
		})
		if reads, sets := listens(c, "position_topic"), c.Str("set_position_topic") != ""; reads || sets {
			addFeature(e, percentFeature("position", answersOn(c, "position_topic"), sets))
		}
		if reads, sets := listens(c, "tilt_status_topic"), c.Str("tilt_command_topic") != ""; reads || sets {
			addFeature(e, percentFeature("tilt_position", answersOn(c, "tilt_status_topic") && !c.Flag("tilt_optimistic", false), sets))
		}
	},
	// The position comes first, so that a message that says both stopped and where is understood.
	Inputs: func(c Config) []Input {
		return inputsOf(
			Input{Sources: scaledSources(c, "position_topic", "position_template"), Set: unlessEmpty(coverPositionSetter(c))},
			Input{Sources: scaledSources(c, "state_topic", "value_template"), Set: unlessEmpty(coverStateSetter(c))},
			Input{Sources: scaledSources(c, "tilt_status_topic", "tilt_status_template"), Set: unlessEmpty(coverTiltSetter(c))},
		)
	},
	Command: coverCommand,
}

var coverMovement = movement{open: "OPEN", close: "CLOSE", stop: "STOP"}

func tiltScale(c Config) openingScale {
	return openingScale{c.Float("tilt_min", 0), c.Float("tilt_max", 100)}
}

// coverOf is the cover in a, made where there is none.
func coverOf(a *entityv1.Attributes) *entityv1.Cover {
	if a.GetCover() == nil {
		a.Domain = &entityv1.Attributes_Cover{Cover: &entityv1.Cover{}}
	}
	return a.GetCover()
}

func coverStateSetter(c Config) setter {
	stopped := c.Word("state_stopped", "stopped")
	words := []stateWord[entityv1.CoverState]{
		{c.Word("state_opening", "opening"), entityv1.CoverState_COVER_STATE_OPENING},
		{c.Word("state_closing", "closing"), entityv1.CoverState_COVER_STATE_CLOSING},
		{c.Word("state_open", "open"), entityv1.CoverState_COVER_STATE_OPEN},
		{c.Word("state_closed", "closed"), entityv1.CoverState_COVER_STATE_CLOSED},
		{"None", entityv1.CoverState_COVER_STATE_UNSPECIFIED},
	}
	return func(a *entityv1.Attributes, s Said) error {
		if s.Text == stopped {
			coverOf(a).State = coverStopped(coverOf(a))
			return nil
		}
		st, ok := meaning(s.Text, words)
		if !ok {
			return unfit(s, wordList(words)+", "+stopped)
		}
		coverOf(a).State = st
		return nil
	}
}

// coverStopped is the state of a cover that stopped: by its position, and where that is not known by the way that it was going.
func coverStopped(c *entityv1.Cover) entityv1.CoverState {
	if c.Position != nil {
		return coverAt(c.GetPosition())
	}
	switch c.GetState() {
	case entityv1.CoverState_COVER_STATE_UNSPECIFIED:
		return entityv1.CoverState_COVER_STATE_UNSPECIFIED
	case entityv1.CoverState_COVER_STATE_CLOSED, entityv1.CoverState_COVER_STATE_CLOSING:
		return entityv1.CoverState_COVER_STATE_CLOSED
	default:
		return entityv1.CoverState_COVER_STATE_OPEN
	}
}

func coverAt(position uint32) entityv1.CoverState {
	if position == 0 {
		return entityv1.CoverState_COVER_STATE_CLOSED
	}
	return entityv1.CoverState_COVER_STATE_OPEN
}

// coverPositionSetter takes a number, or an object with it and the tilt.
func coverPositionSetter(c Config) setter {
	scale, setTilt := positionScale(c), coverTiltSetter(c)
	worded := listens(c, "state_topic")
	return func(a *entityv1.Attributes, s Said) error {
		text, tilt := s.Text, Said{}
		if o := s.object(); o != nil {
			text, tilt.Text = o.Word("position", ""), o.Word("tilt_position", "")
		}
		n, ok := parseNumber(text)
		switch {
		case s.Unknown():
			coverOf(a).Position = nil
			if !worded {
				coverOf(a).State = entityv1.CoverState_COVER_STATE_UNSPECIFIED
			}
			return nil
		case !ok:
			return unfit(s, "a position")
		}
		if tilt.Text != "" {
			if err := setTilt(a, tilt); err != nil {
				return err
			}
		}
		p := scale.percent(n)
		coverOf(a).Position = &p
		if !worded {
			coverOf(a).State = coverAt(p)
		}
		return nil
	}
}

func coverTiltSetter(c Config) setter {
	scale := tiltScale(c)
	return func(a *entityv1.Attributes, s Said) error {
		if s.Unknown() {
			coverOf(a).TiltPosition = nil
			return nil
		}
		n, ok := parseNumber(s.Text)
		if !ok || !scale.holds(n) {
			return unfit(s, fmt.Sprintf("a tilt from %v to %v", scale.closed, scale.open))
		}
		p := scale.percent(n)
		coverOf(a).TiltPosition = &p
		return nil
	}
}

func coverCommand(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
	switch cmd.Action {
	case "set_cover_position":
		n, _ := cmd.Float("position")
		return coverTo(c, n)
	case "open_cover", "close_cover":
		if c.Str("command_topic") == "" { // a position is all that it takes
			return coverTo(c, map[string]float64{"open_cover": 100}[cmd.Action])
		}
	case "stop_cover":
	case "set_cover_tilt_position":
		n, _ := cmd.Float("tilt_position")
		return coverTilt(c, tiltScale(c).own(n), n)
	case "open_cover_tilt":
		n := c.Float("tilt_opened_value", 100)
		return coverTilt(c, n, n)
	case "close_cover_tilt":
		n := c.Float("tilt_closed_value", 0)
		return coverTilt(c, n, n)
	case "stop_cover_tilt":
		if isNullKey(c, "payload_stop_tilt") {
			return nil, cannot(cmd, "the device has no payload_stop_tilt")
		}
		return sendOn(c, "tilt_command_topic", "", c.Word("payload_stop_tilt", "stop"), nil)
	default:
		return nil, cannot(cmd, "no cover does that")
	}
	payload, err := coverMovement.payload(c, cmd)
	if err != nil {
		return nil, err
	}
	return sendOn(c, "command_topic", "", payload, nil)
}

func coverTo(c Config, percent float64) ([]mqtt.Publication, error) {
	return sendPosition(c, "set_position_topic", "set_position_template", "position", positionScale(c).own(percent), percent)
}

func coverTilt(c Config, own, shown float64) ([]mqtt.Publication, error) {
	return sendPosition(c, "tilt_command_topic", "tilt_command_template", "tilt_position", own, shown)
}
