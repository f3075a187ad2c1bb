package storage

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"modernc.org/sqlite" // and the driver named "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/statehouse/statehouse/internal/defect"
)

// applicationID marks a database as ours in its header: "STHS".
const applicationID = 0x53544853

// pageSize is the size of a page of a new database, in bytes. A commit of one event writes a page and its header to the
// WAL: the smaller it is, the less wears the disk out.
const pageSize = 2048

// oldestSQLite is the oldest SQLite that may write a log: earlier ones could, in rare races of a checkpoint with a
// writer, leave the WAL and the database inconsistent.
const oldestSQLite = "3.51.3"

// Options change how a database is opened. The zero value is right for nearly everybody.
type Options struct {
	// Readers is the number of connections that may read at once; 0 means the larger of 4 and the number of CPUs.
	Readers int
	// ReadOnlyIfDamaged opens a database that is damaged for reading, as far as SQLite can read it: [DB.Damage] says
	// what is wrong. Without it such a database is not opened.
	ReadOnlyIfDamaged bool
	// Existing opens none but a database that is there: where there is no file, or nothing in it, the error matches
	// [fs.ErrNotExist], and none is made.
	Existing bool
}

// DB is an open database and the lock on it.
type DB struct {
	path   string
	lock   *lock
	reader *sql.DB
	damage error // nil, or why it is read-only
	// inherited says that there was a WAL.
	inherited bool

	// keeper is a connection that only reads. SQLite moves the WAL into the database when the last connection is closed, unless
	// that is one that cannot.
	keeper *sql.DB

	mu        sync.Mutex // guards the rest
	writer    *sql.DB    // which Reopen replaces
	preserved bool       // the keeper is to be the last that is closed
	// doubted says that a sync of the WAL may have failed: as long as [DB.MoveWAL] has not mended that, nothing may be moved
	// into the database, at the end neither.
	doubted bool

	close func() error // does its work once
}

// Open opens the database at path and creates it, and its directory, where there is none; not where what is beside it
// says that there was one. Files get mode 0600 and directories 0700. An error leaves an existing file as it was. The
// error of a context that ends meanwhile matches the context's.
//
// The WAL is read before SQLite does it: one from which transactions were lost that had been synced is [ErrDamaged]. It is
// copied aside, and nothing changes it.
func Open(ctx context.Context, path string, opts Options) (*DB, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := checkMissing(path); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if opts.Existing {
		if err := checkExists(realPath(path)); err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
	}
	if err := prepareFiles(realPath(path), SyncDir); err != nil {
		return nil, err
	}
	l, err := acquireLock(path)
	if err != nil {
		return nil, err
	}
	db := &DB{path: path, lock: l}
	db.close = sync.OnceValue(db.release)
	if err := db.open(ctx, opts); err != nil {
		db.Preserve()
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, classify(ctx, err)), db.Close())
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, opts Options) (err error) {
	if info, err := os.Stat(realPath(db.path) + walSuffix); err == nil {
		db.inherited = info.Size() > 0
		db.doubted = db.inherited
	}
	if db.damage, err = checkFiles(db.path); err != nil {
		return err
	}
	if db.damage != nil && !opts.ReadOnlyIfDamaged {
		return db.damage
	}
	if db.damage == nil {
		if err := checkWritable(realPath(db.path)); err != nil {
			return err
		}
	}
	if err := registerSum(); err != nil {
		return err
	}
	isNew, err := db.checkOurs(ctx)
	if err != nil {
		return err
	}
	if isNew && db.damage == nil {
		if err := claim(ctx, db.path); err != nil {
			return err
		}
	}
	if db.writer, err = db.openWriter(); err != nil {
		return err
	}
	if err := checkSQLite(ctx, db.writer); err != nil {
		return err
	}
	if err := db.migrate(ctx); err != nil {
		if !isNew {
			err = schemaError(err)
		}
		return err
	}
	if err := checkSchema(ctx, db.writer); err != nil {
		return err
	}
	if db.reader, err = sql.Open("sqlite", db.dsn("query_only(1)")); err != nil {
		return err
	}
	readers := opts.Readers
	if readers <= 0 {
		readers = max(4, runtime.NumCPU())
	}
	db.reader.SetMaxOpenConns(readers)
	db.reader.SetMaxIdleConns(readers)
	if err := db.reader.PingContext(ctx); err != nil {
		return err
	}
	var id int
	return db.keeper.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id) // opens the WAL that a new file has by now
}

// claim makes a new file one of ours.
func claim(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", fileURL(path, url.Values{"_pragma": {
		"busy_timeout(10000)", "synchronous(FULL)", "page_size(" + strconv.Itoa(pageSize) + ")",
	}}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "PRAGMA application_id = "+strconv.Itoa(applicationID))
	return err
}

