package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCmd prints what this program is.
type versionCmd struct {
	output
}

// Help implements [kong.HelpProvider].
func (*versionCmd) Help() string {
	return `Examples:

    statehouse version
    statehouse version -o json`
}

// version is what this program says about itself.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// thisVersion is what the Go toolchain stamped into the program.
func thisVersion() version {
	v := version{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			v.Revision += "+changes"
		}
	}
	return v
}

// Run implements the command.
func (c *versionCmd) Run(a *app) error {
	v := thisVersion()
	if c.json() {
		return printJSON(a.stdout, v)
	}
	revision := ""
	if v.Revision != "" {
		revision = fmt.Sprintf(" (%s)", v.Revision)
	}
	return a.printf("statehouse %s%s %s %s\n", v.Version, revision, v.Go, v.Platform)
}
