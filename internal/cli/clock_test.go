package cli

import (
	"fmt"
	"go/build"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTimeZonesComeWithTheProgram: it is one file, and systems without zones, as small containers, cannot be made for a test.
func TestTimeZonesComeWithTheProgram(t *testing.T) {
	p, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(p.Imports, "time/tzdata") {
		t.Error("the program has no time zones of its own")
	}
}

// Around the days on which clocks are changed a time of day is the last one that they showed; one on a day that was named is
// the later of two, and where it never was, when they were put past it.
func TestClocksAreChanged(t *testing.T) {
	zone := berlin(t)
	at := func(text string) time.Time {
		moment, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return moment.In(zone)
	}
	for _, c := range []struct{ now, text, want string }{
		// At 3:00 on 2026-10-25 it is 2:00 again.
		{"2026-10-25T02:45:00+02:00", "2:30", "2026-10-25T02:30:00+02:00"},
		{"2026-10-25T02:15:00+01:00", "2:30", "2026-10-25T02:30:00+02:00"},
		{"2026-10-25T02:45:00+01:00", "2:30", "2026-10-25T02:30:00+01:00"},
		{"2026-10-25T02:15:00+02:00", "2:30", "2026-10-24T02:30:00+02:00"},
		{"2026-10-25T02:15:00+01:00", "today 2:30", "2026-10-25T02:30:00+02:00"},
		{"2026-10-25T12:00:00+01:00", "today 2:30", "2026-10-25T02:30:00+01:00"},
		{"2026-10-26T12:00:00+01:00", "yesterday 2:30", "2026-10-25T02:30:00+01:00"},
		{"2026-10-26T12:00:00+01:00", "sunday 2:30", "2026-10-25T02:30:00+01:00"},
		{"2026-10-26T12:00:00+01:00", "2026-10-25 02:30", "2026-10-25T02:30:00+01:00"},
		{"2026-10-25T02:15:00+01:00", "3:00", "2026-10-24T03:00:00+02:00"},
		{"2026-10-25T12:00:00+01:00", "today", "2026-10-25T00:00:00+02:00"},
		{"2026-10-24T12:00:00+02:00", "2026-10-25 02:30", "2026-10-25T02:30:00+02:00"},
		// At 2:00 on 2026-03-29 it is 3:00.
		{"2026-03-29T12:00:00+02:00", "2:30", "2026-03-28T02:30:00+01:00"},
		{"2026-03-29T12:00:00+02:00", "today 2:30", "2026-03-29T03:00:00+02:00"},
		{"2026-03-29T12:00:00+02:00", "2026-03-29 02:30", "2026-03-29T03:00:00+02:00"},
		{"2026-03-30T12:00:00+02:00", "sunday 2:30", "2026-03-22T02:30:00+01:00"},
		{"2026-03-30T12:00:00+02:00", "2:00", "2026-03-30T02:00:00+02:00"},
		{"2026-03-29T12:00:00+02:00", "2:00", "2026-03-28T02:00:00+01:00"},
		{"2026-03-29T12:00:00+02:00", "3:00", "2026-03-29T03:00:00+02:00"},
	} {
		var w when
		if err := w.UnmarshalText([]byte(c.text)); err != nil {
			t.Error(err)
		} else if got := w.time(at(c.now)); !got.Equal(at(c.want)) {
			t.Errorf("at %s %q is %s, want %s", c.now, c.text, got.Format(time.RFC3339), c.want)
		}
	}
}

// A day begins with its first moment, also where the clocks are put past midnight, or back over it.
func TestDaysWithoutMidnight(t *testing.T) {
	for _, c := range []struct{ zone, now, text, want string }{
		{"Asia/Beirut", "2024-03-31T12:00:00+03:00", "today", "2024-03-31T01:00:00+03:00"},
		{"Asia/Beirut", "2024-04-03T12:00:00+03:00", "sunday", "2024-03-31T01:00:00+03:00"},
		{"Asia/Beirut", "2024-04-03T12:00:00+03:00", "2024-03-31", "2024-03-31T01:00:00+03:00"},
		{"America/Havana", "2024-11-03T12:00:00-05:00", "today", "2024-11-03T00:00:00-04:00"},
		{"Pacific/Apia", "2011-12-31T12:00:00+14:00", "yesterday", "2011-12-31T00:00:00+14:00"}, // there was no 30th
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		now, _ := time.Parse(time.RFC3339, c.now)
		want, _ := time.Parse(time.RFC3339, c.want)
		var w when
		if err := w.UnmarshalText([]byte(c.text)); err != nil {
			t.Error(err)
		} else if got := w.time(now.In(zone)); !got.Equal(want) {
			t.Errorf("in %s at %s %q is %s, want %s", c.zone, c.now, c.text, got.Format(time.RFC3339), c.want)
		}
	}
}

// A time of day, and one on a weekday, is what looking back minute by minute finds first, wherever and whenever.
func TestClockTimesAreTheLastOnes(t *testing.T) {
	changes := map[string][]string{ // days near which clocks are changed, by whole hours and by half ones, at night, at midnight, and by a day
		"Europe/Berlin": {"2026-03-29", "2026-10-25"}, "Australia/Lord_Howe": {"2026-04-05", "2026-10-04"}, "America/St_Johns": {"2006-04-02", "2006-10-29"},
		"America/Sao_Paulo": {"2018-02-18", "2018-11-04"}, "Asia/Beirut": {"2024-03-31", "2024-10-27"}, "America/Havana": {"2024-03-10", "2024-11-03"},
		"Pacific/Apia": {"2011-12-30", "2011-09-24"}, "Africa/Casablanca": {"2026-02-15", "2026-03-22"}, "UTC": {"2026-01-01"},
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "America/Sao_Paulo", "Asia/Beirut", "America/Havana",
			"Pacific/Apia", "Africa/Casablanca", "UTC"}).Draw(t, "zone")
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		near, _ := time.Parse(time.DateOnly, rapid.SampledFrom(changes[name]).Draw(t, "near"))
		now := near.Add(time.Duration(rapid.IntRange(-2*24*60, 9*24*60).Draw(t, "minutes")) * time.Minute).In(zone)
		minute := rapid.OneOf(rapid.IntRange(0, 24*60-1), rapid.IntRange(0, 4*60)).Draw(t, "minute")
		text, weekday := fmt.Sprintf("%d:%02d", minute/60, minute%60), -1
		if rapid.Bool().Draw(t, "weekday") {
			weekday = rapid.IntRange(0, 6).Draw(t, "day")
			text = time.Weekday(weekday).String() + " " + text
		}
		want := now
		for want.Hour()*60+want.Minute() != minute || weekday >= 0 && int(want.Weekday()) != weekday {
			want = want.Add(-time.Minute)
		}
		var w when
		if err := w.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := w.time(now); !got.Equal(want) {
			t.Fatalf("in %s at %s %q is %s, want %s", name, now.Format(time.RFC3339), text, got.Format(time.RFC3339), want.Format(time.RFC3339))
		}
	})
}

func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}
