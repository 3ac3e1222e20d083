package args

import (
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DryRun is the value of --dry-run, as kubectl has it. Check it before it is used.
type DryRun string

const (
	dryRunNone   DryRun = "none"
	dryRunClient DryRun = "client"
	dryRunServer DryRun = "server"
)

// Bind adds the flag to a verb.
func (d *DryRun) Bind(cmd *cobra.Command, usage string) {
	cmd.Flags().StringVar((*string)(d), "dry-run", string(dryRunNone), usage)
	cmd.Flags().Lookup("dry-run").NoOptDefVal = string(dryRunClient)
	CompleteWith(cmd, "dry-run", func() []string {
		return []string{string(dryRunNone), string(dryRunClient), string(dryRunServer)}
	})
}

// Check says whether the value is one of those that there are.
func (d DryRun) Check() error {
	switch d {
	case dryRunNone, dryRunClient, dryRunServer:
		return nil
	}
	return fmt.Errorf("unknown --dry-run=%s. Try: --dry-run=client or --dry-run=server", d)
}

// On says whether nothing is to be changed.
func (d DryRun) On() bool { return d != dryRunNone }

// Writes says whether a request to change something is to be sent, if only for
// the hub to check it.
func (d DryRun) Writes() bool { return d != dryRunClient }

// PatchOptions are those of that request.
func (d DryRun) PatchOptions(manager string) metav1.PatchOptions {
	options := metav1.PatchOptions{FieldManager: manager}
	if d == dryRunServer {
		options.DryRun = []string{metav1.DryRunAll}
	}
	return options
}

// Suffix is what kubectl says after what was only tried.
func (d DryRun) Suffix() string {
	switch d {
	case dryRunClient:
		return " (dry run)"
	case dryRunServer:
		return " (server dry run)"
	}
	return ""
}
