package template

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// strftime is Python's, with the names of the C locale.
func strftime(r *run, d *datetime, layout string) (any, error) {
	if err := r.text(4 * len(layout)); err != nil {
		return nil, err
	}
	var b strings.Builder
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' || i+1 == len(layout) {
			b.WriteByte(layout[i])
			continue
		}
		i++
		plain := layout[i] == '-' && i+1 < len(layout)
		if plain {
			i++
		}
		s := directive(d, layout[i])
		if plain {
			if s = strings.TrimLeft(s, "0 "); s == "" {
				s = "0"
			}
		}
		b.WriteString(s)
	}
	return b.String(), r.text(b.Len())
}

// directives are the letters that Go has a layout for.
var directives = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'd': "02", 'e': "_2", 'm': "01", 'y': "06", 'H': "15", 'I': "03",
	'M': "04", 'S': "05", 'p': "PM", 'j': "002", 'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05",
	'D': "01/02/06", 'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'r': "03:04:05 PM",
}

// directive is what one letter after a percent sign stands for.
func directive(d *datetime, c byte) string {
	t := d.t
	if layout, ok := directives[c]; ok {
		return t.Format(layout)
	}
	weekday, yearday := int(t.Weekday()), t.YearDay()-1
	isoYear, isoWeek := t.ISOWeek()
	switch c {
	case 'Y':
		return strconv.Itoa(t.Year())
	case 'C':
		return fmt.Sprintf("%02d", t.Year()/100)
	case 'G':
		return strconv.Itoa(isoYear)
	case 'V':
		return fmt.Sprintf("%02d", isoWeek)
	case 'u':
		return strconv.Itoa((weekday+6)%7 + 1)
	case 'w':
		return strconv.Itoa(weekday)
	case 'U':
		return fmt.Sprintf("%02d", (yearday+7-weekday)/7)
	case 'W':
		return fmt.Sprintf("%02d", (yearday+7-(weekday+6)%7)/7)
	case 'k':
		return fmt.Sprintf("%2d", t.Hour())
	case 'l':
		return fmt.Sprintf("%2d", (t.Hour()+11)%12+1)
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000)
	case 's':
		return strconv.FormatInt(t.Unix(), 10)
	case 'z':
		if d.naive {
			return ""
		}
		return d.offset("")
	case 'Z':
		if d.naive {
			return ""
		}
		if name, _ := t.Zone(); name != "" && name[0] != '+' && name[0] != '-' {
			return name
		}
		return "UTC" + d.offset(":")
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case '%':
		return "%"
	}
	return "%" + string(rune(c))
}

// strptime reads a time by a layout of Python.
func strptime(s, layout string) (*datetime, bool) {
	p := timeParser{rest: s, fields: [7]int{1900, 1, 1}, naive: true, zone: time.UTC, meridiem: -1}
	for i := 0; i < len(layout); i++ {
		c := layout[i]
		switch {
		case c == '%' && i+1 < len(layout):
			i++
			if !p.directive(layout[i]) {
				return nil, false
			}
		case isSpace(rune(c)):
			p.rest = strings.TrimLeftFunc(p.rest, isSpace)
		case p.rest == "" || p.rest[0]|0x20 != c|0x20:
			return nil, false
		default:
			p.rest = p.rest[1:]
		}
	}
	if p.rest != "" {
		return nil, false
	}
	if p.meridiem >= 0 {
		p.fields[3] = p.fields[3]%12 + 12*p.meridiem
	}
	t, ok := dateOf(p.fields, p.zone)
	if ok && p.yearday > 0 {
		t = t.AddDate(0, 0, p.yearday-t.YearDay())
	}
	return &datetime{t, p.naive}, ok
}

type timeParser struct {
	rest     string
	fields   [7]int // year to microsecond
	zone     *time.Location
	naive    bool
	meridiem int // 0 for am, 1 for pm
	yearday  int
}

// directive reads what one letter after a percent sign stands for.
func (p *timeParser) directive(c byte) bool {
	if at := strings.IndexByte("Ymd HMS", c); at >= 0 && c != ' ' {
		field := [7]int{0, 1, 2, 0, 3, 4, 5}[at]
		digits := 2
		if c == 'Y' {
			digits = 4
		}
		return p.number(&p.fields[field], digits)
	}
	var ignored int
	switch c {
	case 'y':
		ok := p.number(&p.fields[0], 2)
		p.fields[0] += 1900
		if p.fields[0] < 1969 {
			p.fields[0] += 100
		}
		return ok
	case 'I':
		return p.number(&p.fields[3], 2) && p.fields[3] >= 1 && p.fields[3] <= 12
	case 'j':
		return p.number(&p.yearday, 3) && p.yearday >= 1 && p.yearday <= 366
	case 'f':
		n := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789"))
		n = min(n, 6)
		us, err := strconv.Atoi((p.rest[:n] + "000000")[:6])
		p.fields[6], p.rest = us, p.rest[n:]
		return err == nil && n > 0
	case 'b', 'B', 'h':
		return p.name(&p.fields[1], 1, 12, func(i int) string { return time.Month(i).String() })
	case 'a', 'A':
		return p.name(&ignored, 0, 6, func(i int) string { return time.Weekday(i).String() })
	case 'p':
		return p.name(&p.meridiem, 0, 1, func(i int) string { return [2]string{"AM", "PM"}[i] })
	case 'w', 'u':
		return p.number(&ignored, 1)
	case 'T':
		return p.directive('H') && p.literal(':') && p.directive('M') && p.literal(':') && p.directive('S')
	case 'z':
		return p.offset()
	case 'Z':
		for _, name := range []string{"UTC", "GMT"} {
			if strings.HasPrefix(strings.ToUpper(p.rest), name) {
				p.rest = p.rest[3:]
				return true
			}
		}
		return false
	case '%':
		return p.literal('%')
	}
	return false
}

func (p *timeParser) literal(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *timeParser) number(into *int, digits int) bool {
	n := 0
	for n < digits && n < len(p.rest) && isDigit(p.rest[n]) {
		n++
	}
	var err error
	*into, err = strconv.Atoi(p.rest[:n])
	p.rest = p.rest[n:]
	return err == nil && (digits != 4 || n == 4)
}

// name reads a name of several, in full or by its first three letters.
func (p *timeParser) name(into *int, from, to int, name func(int) string) bool {
	for _, short := range []bool{false, true} {
		for i := from; i <= to; i++ {
			s := name(i)
			if short {
				s = clip(s, 3)
			}
			if len(p.rest) >= len(s) && strings.EqualFold(p.rest[:len(s)], s) {
				*into, p.rest = i, p.rest[len(s):]
				return true
			}
		}
	}
	return false
}

// offset reads Z, +0100 or +01:00.
func (p *timeParser) offset() bool {
	length := 1
	if p.rest != "" && p.rest[0] != 'Z' {
		for length = 1; length < len(p.rest) && length < 6 && (isDigit(p.rest[length]) || p.rest[length] == ':'); {
			length++
		}
	}
	if length > len(p.rest) {
		return false
	}
	rest, zone, ok := cutZone(p.rest[:length])
	if !ok || rest != "" || zone == nil {
		return false
	}
	p.rest, p.zone, p.naive = p.rest[length:], zone, false
	return true
}
