package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// Module is the directory of this module's sources.
func Module(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the sources: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("find the sources: run this in the repository")
	}
	return filepath.Dir(file), nil
}

// Shipped is the package of the program that people run.
const Shipped = "cmd/statehouse"

// Build builds a program of this module as it is shipped, with the build tags of the caller and more, and returns its path
// in dir.
func Build(ctx context.Context, dir, pkg string, tags ...string) (string, error) {
	module, err := Module(ctx)
	if err != nil {
		return "", err
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-tags" {
				tags = append(tags, s.Value)
			}
		}
	}
	program := filepath.Join(dir, path.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", strings.Join(tags, ","), "-o", program, "./"+pkg) //nolint:gosec // our own sources
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return program, nil
}
