package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// printer shows results as they come.
type printer interface {
	result(r Result) error
}

// jsonLines prints a JSON object a line.
type jsonLines struct{ encoder *json.Encoder }

func newJSONLines(out io.Writer) jsonLines {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return jsonLines{encoder}
}

func (p jsonLines) result(r Result) error {
	return p.encoder.Encode(r)
}

// table prints a line per result, below one line of heads.
type table struct {
	out    io.Writer
	headed bool
}

func newTable(out io.Writer) *table {
	return &table{out: out}
}

const row = "%-20s %10s  %10s  %-32s %7s  %-24s %s\n"

func (p *table) result(r Result) error {
	if !p.headed {
		p.headed = true
		if _, err := fmt.Fprintf(p.out, row, "measure", "ours", "reference", "", "ratio", "goal", ""); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(p.out, row, r.Name, amount(r.Ours, r.Unit), amount(r.ReferenceValue, r.Unit), r.Reference,
		factor(r.Ratio), r.Goal, verdict(r))
	return err
}

// verdict says in a word whether the goal of a result is met, and nothing if there is none.
func verdict(r Result) string {
	switch {
	case r.Met == nil:
		return ""
	case *r.Met:
		return "met"
	default:
		return "NOT MET"
	}
}

// amount writes a value with three digits, in a unit of which there are no more than thousands.
func amount(value float64, unit string) string {
	larger := map[string]string{"ns": "µs", "µs": "ms", "ms": "s", "B": "kB", "kB": "MB", "MB": "GB"}
	for value >= 9999.5 && larger[unit] != "" {
		value, unit = value/1000, larger[unit]
	}
	return fmt.Sprintf("%s %s", digits(value), unit)
}

// digits writes a number with three digits, or all that it has before the point.
func digits(value float64) string {
	if value == 0 || math.IsInf(value, 0) || math.IsNaN(value) {
		return fmt.Sprint(value)
	}
	decimals := 2 - int(math.Floor(math.Log10(math.Abs(value))))
	return fmt.Sprintf("%.*f", max(0, decimals), value)
}

// factor writes a ratio.
func factor(ratio float64) string {
	if ratio != 0 && ratio < 0.01 {
		return fmt.Sprintf("1/%.0f", 1/ratio)
	}
	return strconv.FormatFloat(math.Round(ratio*100)/100, 'f', -1, 64) + "×"
}

// writePage writes results as a page of Markdown.
func writePage(file, pattern string, results []Result) error {
	command := "go run ."
	if pattern != "" {
		command += fmt.Sprintf(" -run '%s'", pattern)
	}
	return os.WriteFile(file, []byte(page(command, machine(), peers(), results)), 0o644)
}

// page answers the text of a page of results.
func page(command, machine, peers string, results []Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Results\n\nWritten by `make bench` (`%s` in `bench/`). Ours and each reference took turns in one process; the\n", command)
	b.WriteString("medians are compared. What is measured, and how, is said above each measure in the source.\n\n")
	fmt.Fprintf(&b, "Machine: %s.\n\n", machine)
	fmt.Fprintf(&b, "Peers: %s.\n\n", peers)
	b.WriteString("| measure | ours | reference | | ratio | goal | |\n| --- | ---: | ---: | --- | ---: | --- | --- |\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s |\n", r.Name, amount(r.Ours, r.Unit),
			amount(r.ReferenceValue, r.Unit), r.Reference, factor(r.Ratio), r.Goal, verdict(r))
	}
	return b.String()
}

// machine says what the results were measured on.
func machine() string {
	model := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d threads, %s, %s/%s", model, runtime.GOMAXPROCS(0), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// peers names the modules that this one is measured beside, with their versions.
func peers() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	var names []string
	for _, dep := range info.Deps {
		for _, peer := range peerModules {
			if dep.Path == peer {
				names = append(names, strings.TrimPrefix(dep.Path, "github.com/")+" "+dep.Version)
			}
		}
	}
	return strings.Join(names, ", ")
}
