package dialect

import "strings"

// maxSlug is the longest slug, which leaves room in an entity id (255 bytes) for the domain and a suffix.
const maxSlug = 200

// Slug is a name as part of an entity id: lower case, a-z, 0-9 and single underscores, letters of Latin without their
// accents. What has no such spelling is dropped, so that the result may be empty.
func Slug(name string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(name) {
		s := transliterate(r)
		if s == "_" {
			gap = true
			continue
		}
		if s == "" {
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte('_')
		}
		gap = false
		b.WriteString(s)
	}
	out := b.String()
	if len(out) > maxSlug {
		out = strings.TrimRight(out[:maxSlug], "_")
	}
	return out
}

// transliterate is how a lower-case letter is written in an entity id, "_" for what separates words.
func transliterate(r rune) string {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return string(r)
	}
	if r == '\'' || r == '’' {
		return "" // Anna's lamp is annas_lamp
	}
	if r < 0x80 {
		return "_"
	}
	if s, ok := latin[r]; ok {
		return s
	}
	return ""
}

// latin spells the accented letters of the Latin-script languages, as Home Assistant does: ä is a, not ae.
var latin = func() map[rune]string {
	m := map[rune]string{'ß': "ss", 'æ': "ae", 'œ': "oe", 'þ': "th", 'ð': "d", 'ĳ': "ij", '\u00a0': "_", '–': "_", '—': "_"}
	for plain, accented := range map[string]string{
		"a": "àáâãäåāăąǎạảấầẩẫậắằẳẵặ", "c": "çćĉċč", "d": "ďđ", "e": "èéêëēĕėęěẹẻẽếềểễệ", "g": "ĝğġģ", "h": "ĥħ",
		"i": "ìíîïĩīĭįıǐịỉ", "j": "ĵ", "k": "ķĸ", "l": "ĺļľŀł", "n": "ñńņňŉŋ", "o": "òóôõöøōŏőǒọỏốồổỗộơớờởỡợ",
		"r": "ŕŗř", "s": "śŝşšș", "t": "ţťŧț", "u": "ùúûüũūŭůűųǔụủưứừửữự", "w": "ŵ", "y": "ýÿŷỳỵỷỹ", "z": "źżž",
	} {
		for _, r := range accented {
			m[r] = plain
		}
	}
	return m
}()
