package discovery

import (
	"slices"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// valveComponent is a valve for water or gas. One that reports its position is asked for positions only.
var valveComponent = Component{
	Name: "valve", Domain: "valve",
	Check: func(c Config) error {
		if err := positionScale(c).check("positions"); err != nil {
			return err
		}
		if !listens(c, "state_topic") {
			return needsAll("valve", "command_topic")(c)
		}
		return validTopics(c)
	},
	Describe: func(c Config, e *entityv1.Entity) {
		positioned := c.Flag("reports_position", false)
		reads, writes := answersOn(c, "state_topic"), c.Str("command_topic") != ""
		words := valveMovement.words(c)
		if positioned {
			words = append([]string{"OPEN", "CLOSE"}, words[stopAt(words):]...)
			addFeature(e, percentFeature("position", reads, writes))
		}
		addFeature(e, &entityv1.Feature{Name: "state", Readable: reads && !positioned, Writable: writes, Options: words})
	},
	Inputs: func(c Config) []Input {
		return inputsOf(Input{Sources: scaledSources(c, "state_topic", "value_template"), Set: unlessEmpty(valveSetter(c))})
	},
	Command: valveCommand,
}

// valveMovement has no word for stopping but the one that the configuration gives.
var valveMovement = movement{open: "OPEN", close: "CLOSE"}

// stopAt is where STOP stands in words, or would.
func stopAt(words []string) int {
	if n := len(words); n > 0 && words[n-1] == "STOP" {
		return n - 1
	}
	return len(words)
}

// valveOf is the valve in a, made where there is none.
func valveOf(a *entityv1.Attributes) *entityv1.Valve {
	if a.GetValve() == nil {
		a.Domain = &entityv1.Attributes_Valve{Valve: &entityv1.Valve{}}
	}
	return a.GetValve()
}

// valveSetter takes a word or a number, or an object with state and position.
func valveSetter(c Config) setter {
	moving := []stateWord[entityv1.ValveState]{
		{c.Word("state_opening", "opening"), entityv1.ValveState_VALVE_STATE_OPENING},
		{c.Word("state_closing", "closing"), entityv1.ValveState_VALVE_STATE_CLOSING},
	}
	words := slices.Concat(moving, []stateWord[entityv1.ValveState]{
		{c.Word("state_open", "open"), entityv1.ValveState_VALVE_STATE_OPEN},
		{c.Word("state_closed", "closed"), entityv1.ValveState_VALVE_STATE_CLOSED},
		{"None", entityv1.ValveState_VALVE_STATE_UNSPECIFIED},
	})
	positioned, scale := c.Flag("reports_position", false), positionScale(c)
	return func(a *entityv1.Attributes, s Said) error {
		word, position := s.Text, s.Text
		o := s.object()
		if o != nil {
			word, position = o.Word("state", ""), o.Word("position", "")
		}
		if positioned {
			return setValvePosition(a, s, scale, moving, word, position, o != nil)
		}
		st, ok := meaning(word, words)
		if !ok {
			return unfit(s, wordList(words))
		}
		valveOf(a).State = st
		return nil
	}
}

// setValvePosition takes what a valve that reports its position says. Where it says a number alone it may still be moving,
// until it arrives at an end.
func setValvePosition(
	a *entityv1.Attributes, s Said, scale openingScale, moving []stateWord[entityv1.ValveState], word, position string, both bool,
) error {
	st, moves := meaning(word, moving)
	n, isNumber := parseNumber(position)
	switch {
	case word == "None":
		v := valveOf(a)
		v.State, v.Position = entityv1.ValveState_VALVE_STATE_UNSPECIFIED, nil
		return nil
	case !isNumber && (both || !moves):
		return unfit(s, "a position, or "+wordList(moving))
	case isNumber:
		v, p := valveOf(a), scale.percent(n)
		v.Position = &p
		goesOn := !both && p > 0 && p < 100 &&
			(v.GetState() == entityv1.ValveState_VALVE_STATE_OPENING || v.GetState() == entityv1.ValveState_VALVE_STATE_CLOSING)
		switch {
		case moves || goesOn:
		case p == 0:
			v.State = entityv1.ValveState_VALVE_STATE_CLOSED
		default:
			v.State = entityv1.ValveState_VALVE_STATE_OPEN
		}
	}
	if moves {
		valveOf(a).State = st
	}
	return nil
}

func valveCommand(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
	n, to := cmd.Float("position")
	if c.Flag("reports_position", false) {
		switch cmd.Action {
		case "open_valve":
			n, to = 100, true
		case "close_valve":
			n, to = 0, true
		}
	}
	if to {
		return sendPosition(c, "command_topic", "command_template", "position", positionScale(c).own(n), n)
	}
	payload, err := valveMovement.payload(c, cmd)
	if err != nil {
		return nil, err
	}
	return send(c, payload, nil)
}
