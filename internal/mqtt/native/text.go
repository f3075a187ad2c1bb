package native

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// maxName is twice what the longest real name of a value has.
const maxName = 64

// plainText says that a text can stand in a template and in a topic: nothing in it ends a string or begins anything.
func plainText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || strings.ContainsRune(`'"\{}`, r) || r == utf8.RuneError
	})
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// plainName says that a text is letters and digits of ASCII, underscores and hyphens, at most so many.
func plainName(s string, most int) bool {
	return s != "" && len(s) <= most && strings.Trim(s, nameLetters) == ""
}

// inJSON is the path to a value of a message's JSON: names, and numbers of elements.
func inJSON(steps ...any) string { return "{{ " + jsonPath(steps...) + " }}" }

// jsonPath is the path as an expression.
func jsonPath(steps ...any) string {
	var b strings.Builder
	b.WriteString("value_json")
	for _, s := range steps {
		switch s := s.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(s) + "]")
		case string:
			b.WriteString("['" + s + "']")
		}
	}
	return b.String()
}

// quoted is a text as a string of a template.
func quoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// quotedList are texts as a list of a template.
func quotedList(list []string) string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = quoted(s)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// pathKey is a path as a part of a key.
func pathKey(path []any) string {
	all := make([]string, len(path))
	for i, s := range path {
		all[i] = fmt.Sprint(s)
	}
	return strings.Join(all, "_")
}

// elements are those of a list, none where it is none.
func elements(n dialect.Node) []dialect.Node {
	values := n.Value.GetListValue().GetValues()
	all := make([]dialect.Node, len(values))
	for i, v := range values {
		all[i] = dialect.Node{Value: v}
	}
	return all
}

// ints are the whole numbers of a list, 0 for what is none, at most so many.
func ints(list []dialect.Node, most int) []int {
	all := make([]int, 0, min(len(list), most))
	for _, n := range list[:min(len(list), most)] {
		all = append(all, number(n))
	}
	return all
}

// number is a whole number from -1000 to 1000, and 0 for anything else.
func number(n dialect.Node) int {
	f, ok := dialect.DoubleOf(n.Value)
	if !ok || f < -1000 || f > 1000 || f != float64(int(f)) {
		return 0
	}
	return int(f)
}

// texts are the strings of a list, empty for what is none, at most so many.
func texts(list []dialect.Node, most int) []string {
	all := make([]string, 0, min(len(list), most))
	for _, n := range list[:min(len(list), most)] {
		s, _ := dialect.TextOf(n.Value)
		all = append(all, s)
	}
	return all
}

// firstText is the first text that is not empty, and at most 128 bytes of it.
func firstText(all ...string) string {
	const most = 128
	for _, s := range all {
		if s = strings.TrimSpace(s); s != "" {
			if len(s) > most {
				s = strings.ToValidUTF8(s[:most], "")
			}
			return s
		}
	}
	return ""
}

// at is the value at a path, nil where there is none.
func at(v *entityv1.Value, path []any) *entityv1.Value {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			v = dialect.Node{Value: v}.Get(step).Value
		case int:
			list := v.GetListValue().GetValues()
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}
