package storage

import "errors"

// The errors of this package, to be matched with [errors.Is]. Their messages name the file and say what to do.
var (
	// ErrLocked: another process has the database open.
	ErrLocked = errors.New("the database is in use by another process")
	// ErrNotOurs: the file is not a Statehouse database. It was not changed.
	ErrNotOurs = errors.New("not a Statehouse database")
	// ErrNewerFormat: a newer version wrote the file. It was not changed.
	ErrNewerFormat = errors.New("written by a newer version")
	// ErrNotWritable: the file or its directory cannot be written.
	ErrNotWritable = errors.New("not writable")
	// ErrDamaged: SQLite cannot read the file. It was not changed.
	ErrDamaged = errors.New("the database file is damaged")
	// ErrOldSQLite: the SQLite that the program was built with has defects that could cost data.
	ErrOldSQLite = errors.New("SQLite is too old")
)
