// Command bench measures Statehouse beside its peers and limits, in one process and in turns, and says which of
// the project's goals hold.
//
//	go run .                     # everything, as a table
//	go run . -run 'map\.get'     # the measures whose names match
//	go run . -json               # an object a line
//	go run . -results RESULTS.md # the table, and a page of it
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
)

// groups are all measures, in the order in which they run. Each group is a file of its own.
func groups() []Measure {
	return slices.Concat(mapMeasures(), logMeasures(), snapshotMeasures(), pastMeasures(), daemonMeasures())
}

func main() {
	err := run(os.Args[1:], groups(), os.Stdout, os.Stderr)
	if err = errors.Join(err, removeBigLog()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run runs the measures that args ask for, writes what they find to out, and what it is doing to progress.
func run(args []string, all []Measure, out, progress io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	pattern := flags.String("run", "", "run the measures whose names match this regular `expression`")
	asJSON := flags.Bool("json", false, "print one JSON object a line")
	results := flags.String("results", "", "also write the results to this `file`, as Markdown")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; the measures to run are chosen with -run", flags.Arg(0))
	}
	wanted, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	print := printer(newTable(out))
	if *asJSON {
		print = newJSONLines(out)
	}
	var found []Result
	for _, m := range all {
		if !wanted.MatchString(m.Name) {
			continue
		}
		if !*asJSON {
			_, _ = fmt.Fprintf(progress, "%s …\r", m.Name)
		}
		runtime.GC()
		figures, err := m.Run()
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		for _, f := range figures {
			r := newResult(m.Name, f)
			if err := print.result(r); err != nil {
				return err
			}
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("no measure's name matches %q", *pattern)
	}
	if *results != "" {
		return writePage(*results, *pattern, found)
	}
	return nil
}
