// Package storage is the SQLite file under a log: it opens it, and nothing else in the program touches it.
//
// # Durability
//
// Every connection runs with journal_mode=WAL, synchronous=FULL and mmap_size=0: a transaction whose COMMIT returned
// survives a power cut, as far as the drive keeps its promise about flushing. synchronous=NORMAL was ruled out because
// it may drop acknowledged transactions, and a pragma set on one connection of a pool because the others then run
// without it: here the pragmas are part of the data source name. So do the file's name and those of new directories:
// [Open] syncs what it creates them in. SQLite does the same with the first sync of a journal or a WAL that it opened.
//
// # One process
//
// [Open] takes an exclusive lock on a file of its own beside the database ("home.db.lock") and keeps it until
// [DB.Close]. Nothing may open the database, its -wal or its -shm file by other means while it is open: closing such
// a descriptor drops the locks that SQLite holds in the same process.
//
// # Connections
//
// [DB.Writer] is the pool of one connection that writes; its owner is the one writer of the log. [DB.Reader] is the
// pool of the connections that only read, which SQLite enforces.
package storage
