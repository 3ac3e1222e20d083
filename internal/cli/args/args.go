// Package args is what verbs of the command line have in common in reading their
// arguments and flags. Its errors are for the user, and say what to try.
package args

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// RejectUnknown fails on a word that is no command and names the ones it looks
// like.
func RejectUnknown(cmd *cobra.Command, given []string) error {
	if len(given) == 0 {
		return nil
	}
	hint := cmd.CommandPath() + " --help"
	cmd.SuggestionsMinimumDistance = 2 // as cobra itself has it
	if near := cmd.SuggestionsFor(given[0]); len(near) > 0 {
		for i := range near {
			near[i] = cmd.CommandPath() + " " + near[i]
		}
		hint = strings.Join(near, ", or ")
	}
	return fmt.Errorf("unknown command %q for %s. Try: %s", given[0], cmd.CommandPath(), hint)
}

// One wants one argument, of which what is the name.
func One(what, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if len(given) != 1 {
			return fmt.Errorf("%s requires exactly one %s. Try: %s", cmd.CommandPath(), what, example)
		}
		return nil
	}
}

// OneCluster wants one argument, the name of a cluster.
func OneCluster(cmd *cobra.Command, given []string) error {
	if len(given) != 1 {
		return fmt.Errorf("%s requires exactly one cluster name. Try: %s NAME", cmd.CommandPath(), cmd.CommandPath())
	}
	return nil
}

// CompleteWith completes a flag's value from candidates.
func CompleteWith(cmd *cobra.Command, flag string, candidates func() []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return candidates(), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // the flag does not exist: a mistake in this program
	}
}
