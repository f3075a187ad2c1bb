// Package disk is a model of what a power cut leaves of files: it follows a trace of a program's calls and builds, for the
// moment that it has come to, any of the states in which a disk may be found afterwards.
//
// # What is certain
//
// What a file held when a sync of it began that has returned without an error, size included; and the names in a directory
// when a sync of the directory began. fdatasync counts as fsync: it makes everything durable that reading back needs.
//
// # What is not
//
//   - Each sector of 512 bytes that was written since may have any of the contents that it had in memory since the sync,
//     whatever happened to other sectors: writes are kept, dropped, done in another order, and torn. A sector itself is
//     not torn, as SQLite assumes of disks too.
//   - A file's size may be any that it had since the sync. What lies beyond the certain size and was not kept
//     reads as zeros, or as anything: some file systems let the size go before the data.
//   - A file that was made shorter has its sectors of before or of after, not both: the blocks are given up with the size.
//   - Of each name, any of the files that it has stood for since the sync of the directory. A move is done with both
//     names or with none. A file whose name did not last is lost with all that was synced in it, and a sync of the file does
//     not make its name last, though some file systems do more.
//   - When a sync fails, the data that it was to write stays uncertain for good, also after later syncs that succeed: the
//     kernel takes the pages for clean. A sector that is written again is as good as any other. Sizes and names are the file
//     system's own, which writes them with the next sync.
//   - What was written through a shared mapping is not known, and may be anything.
//
// File systems in use do less harm than that: ext4 in its usual mode keeps the order of names, and of names and data.
//
// Not modelled: disks that lie about what they have flushed, and sectors that go bad.
package disk

// SectorSize is what a disk writes as a whole.
const SectorSize = 512
