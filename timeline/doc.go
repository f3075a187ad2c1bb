// Package timeline is the past of a house as values.
//
// A [Moment] is the whole house at one position, states and registry together. [Timeline.AsOf] gives the moment at any
// position of the log, of the same type as the present one: it restores the newest snapshot at or before the position, or
// starts from a moment near it that it has kept, and folds the events between. [Diff] says what is different between two
// moments, [Timeline.Why] what led to an event, and [Moment.With] what would be if.
//
// # What is promised
//
// An answer about the past never changes: a moment is the fold of the events up to its position, whatever snapshots
// there are, whether the log is sealed, and however often one asks. The position is the lasting handle; a time stands
// for the last position that was recorded at or before it, and is final once a later event was recorded.
//
// History that was removed from the log ([eventstore.Store.Compact]) is gone from here, too: whatever would have to look at
// it fails with [eventstore.ErrCompacted], and nothing is made up in its place. The moment at the log's base is the oldest.
//
// Neighbouring moments share what is the same in them, so that stepping through time costs what changes. The moments that
// were used last are kept, in about 32 MiB beside the newest one; one that is kept is answered at once, and the others are worked out one
// after another, each as fast as the machine can.
//
// All methods may be called by any number of goroutines. They read beside the writer and never slow it.
package timeline
