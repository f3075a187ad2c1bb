package storage

import (
	"path/filepath"
	"strings"
	"testing"
)

// The tables and columns that an opening asks for are all that there are.
func TestSchemaIsKnown(t *testing.T) {
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "home.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	known := map[string]string{}
	for _, table := range tables {
		known[table.name] = table.columns
	}
	rows, err := db.Reader().QueryContext(t.Context(), `SELECT t.name, c.name FROM pragma_table_list t, pragma_table_info(t.name) c
		WHERE t.schema = 'main' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE 'goose%' ORDER BY t.name, c.cid`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	found := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		found[table] = append(found[table], column)
	}
	if err := rows.Err(); err != nil || len(found) != len(known) {
		t.Errorf("%d tables instead of %d: %v, %v", len(found), len(known), found, err)
	}
	for table, columns := range found {
		if got := strings.Join(columns, ", "); got != known[table] {
			t.Errorf("%s has the columns %s, and what is known is %s", table, got, known[table])
		}
	}
}
