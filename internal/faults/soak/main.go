// Command soak runs every harness for hours. It takes them in turns, each for a share of the time, and keeps in a
// directory what they covered so far and the seeds, so that the next call goes on where it was. In the end it prints a
// table. "make soak HOURS=n" runs it, in the module's directory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	hours := flag.Float64("hours", 0, "how many hours to run; 0 prints the table")
	dir := flag.String("dir", "soak", "the directory of what was covered so far")
	turn := flag.Duration("turn", 10*time.Minute, "for how long a harness is run at once")
	seed := flag.Uint64("seed", 0, "with -only: run once with this seed, which failed before, and print what it says")
	only := flag.String("only", "", "run this harness alone")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	s := &soak{dir: *dir, turn: *turn, only: *only, out: os.Stdout}
	var err error
	if *seed != 0 {
		err = s.replay(ctx, *seed)
	} else {
		err = s.run(ctx, time.Duration(*hours*float64(time.Hour)))
	}
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}
