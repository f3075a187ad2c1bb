package hass

import (
	"encoding/hex"
	"strings"

	"github.com/statehouse/statehouse/eventstore"
)

// contextID is the id of a Home Assistant context, which is an event of the log here. It is written as a ULID: 48 bits of
// time, and where others have chance the event's position (64 bits) and the beginning of the database's uuid (16 bits), so
// that it leads back to the event, and sorts as the log does.
type contextID struct {
	// millis is when the event was recorded, in milliseconds since 1970, at most 48 bits.
	millis   uint64
	position eventstore.Position
	// database tells the logs of different databases apart; see [databaseTag].
	database uint16
}

// databaseTag is the beginning of a database's uuid.
func databaseTag(uuid string) uint16 {
	var tag [2]byte
	if len(uuid) < 4 {
		return 0
	}
	if _, err := hex.Decode(tag[:], []byte(uuid[:4])); err != nil {
		return 0
	}
	return uint16(tag[0])<<8 | uint16(tag[1])
}

// crockford are the digits of a ULID.
const (
	crockford  = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	ulidDigits = 26
)

// String is the ULID.
func (c contextID) String() string {
	high := c.millis<<16 | uint64(c.position)>>48
	low := uint64(c.position)<<16 | uint64(c.database)
	var text [ulidDigits]byte
	for i := ulidDigits - 1; i >= 0; i-- {
		text[i] = crockford[low&31]
		low = low>>5 | high<<59
		high >>= 5
	}
	return string(text[:])
}

// parseContextID reads what String wrote, and nothing else; ok says whether it is that.
func parseContextID(text string) (c contextID, ok bool) {
	if len(text) != ulidDigits || text[0] > '7' { // of the first digit three bits count
		return contextID{}, false
	}
	var high, low uint64
	for i := range ulidDigits {
		digit := strings.IndexByte(crockford, text[i])
		if digit < 0 {
			return contextID{}, false
		}
		high = high<<5 | low>>59
		low = low<<5 | uint64(digit)
	}
	return contextID{
		millis: high >> 16, position: eventstore.Position(high<<48 | low>>16), database: uint16(low),
	}, true
}
