// Command defects tests the tests: it gives the program one deliberate defect at a time, see internal/defect, and runs
// the tests that are named for it, of which each has to fail. "make defects" runs it. It exits with 1 if a defect is not
// found, and prints what the tests said of those that are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/defect"
)

// deliberate is a defect and where it has to be found.
type deliberate struct {
	// name is what the process has in its environment; empty where the tag alone is the defect.
	name defect.Name
	// tag is the build tag.
	tag string
	// promise is what it breaks.
	promise string
	finders []finder
}

// finder is a test that has to fail.
type finder struct {
	pkg, test string
	// runs is how often it is run: more than once for a test that finds it with luck only; 0 means once.
	runs int
}

const tag = "statehouse_defect"

var all = []deliberate{
	{defect.AckBeforeCommit, tag, "what was acknowledged is durable (I2)", []finder{
		{pkg: ".", test: "TestAppendIsVisibleWhenItReturns"},
	}},
	{defect.SyncNormal, tag, "what was acknowledged is durable (I2)", []finder{
		{pkg: "internal/faults/powercut", test: "TestPowerCuts"},
	}},
	{defect.PromoteBeforeCommit, tag, "readers see only what is committed (I4)", []finder{
		{pkg: "eventstore", test: "TestFailedCommit"},
	}},
	{defect.SnapshotPositionApart, tag, "a snapshot is the fold of the log at its position (I7)", []finder{
		{pkg: "state", test: "TestSnapshotRecordsAreOneRevision"}, {pkg: ".", test: "TestSnapshotsUnderWrites", runs: 5},
	}},
	{defect.FilterAfterLimit, tag, "a read yields every event that matches (I9)", []finder{
		{pkg: "eventstore", test: "TestReadsAreComplete"},
	}},
	{defect.ChainNotChecked, tag, "what is changed in the log is reported (I11)", []finder{
		{pkg: "eventstore", test: "TestChainCatchesARewrite"}, {pkg: "eventstore", test: "TestInspectFindsWhatFits"},
	}},
}

func main() {
	only := flag.String("only", "", "regular expression for the names of the defects to try")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "defects:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	var missed []error
	for _, d := range all {
		if !wanted.MatchString(string(d.name)) {
			continue
		}
		for _, f := range d.finders {
			began := time.Now()
			said, err := f.try(ctx, d)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				missed = append(missed, fmt.Errorf("%s: %w", d.name, err))
				said = "NOT FOUND: " + err.Error()
			}
			fmt.Printf("%-24s %-50s %s, %s\n    %s\n", d.name, f.test+" in "+f.pkg, d.promise, time.Since(began).Round(time.Second/10), said)
		}
	}
	return errors.Join(missed...)
}

// try runs the test on the defect and returns how it says that something is wrong. An error means that it does not.
func (f finder) try(ctx context.Context, d deliberate) (said string, err error) {
	cmd := exec.CommandContext(ctx, "go", "test", fmt.Sprintf("-count=%d", max(f.runs, 1)), "-short", "-tags", d.tag, "-run", "^"+f.test+"$", "./"+f.pkg) //nolint:gosec // our own tests
	cmd.Env = append(os.Environ(), "STATEHOUSE_DEFECT="+string(d.name))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "", fmt.Errorf("%s in %s passes", f.test, f.pkg)
	}
	// A build that fails, or another test, is no proof.
	_, report, failed := strings.Cut(string(out), "--- FAIL: "+f.test+" ")
	if !failed {
		return "", fmt.Errorf("%s in %s does not fail as a test does: %w\n%s", f.test, f.pkg, err, out)
	}
	lines := strings.SplitN(report, "\n", 3)
	if len(lines) < 2 {
		return "", nil
	}
	said = strings.TrimSpace(lines[1])
	return said[:min(len(said), 200)], nil
}
