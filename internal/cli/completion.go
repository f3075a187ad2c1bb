package cli

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCmd prints a script that lets a shell ask "statehouse __complete" what may come next.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help implements [kong.HelpProvider].
func (*completionCmd) Help() string {
	return `Examples:

    source <(statehouse completion bash)
    statehouse completion zsh > "${fpath[1]}/_statehouse"
    statehouse completion fish > ~/.config/fish/completions/statehouse.fish`
}

var completionScripts = map[string]string{
	"bash": `_statehouse() {
    local IFS=$'\n'
    COMPREPLY=($(statehouse __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    if [ ${#COMPREPLY[@]} -eq 0 ]; then
        COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
    fi
}
complete -o filenames -F _statehouse statehouse
`,
	"zsh": `#compdef statehouse
_statehouse() {
    local -a found
    found=("${(@f)$(statehouse __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then
        compadd -- "${found[@]}"
    else
        _files
    fi
}
if [ "$funcstack[1]" = "_statehouse" ]; then
    _statehouse "$@"
else
    compdef _statehouse statehouse
fi
`,
	"fish": `function __statehouse_complete
    set -l words (commandline -opc) (commandline -ct)
    statehouse __complete -- $words[2..-1] 2>/dev/null
end
complete -c statehouse -a '(__statehouse_complete)'
`,
}

// Run implements the command.
func (c *completionCmd) Run(a *app) error { return a.printf("%s", completionScripts[c.Shell]) }

// completeCmd answers a shell: what the last word may become.
type completeCmd struct {
	Words []string `arg:"" optional:""`
}

// Run implements the command.
func (c *completeCmd) Run(a *app) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	for _, candidate := range a.complete(words[:len(words)-1], words[len(words)-1]) {
		if err := a.printf("%s\n", candidate); err != nil {
			return err
		}
	}
	return nil
}

// complete is what may stand in the place of a word that has begun, after the words before it.
func (a *app) complete(before []string, begun string) []string {
	node, entity := a.model.Node, ""
	var valueOf *kong.Flag
	for _, word := range before {
		if valueOf != nil {
			switch valueOf.Name {
			case "db":
				a.flags.DB = word
			case "server":
				a.flags.Server = word
			}
			valueOf = nil
			continue
		}
		if strings.HasPrefix(word, "-") {
			valueOf = flagThatWaits(node, word)
			continue
		}
		at := slices.IndexFunc(node.Children, func(child *kong.Node) bool { return child.Name == word })
		switch {
		case at >= 0:
			node = node.Children[at]
		case entity == "" && len(node.Positional) > 1:
			entity = word
		}
	}
	var candidates []string
	switch {
	case valueOf != nil:
		candidates = a.values(valueOf.Value)
	case strings.HasPrefix(begun, "-"):
		for _, group := range node.AllFlags(true) {
			for _, flag := range group {
				candidates = append(candidates, "--"+flag.Name)
			}
		}
	case len(node.Children) > 0:
		for _, child := range node.Children {
			if !child.Hidden {
				candidates = append(candidates, child.Name)
			}
		}
	case node.Name == "set" && node.Parent == a.model.Node && entity != "":
		candidates = a.actionWords(entity)
	case node.Name == "set" && len(node.Positional) > 0 && node.Parent == a.model.Node:
		candidates = a.entityIDs()
	case len(node.Positional) > 0:
		candidates = a.values(node.Positional[len(node.Positional)-1])
	}
	slices.Sort(candidates)
	return slices.DeleteFunc(candidates, func(c string) bool { return !strings.HasPrefix(c, begun) })
}

// flagThatWaits is the flag that a word names if the next word is its value.
func flagThatWaits(node *kong.Node, word string) *kong.Flag {
	for _, group := range node.AllFlags(false) {
		for _, flag := range group {
			named := word == "--"+flag.Name || flag.Short != 0 && word == "-"+string(flag.Short)
			if named && !flag.IsBool() {
				return flag
			}
		}
	}
	return nil
}

// values are what a flag or an argument may be, as far as that is known.
func (a *app) values(v *kong.Value) []string {
	if v.Enum != "" {
		return strings.Split(v.Enum, ",")
	}
	if strings.HasPrefix(v.Name, "entity") {
		return a.entityIDs()
	}
	return nil
}
