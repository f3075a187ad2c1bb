package cli

import (
	"context"
	"os/exec"
)

// program is the program as a process of its own.
func program(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "statehouse", args...)
}
