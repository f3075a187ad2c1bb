// Package defect holds deliberate defects, which are there to show that the tests find them: "make defects" builds the
// program and its tests with the tag statehouse_defect and has one defect at a time, and wants the tests that are named
// for it to fail. Without the tag there is none, and the compiler leaves the code of all of them out.
package defect

// Name is the name of a defect.
type Name string

// The defects.
const (
	// AckBeforeCommit answers the callers of a group before it is committed.
	AckBeforeCommit Name = "ack-before-commit"
	// PromoteBeforeCommit shows readers what is not committed yet.
	PromoteBeforeCommit Name = "promote-before-commit"
	// SnapshotPositionApart takes the position of a snapshot from one revision and its contents from another.
	SnapshotPositionApart Name = "snapshot-position-apart"
	// FilterAfterLimit pages a subscription by the events that it looked at, and filters what is on the page.
	FilterAfterLimit Name = "filter-after-limit"
	// SyncNormal has SQLite sync the WAL with its checkpoints only.
	SyncNormal Name = "sync-normal"
	// ChainNotChecked takes the chain's values for what they should be.
	ChainNotChecked Name = "chain-not-checked"
)
