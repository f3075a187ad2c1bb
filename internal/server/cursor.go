package server

import (
	"strconv"
	"strings"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
)

// cursor is a position in a certain database: the id of a message in a stream, and the tag of a state.
type cursor struct {
	database string // the beginning of its uuid
	position eventstore.Position
}

// databaseDigits is how much of a uuid tells databases apart: 48 bits.
const databaseDigits = 12

func newCursor(h *statehouse.House, at eventstore.Position) cursor {
	uuid := strings.ReplaceAll(h.Store().UUID(), "-", "")
	return cursor{database: uuid[:databaseDigits], position: at}
}

// String is "<database>-<position>".
func (c cursor) String() string {
	return c.database + "-" + strconv.FormatUint(uint64(c.position), 10)
}

// parseCursor reads what String wrote.
func parseCursor(text string) (cursor, bool) {
	database, number, ok := strings.Cut(text, "-")
	if !ok || len(database) != databaseDigits {
		return cursor{}, false
	}
	position, err := strconv.ParseUint(number, 10, 63)
	if err != nil || strconv.FormatUint(position, 10) != number {
		return cursor{}, false
	}
	return cursor{database: database, position: eventstore.Position(position)}, true
}
