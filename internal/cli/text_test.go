package cli

import (
	"strings"
	"testing"
	"time"
)

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain ü 灯":          "plain ü 灯",
		"\x1b[31mred\x1b[0m": "·[31mred·[0m",
		"two\nlines\tof":     "two lines of",
		"back\u202ewards":    "back·wards",
		"bad \xff bytes":     "bad · bytes",
		"c1 \u009b31m":       "c1 ·31m",
	} {
		if got := clean(text); got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		want  string
	}{
		{"kitchen", 7, "kitchen"}, {"kitchen", 6, "kitch…"}, {"灯灯灯", 5, "灯灯…"}, {"灯灯灯", 4, "灯…"}, {"ab", 1, "…"}, {"ab", 0, ""},
	} {
		if got := cut(test.text, test.width); got != test.want {
			t.Errorf("cut(%q, %d) = %q, want %q", test.text, test.width, got, test.want)
		}
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	tab := table{columns: []column{{title: "A", shrink: true}, {title: "EMPTY", sparse: true}, {title: "N", right: true}}}
	tab.add(cell{text: strings.Repeat("long ", 20)}, cell{}, cell{text: "1"})
	tab.add(cell{text: "灯"}, cell{}, cell{text: "22"})
	lines := tab.lines(terminal{width: 30, colour: true})
	for _, line := range lines[1:] {
		if textWidth(line) > 30 {
			t.Errorf("%q is wider than the terminal", line)
		}
	}
	if want := "long long long long long…    1"; lines[1] != want {
		t.Errorf("got %q, want %q", lines[1], want)
	}
	if strings.Contains(lines[0], "EMPTY") {
		t.Error("the empty column is there")
	}
}

func TestAge(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		0: "just now", 59 * time.Second: "59s ago", time.Minute: "1m ago", 119 * time.Minute: "1h ago", 47 * time.Hour: "47h ago",
		72 * time.Hour: "3d ago", -time.Hour: "in 1h", -time.Second: "just now",
	} {
		if got := age(now, now.Add(-ago)); got != want {
			t.Errorf("%s: %q, want %q", ago, got, want)
		}
	}
	if got := age(now, time.Time{}); got != "never" {
		t.Errorf("no time: %q", got)
	}
}

func TestClosest(t *testing.T) {
	ids := []string{"light.kitchen", "switch.kitchen", "sensor.attic_temperature", "light.hall"}
	for word, want := range map[string]string{
		"light.kitchn": "light.kitchen", "lihgt.hall": "light.hall", "hall": "light.hall", "sensor.kitchen": "light.kitchen switch.kitchen",
		"sensor.attic_temprature": "sensor.attic_temperature", "cover.garage": "", "": "",
	} {
		if got := strings.Join(closest(word, ids), " "); got != want {
			t.Errorf("closest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1204331: "1,204,331", -1000: "-1,000"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s", n, got)
		}
	}
	if got := counted(1, "entity") + " " + counted(2, "entity") + " " + counted(2, "event"); got != "1 entity 2 entities 2 events" {
		t.Error(got)
	}
}
