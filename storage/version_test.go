package storage

import "testing"

func TestCompareVersions(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"3.51.3", "3.51.3", 0}, {"3.51.2", "3.51.3", -1}, {"3.6.0", "3.51.3", -1}, {"3.54.1", "3.51.3", 1},
		{"4.0", "3.51.3", 1}, {"3.51", "3.51.3", -1}, {"", "3.51.3", -1},
	} {
		got := compareVersions(c.a, c.b)
		if (got > 0) != (c.want > 0) || (got < 0) != (c.want < 0) {
			t.Errorf("%q against %q: %d", c.a, c.b, got)
		}
	}
}
