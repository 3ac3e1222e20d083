package members

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/fleet/join"
	"github.com/hanse-dev/hanse/internal/fleet/survey"
)

// review shows what a cluster has already, and asks what of it the hub may take over. Where there is nobody to ask, nothing
// more is allowed.
func (f joinFlags) review(ctx context.Context, s genericiooptions.IOStreams, name string, r join.Review) ([]string, error) {
	printReview(s.ErrOut, name, r)
	switch {
	case len(r.Theirs) == 0 || r.Refreshed:
		return nil, nil
	case f.yes || len(f.allow) > 0 || !asksOn(s.In):
		fmt.Fprintf(s.ErrOut, "They stay the cluster's own. To have some of them taken over: hanse join %s again, with --allow-namespaces\n", name)
		return nil, nil
	}
	fmt.Fprint(s.ErrOut, "Which of them may the hub take over? Names or patterns, separated by commas; Enter for none: ")
	return answer(ctx, s.In)
}

// asksOn says whether somebody may answer.
func asksOn(in io.Reader) bool {
	f, ok := in.(*os.File)
	return ok && isTerminal(f)
}

// answer reads one line of names and patterns. It blocks until there is one, or ctx ends.
func answer(ctx context.Context, in io.Reader) ([]string, error) {
	var line string
	var err error
	read := make(chan struct{})
	go func() { // which nobody waits for when ctx has ended: so does the program
		defer close(read)
		line, err = bufio.NewReader(in).ReadString('\n')
	}()
	select {
	case <-read:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the answer cannot be read: %w. Try: --yes", err)
	}
	patterns := strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\r' || r == '\n' })
	return patterns, join.CheckPatterns(patterns)
}

// shownNamespaces bounds a list of namespaces.
const shownNamespaces = 40

// printReview lists the namespaces that a cluster had before.
func printReview(w io.Writer, name string, r join.Review) {
	if r.Unknown != "" {
		fmt.Fprintf(w, "The namespaces of cluster %s cannot be listed (%s). What is there stays the cluster's own, but for default.\n", name, r.Unknown)
		return
	}
	taken := slices.DeleteFunc(slices.Clone(r.Taken), func(ns survey.Namespace) bool {
		return ns.Workloads+ns.Accounts+ns.Secrets == 0 // as default mostly is
	})
	printNamespaces(w, "These namespaces are in the cluster already, and the hub may take them over:", taken)
	printNamespaces(w, "These namespaces are in the cluster already. The hub writes nothing into them, also if it has one of the same name:", r.Theirs)
}

func printNamespaces(w io.Writer, what string, list []survey.Namespace) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w, what)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "  NAMESPACE\tWORKLOADS\tSERVICE ACCOUNTS\tSECRETS\tHUB")
	for _, ns := range list[:min(len(list), shownNamespaces)] {
		more, hub := "", output.Dash("")
		if ns.Partial {
			more = "+"
		}
		if ns.Hub != "" {
			hub = "another"
		}
		fmt.Fprintf(t, "  %s\t%d%s\t%d%s\t%d%s\t%s\n", ns.Name, ns.Workloads, more, ns.Accounts, more, ns.Secrets, more, hub)
	}
	_ = t.Flush() // into w, whose errors are nobody's here
	if more := len(list) - shownNamespaces; more > 0 {
		fmt.Fprintf(w, "  … and %d more\n", more)
	}
}
