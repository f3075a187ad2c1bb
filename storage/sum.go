package storage

import (
	"database/sql/driver"
	"encoding/binary"
	"hash/crc32"
	"sync"

	"modernc.org/sqlite"
)

// RowSum is the checksum of a row, over the values of its other columns: CRC-32C over each, behind its type and its
// length. SQLite has none for what it stores. In SQL it is statehouse_sum. Values are int64, string and []byte; what
// else a column may turn out to hold has a sum that none of those has.
func RowSum(values ...any) int64 {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case int64:
			b = binary.LittleEndian.AppendUint64(append(b, 'i'), uint64(v))
		case string:
			b = append(binary.AppendUvarint(append(b, 's'), uint64(len(v))), v...)
		case []byte:
			b = append(binary.AppendUvarint(append(b, 'b'), uint64(len(v))), v...)
		default:
			b = append(b, '?')
		}
	}
	return int64(crc32.Checksum(b, castagnoli))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// registerSum makes SQLite know statehouse_sum.
var registerSum = sync.OnceValue(func() error {
	return sqlite.RegisterDeterministicScalarFunction("statehouse_sum", -1,
		func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			values := make([]any, len(args))
			for i, a := range args {
				values[i] = a
			}
			return RowSum(values...), nil
		})
})