// openWriter opens the pool of the one connection that writes, if the database is not damaged.
func (db *DB) openWriter() (*sql.DB, error) {
	source := db.dsn()
	if db.damage == nil {
		source += "&_txlock=immediate"
	}
	w, err := sql.Open("sqlite", source)
	if err != nil {
		return nil, err
	}
	w.SetMaxOpenConns(1)
	w.SetMaxIdleConns(1)
	return w, nil
}

// dsn names the file together with the pragmas that every connection to it starts with.
func (db *DB) dsn(pragmas ...string) string {
	synchronous := "FULL"
	if defect.Is(defect.SyncNormal) {
		synchronous = "NORMAL"
	}
	v := url.Values{"_pragma": append([]string{
		// The timeout comes first, so that the others wait for a lock instead of failing.
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(" + synchronous + ")", "mmap_size(0)",
		"foreign_keys(1)", "trusted_schema(0)",
	}, pragmas...)}
	if db.damage != nil {
		v.Set("mode", "ro") // neither writes nor moves the WAL into the database
	}
	return fileURL(db.path, v)
}

// fileURL names a file the way SQLite understands it, whatever characters are in its path.
func fileURL(path string, query url.Values) string {
	u := url.URL{
		Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: query.Encode(),
	}
	return u.String()
}

// Path is the absolute path of the database file.
func (db *DB) Path() string { return db.path }

// Announce tells other processes where this one answers; see [ReadHolder].
func (db *DB) Announce(url string) error {
	return db.lock.announce(Holder{PID: os.Getpid(), URL: url})
}

// Damage is why the database is open for reading only, nil if it is not. It matches [ErrDamaged].
func (db *DB) Damage() error { return db.damage }

// Beside is [Beside] of this database.
func (db *DB) Beside(suffix string) string { return Beside(db.path, suffix) }

// Preserve makes Close leave the files as they are, where otherwise it would move the WAL into the database: for a
// database that is found to be damaged. Nothing must be written from here on.
func (db *DB) Preserve() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.preserved = true
}

// InheritedWAL says that the process that had the database before did not close it. It may have ended because a sync had
// failed, so that [DB.MoveWAL] goes before whatever is written.
func (db *DB) InheritedWAL() bool { return db.inherited }

// MoveWAL makes the WAL durable whatever became of earlier syncs, moves all of it into the database, synced, and empties it.
// conn is the one that writes, outside of a transaction.
//
// When a sync fails, Linux takes the pages that were to be written for clean: they read back, they are not on the disk, and
// no later sync brings them there. Moved from there into the database, they would be durable, and the WAL on the disk would
// still end before them: until its new size is on the disk, or where the power is cut between two pages of the move, that
// shorter WAL is taken for the newer truth and lays old pages over new ones.
func (db *DB) MoveWAL(ctx context.Context, conn interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) error {
	if err := rewrite(db.Beside(walSuffix)); err != nil {
		return fmt.Errorf("write the WAL once more: %w", err)
	}
	var busy, frames, moved int
	if err := conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if busy != 0 {
		return errors.New("checkpoint: a reader was in the way")
	}
	db.mu.Lock()
	db.doubted = false
	db.mu.Unlock()
	return nil
}

// rewrite writes a file's contents over themselves and syncs them, so that every page of it is written, also those that the
// kernel takes for written. It is fine that there is no such file.
func rewrite(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buffer := make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := f.ReadAt(buffer, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			return f.Sync()
		}
		if _, err := f.WriteAt(buffer[:n], at); err != nil {
			return err
		}
		at += int64(n)
	}
}

// Reader is the pool of connections that only read.
func (db *DB) Reader() *sql.DB { return db.reader }

// Writer is the pool of the one connection that writes. After [DB.Reopen] the one from before is closed.
func (db *DB) Writer() *sql.DB {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.writer
}

// Reopen replaces the connection that writes by a new one, and with it whatever SQLite believed about the file: after a commit
// that failed. [DB.MoveWAL] goes before whatever is written.
func (db *DB) Reopen(ctx context.Context) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.doubted = true
	if err := db.writer.Close(); err != nil {
		return fmt.Errorf("reopen %s: %w", db.path, err)
	}
	w, err := db.openWriter()
	if err != nil {
		return fmt.Errorf("reopen %s: %w", db.path, err)
	}
	db.writer = w
	if err := w.PingContext(ctx); err != nil {
		return fmt.Errorf("reopen %s: %w", db.path, err)
	}
	return nil
}

// Close closes all connections and gives up the lock. Whoever uses the connections must have ended. Close may be
// called again, and then returns what it returned.
func (db *DB) Close() error { return db.close() }

