package cli

import (
	"context"
	"os/exec"
)

// command is the program as a process of its own.
func command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "statehouse", args...)
}
