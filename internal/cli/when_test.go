package cli

import (
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/api"
)

func TestWhen(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 30, 12, 0, 0, 0, zone) // a Monday, the day after the clocks went forward
	local := func(month time.Month, day, hour, minute int) time.Time {
		return time.Date(2026, month, day, hour, minute, 0, 0, zone)
	}
	for text, want := range map[string]time.Time{
		"2h": now.Add(-2 * time.Hour), "2h ago": now.Add(-2 * time.Hour), "2 hours ago": now.Add(-2 * time.Hour),
		"1w2d3h": now.Add(-(9*24 + 3) * time.Hour), "1 day 2 hours 3 min ago": now.Add(-(26*60 + 3) * time.Minute),
		"1.5h": now.Add(-90 * time.Minute), "90s": now.Add(-90 * time.Second), "250ms ago": now.Add(-250 * time.Millisecond),
		"1d": now.Add(-24 * time.Hour), "3 Days Ago": now.Add(-72 * time.Hour), "2 weeks": now.Add(-14 * 24 * time.Hour),
		"now": now, "Now": now, "0s": now,
		"today": local(3, 30, 0, 0), "today 7:30": local(3, 30, 7, 30), "today at 18:00": local(3, 30, 18, 0),
		"yesterday": local(3, 29, 0, 0), "yesterday 18:00": local(3, 29, 18, 0), "Yesterday at 18:00": local(3, 29, 18, 0),
		"yesterday 18:00:30": local(3, 29, 18, 0).Add(30 * time.Second),
		"08:15":              local(3, 30, 8, 15), "12:00": now, "18:00": local(3, 29, 18, 0),
		"monday": local(3, 30, 0, 0), "mon 11:59": local(3, 30, 11, 59), "monday 18:00": local(3, 23, 18, 0),
		"sunday 18:00": local(3, 29, 18, 0), "tue": local(3, 24, 0, 0), "saturday at 9:00": local(3, 28, 9, 0),
		"2026-01-30T00:00:00Z":        time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC),
		"2026-01-30T00:00:00.5+05:00": time.Date(2026, 1, 29, 19, 0, 0, 5e8, time.UTC),
		"2026-01-30":                  local(1, 30, 0, 0), "2026-01-30 18:00": local(1, 30, 18, 0), "2026-01-30T18:00": local(1, 30, 18, 0),
		"2026-01-30 18:00:01": local(1, 30, 18, 0).Add(time.Second), " 2026-01-30 ": local(1, 30, 0, 0),
		"2027-01-30": time.Date(2027, 1, 30, 0, 0, 0, 0, zone),
	} {
		var w when
		if err := w.UnmarshalText([]byte(text)); err != nil {
			t.Error(err)
		} else if got := w.time(now); !got.Equal(want) || w.isPosition() || !w.given() || w.at(now) != api.AtTime(got) {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]api.At{"@12": api.AtPosition(12), "@0": api.AtPosition(0), "@1,204,331": api.AtPosition(1204331),
		"oldest": api.AtOldest(), "@oldest": api.AtOldest(), "Oldest": api.AtOldest()} {
		var w when
		if err := w.UnmarshalText([]byte(text)); err != nil || w.isPosition() == w.oldest || w.at(now) != want {
			t.Errorf("%s is %+v, %v", text, w, err)
		}
	}
	if (when{}).at(now) != (api.At{}) {
		t.Error("nothing is not the present")
	}
	for _, text := range []string{
		"", "@", "@-1", "@99999999999999999999", "2", "-2h", "d", "99999999w", "2h later", "ago", "2 fortnights", "1e9h", "..h", "1.2.3h",
		"now 18:00", "yesterday 25:00", "yesterday 18:00 18:00", "yesterday noon", "someday", "s", "2026-13-01", "2026-02-30", "31.1.2026",
		"at 18:00", "at", "m", "munday",
	} {
		var w when
		if err := w.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %+v", text, w)
		}
	}
}

// Whatever a person writes is a moment or an error, and what is a moment can be asked a daemon for.
func FuzzWhen(f *testing.F) {
	for _, text := range []string{"@12", "2h30m ago", "yesterday 18:00", "mon", "18:00:01", "2026-01-30T00:00:00+01:00", "1.5 weeks", "9999-12-31"} {
		f.Add(text)
	}
	now := time.Date(2026, 3, 30, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		var w when
		if w.UnmarshalText([]byte(text)) != nil {
			return
		}
		at := w.at(now)
		back, err := api.ParseAt(at.String())
		if err != nil || back.String() != at.String() {
			t.Errorf("%q is %s, which comes back as %s, %v", text, at, back, err)
		}
	})
}