func (db *DB) release() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	// The writer goes last: closing the last connection moves the WAL into the database, which the others may not do.
	order := []*sql.DB{db.keeper, db.reader, db.writer}
	if db.preserved || db.doubted {
		order = []*sql.DB{db.reader, db.writer, db.keeper}
	}
	var errs []error
	for _, pool := range order {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(append(errs, db.lock.release())...)
}

// checkExists refuses a path where there is no database yet.
func checkExists(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Size() == 0 {
		return fmt.Errorf("%w: the file is empty", fs.ErrNotExist)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // what else may be wrong with it is said by who opens it
}

// smallestDB is the size of the smallest SQLite database: one page of the smallest size.
const smallestDB = 512

// prepareFiles makes the directory and the file, so that they get our modes and not those of the umask, and refuses
// what cannot be a database before anything is locked or written. As long as nothing is in the file it calls sync for
// each directory above it: whichever of the names are new, and whoever made them and may have ended before the sync.
func prepareFiles(path string, sync func(dir string) error) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotWritable, dir, err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("open %s: %w", path, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is not a regular file", ErrNotOurs, path)
	case info.Size() > 0 && info.Size() < smallestDB:
		// SQLite would take it for empty and write over it.
		return fmt.Errorf("%w: %s has %d bytes, which no database has; name another file", ErrNotOurs, path, info.Size())
	case info.Size() > 0:
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = f.Close()
	}
	for err == nil {
		err = sync(dir)
		above := filepath.Dir(dir)
		if above == dir {
			break
		}
		dir = above
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotWritable, path, err)
	}
	return nil
}

// checkSQLite refuses an SQLite that is too old to be trusted with a log.
func checkSQLite(ctx context.Context, db *sql.DB) error {
	var version string
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return err
	}
	if compareVersions(version, oldestSQLite) < 0 {
		return fmt.Errorf("%w: it is %s, at least %s is needed", ErrOldSQLite, version, oldestSQLite)
	}
	return nil
}

// checkOurs refuses a database that something else made, and says whether it is one that nobody has made anything of
// yet. It looks through the keeper, which only reads and has none of our pragmas: setting journal_mode would already
// change the file.
func (db *DB) checkOurs(ctx context.Context) (isNew bool, err error) {
	if db.keeper, err = sql.Open("sqlite", fileURL(db.path, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}})); err != nil {
		return false, err
	}
	db.keeper.SetMaxOpenConns(1)
	isNew, err = looksOurs(ctx, db.keeper)
	var e *sqlite.Error
	if !errors.As(err, &e) || e.Code() != sqlite3.SQLITE_READONLY_ROLLBACK {
		return isNew, err
	}
	// A rollback journal lies beside it, which only somebody who may write can play back. Ours has one for the moments
	// in which a new file becomes a database, and that a WAL database: look at what is in the file without it. A file
	// that was empty before has nothing that counts, whatever is in it, and will be empty again.
	if empty, err := journalOfEmpty(realPath(db.path)); empty || err != nil {
		return empty, err
	}
	without, err := sql.Open("sqlite", fileURL(db.path, url.Values{"mode": {"ro"}, "immutable": {"1"}}))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, without.Close()) }()
	return looksOurs(ctx, without)
}

// journalOfEmpty says whether the rollback journal beside a file is that of its first transaction.
func journalOfEmpty(path string) (bool, error) {
	f, err := os.Open(path + "-journal")
	if err != nil {
		return false, err
	}
	var header struct {
		Magic                        [8]byte
		Records, Nonce, PagesAtStart uint32
	}
	err = errors.Join(binary.Read(f, binary.BigEndian, &header), f.Close())
	return err == nil && header.PagesAtStart == 0, err
}

func looksOurs(ctx context.Context, db *sql.DB) (isNew bool, err error) {
	var id, objects, ours int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return false, err
	}
	if id == applicationID {
		return false, nil
	}
	if err := db.QueryRowContext(ctx, `SELECT count(*), count(name IN ('goose_db_version', 'meta', 'segments') OR NULL)
		FROM sqlite_schema`).Scan(&objects, &ours); err != nil {
		return false, err
	}
	switch {
	case ours == 3:
		return false, fmt.Errorf("%w: its application id is %#x instead of %#x", ErrDamaged, uint32(id), applicationID)
	case id != 0 || objects != 0:
		return false, fmt.Errorf("%w: it is an SQLite database of another program; name another file", ErrNotOurs)
	default:
		return true, nil
	}
}

// compareVersions compares dotted numbers; what is no number counts as 0.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		var x, y int
		if i < len(as) {
			x, _ = strconv.Atoi(as[i])
		}
		if i < len(bs) {
			y, _ = strconv.Atoi(bs[i])
		}
		if x != y {
			return x - y
		}
	}
	return 0
}

func isReadOnlyFS(err error) bool { return errors.Is(err, syscall.EROFS) }
