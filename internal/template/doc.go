// Package template renders the Jinja templates of Home Assistant's MQTT discovery: value templates over one payload, and
// command templates over variables. What it writes is what Home Assistant would write, to the letter of Python's str.
//
// # Usage
//
// Compile a text once, then Render it over a Payload as often as wanted, from any goroutine. Texts that are equal share
// one Template while any of them is in use. A template that is nothing but {{ value }} or {{ value_json.a.b }}, which
// nine in ten are, is not interpreted: its path is walked.
//
// # Values
//
// The interpreter knows Python's types: None is not undefined, integers have no limit below 4,300 digits, / always gives
// a float, a string and a number do not add. Containers never change, as in the sandbox Home Assistant uses: there is no
// append. A dict written in a template keeps its order; the objects in a payload are sorted by name and have each name
// once, as state.ValueFromJSON keeps them. An integer that does not fit 64 bits is a float in a payload, as in Home
// Assistant. What is lazy in Python (map, select, reversed and the like) is a list here. The result has no blanks around
// it, as Home Assistant strips them.
//
// # Failure
//
// A text that is no template fails to compile with ErrSyntax. A run fails with ErrFailed, and where it is for an undefined
// value also with ErrUndefined: Home Assistant then takes the payload itself, unchanged, for the value. The filter
// is_defined exists for just that. The bounds give ErrTooLarge (text, output, strings, numbers) and ErrTooLong (steps).
// They count what is done and not the time it takes, so that a template fails here exactly if it fails everywhere.
//
// # Bounds
//
// A text has 64 KiB at most and nests 64 deep; output has 256 KiB at most. Every node that is evaluated, every item that is
// visited and every 16 bytes that are read or made cost one of a million steps, which is about a tenth of a second. They are paid
// for before it is done, so that no run takes more than a few hundred bytes of memory for each step. A [Budget] bounds several runs. Nothing reads
// files, the network or the environment: include, import, extends and from do not compile. No goroutine is started.
//
// # Differences
//
// Regular expressions are Go's (RE2): no look-around and no back-references in a pattern. slugify writes the letters of
// Latin alphabets in ASCII and drops others. states() and what else asks for states fails, saying so. random and shuffle
// do not exist, since equal input has to give equal output, nor do groupby, those that make HTML (striptags, urlize, xmlattr), and Home
// Assistant's for sets (union, difference), versions and checksums: what needs one as a filter or a test does not compile, and the
// call of one as a function is that of what is not defined.
//
// # Why not a library
//
// The one Jinja library for Go that is alive, gonja v2.9.1, was tried: of 40 ordinary templates 24 came out otherwise than
// in Python. It cannot tell None from undefined, does not parse ('a' if x else 'b')|lower or '\d', takes % for an integer's
// and adds strings to numbers. All of that is in its parser and its evaluator, which have no hooks, nor can a bound be put
// on 'a' * 10**9 there.
//
// # Testing
//
// testdata/golden.jsonl holds what Python's own Jinja says to every template of testdata/templates.py, which rewrites it.
package template
