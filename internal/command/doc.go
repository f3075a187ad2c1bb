// Package command is the vocabulary of commands: what an entity can be asked to do, in which words, and what its state
// says once it is done. It does nothing itself: no I/O, no clock, no events.
//
// # Use
//
// A door makes a [Request] of what it was given: [ParseWords] of what a person writes, [FromService] of what Home
// Assistant's clients call. [Check] compares it with what the entity's source says that it can do and with its present
// state, and gives a [Checked] request: one spelling, one unit, one type for each argument, nothing relative in it, so
// that sending it twice does what sending it once does. Whoever sends it to the device renders a Checked and nothing
// else. [Actions] and [Domains] list what there is, for help and for programs.
//
// [Answers] says whether a state confirms a command, [Merge] what the state is of a device that never says, and
// [Supersedes] whether a later command makes an earlier one moot.
//
// # Arguments
//
// Names are those of Home Assistant's services, but for a light's colors, which are called as in its attributes. Units are
// those of the attributes: brightness is 0 to 255 and a position 0 to 100, whatever scale the source has; a color temperature
// is in kelvin. Colors are lists of numbers: xy [0.3, 0.4], hs [30, 80], rgb [255, 0, 0]. A number that is whole is an
// int_value, any other a double_value. A color that the light cannot take is converted to one that it can.
//
// A value that is out of range, or no option, is an error and never made to fit. Two things follow Home Assistant:
// brightness_step ends at 0 and 255, and a fan's percentage goes up to the next speed that it has. So does this: a step
// that a source announces binds nobody. What a device makes of 21.3 where it knows halves is not known beforehand,
// so no such value is expected of its state. A scale that is coarser than ours is followed: of 0 to 10, brightness 128 is
// 5 and comes back as 128.
//
// # Secrets
//
// The code of a lock or an alarm is an argument of a Request. Check moves it to Checked.Secret, because
// Checked.Arguments goes to the log of events, which keeps it for good: Secret must not be written anywhere, and no
// error of this package repeats it.
//
// # Failure and concurrency
//
// All functions are pure: they keep and modify nothing that they are given, and are safe for concurrent use. What is given may be
// hostile; it is bounded by [MaxArguments] and by the length of each text. Errors match [ErrInvalid] or
// [ErrUnsupported] and are for people.
package command
