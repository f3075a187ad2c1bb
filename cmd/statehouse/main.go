// Command statehouse is the state engine for homes: the daemon, and the commands that look at what it knows.
package main

import (
	"os"

	"github.com/statehouse/statehouse/internal/cli"
)

func main() { os.Exit(cli.Main()) }
