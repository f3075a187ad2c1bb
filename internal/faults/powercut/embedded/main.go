// Command embedded is the program of package powercut that embeds the store.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/statehouse/statehouse/internal/faults/powercut"
)

func main() {
	if err := powercut.Embed(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
