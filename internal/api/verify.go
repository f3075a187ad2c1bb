package api

import (
	"time"

	"github.com/statehouse/statehouse/eventstore"
)

// VerifyLine is one line of the answer to POST /v1/verify; it has one of its fields. The last line has a result, or an
// error.
type VerifyLine struct {
	Progress *Progress     `json:"progress,omitempty"`
	Finding  *Finding      `json:"finding,omitempty"`
	Result   *Verification `json:"result,omitempty"`
	Error    *ErrorDetail  `json:"error,omitempty"`
}

// Progress says how far a verification is: everything up to Position was looked at, of all up to Last, which is 0 where
// it is not known.
type Progress struct {
	Position eventstore.Position `json:"position"`
	Last     eventstore.Position `json:"last"`
}

// NewProgress is the progress of an inspection as it goes over the wire.
func NewProgress(done, last eventstore.Position) Progress {
	if last == eventstore.MaxPosition {
		last = 0
	}
	return Progress{Position: done, Last: last}
}

// Finding is one thing that is wrong with a database.
type Finding struct {
	// Kind says what it is about: gap, segment, chain, event, filter, snapshot, file or fold.
	Kind eventstore.FindingKind `json:"kind"`
	// First and Last are the positions that it concerns.
	First eventstore.Position `json:"first"`
	Last  eventstore.Position `json:"last"`
	// RecordedFrom and RecordedTo are when those were recorded, left out where that is not known.
	RecordedFrom *time.Time `json:"recorded_from,omitempty"`
	RecordedTo   *time.Time `json:"recorded_to,omitempty"`
	// Entities are those that it is or may be about.
	Entities []string `json:"entities,omitempty"`
	// Owner is whose snapshot or fold it is about.
	Owner string `json:"owner,omitempty"`
	// Problem says what is wrong, Text all of it in one line.
	Problem string `json:"problem"`
	Text    string `json:"text"`
}

// NewFinding is a finding as it goes over the wire.
func NewFinding(f eventstore.Finding) Finding {
	w := Finding{
		Kind: f.Kind, First: f.First, Last: f.Last, Entities: f.Entities, Owner: f.Owner,
		Problem: f.Problem.Error(), Text: f.String(),
	}
	if !f.RecordedFrom.IsZero() {
		w.RecordedFrom = &f.RecordedFrom
	}
	if !f.RecordedTo.IsZero() {
		w.RecordedTo = &f.RecordedTo
	}
	return w
}

// Verification says what a verification has looked at.
type Verification struct {
	// Position is the last one that was looked at, and Events the number of those that could be read.
	Position eventstore.Position `json:"position"`
	Events   uint64              `json:"events"`
	// Removed is the position up to which history had been removed on purpose, 0 for a whole one: nothing is there to look
	// at.
	Removed eventstore.Position `json:"removed,omitempty"`
	// Sealed and Unsealed are the segments that they are in.
	Sealed   int `json:"sealed_segments"`
	Unsealed int `json:"unsealed_segments"`
	// Snapshots were checked, and Compared of them compared with the fold of the log as well.
	Snapshots int `json:"snapshots"`
	Compared  int `json:"compared_snapshots"`
	// Findings is the number of things that are wrong.
	Findings int     `json:"findings"`
	Seconds  float64 `json:"seconds"`
}

// NewVerification is the result of an inspection as it goes over the wire.
func NewVerification(i eventstore.Inspection) Verification {
	return Verification{
		Position: i.Last, Events: i.Events, Removed: i.Removed, Sealed: i.Sealed, Unsealed: i.Unsealed,
		Snapshots: i.Snapshots, Compared: i.Compared, Findings: i.Findings, Seconds: i.Took.Seconds(),
	}
}

// Verified is what a daemon knows of the last verification.
type Verified struct {
	// At is when the last one that looked at everything ended, and AgeSeconds how long ago that is; At is nil where there
	// was none.
	At         *time.Time `json:"at,omitempty"`
	AgeSeconds float64    `json:"age_seconds,omitempty"`
	// Findings is the number of things that it, or one after it that has not ended, found to be wrong, and Damage the
	// first of them.
	Findings int    `json:"findings"`
	Damage   string `json:"damage,omitempty"`
}
