// Package rot proves what is promised of damage (I11): it makes a small house with a bit of everything in it, flips its
// bytes or its bits, one at a time, in the database, the WAL and the anchor, opens what comes of it, and asks it
// everything. Either the damage is reported, and whatever is answered without an error is what was answered before, or
// every answer is what it was, also after the house has gone on. The events of the rows that SQLite alone still reads as they
// were can be read, up to the damage from either end, and are saved by a repair. It must never panic, never begin with an
// empty log, and never change a damaged file.
//
// Which bytes matter is nowhere written down: the answers tell.
package rot
