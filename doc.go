// Package statehouse is an event-sourced state engine for homes and device fleets, to embed in a program.
//
// [Open] opens a database file. What happens in the house is appended to it as events ([House.Append],
// [House.Decide]); the present follows from them ([House.Now]), and both survive whatever happens to the process:
// what was acknowledged is never lost, what is read was committed, and the past never changes its answer.
package statehouse
