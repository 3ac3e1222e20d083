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
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/kubeconfig"
)

// lockTimeout bounds how long kubeconfig waits for another program that is
// writing the file; kubectl holds the lock for milliseconds.
const lockTimeout = 5 * time.Second

// toStdout as a file's name means the standard output.
const toStdout = "-"

type kubeconfigOptions struct {
	hub     hub.Flags
	from    []string
	merge   string
	use     string
	onClash string
}

// NewKubeconfigCommand is hanse kubeconfig.
func NewKubeconfigCommand(s genericiooptions.IOStreams) *cobra.Command {
	var o kubeconfigOptions
	cmd := &cobra.Command{
		Use:   "kubeconfig [NAME…] [--from FILE[:CONTEXT][=NAME]]… [--merge[=FILE]]",
		Short: "Collect the contexts of the hub and the members in one kubeconfig",
		Long: `Collect contexts and print them as one kubeconfig, or merge them into one.

The contexts come from the files given with --from, otherwise from the hub's own
kubeconfig: the hub's context, and those with the name of one of its clusters.
NAMEs choose among them.

Merging replaces only entries that it made itself from the same source, leaves
the current context as it is unless --use says otherwise, and keeps the old file
as FILE.bak.`,
		Example: `  # The contexts of a demo, beside what is there:
  hanse kubeconfig --from ~/.hanse/demo/kubeconfig --merge

  # Three downloaded kubeconfigs, each under a name of your choice:
  hanse kubeconfig --from aws.yaml=aws --from azure.yaml=azure --from google.yaml=google --merge`,
		ValidArgsFunction: o.hub.CompleteClusters,
		RunE: func(cmd *cobra.Command, names []string) error {
			return o.run(cmd.Context(), s, names)
		},
	}
	o.hub.Bind(cmd)
	cmd.Flags().StringArrayVar(&o.from, "from", nil, "a kubeconfig to take contexts from, as FILE[:CONTEXT][=NAME]; may be repeated")
	cmd.Flags().StringVar(&o.merge, "merge", toStdout, "merge into FILE (without =FILE: the one that kubectl uses; -: print)")
	cmd.Flags().Lookup("merge").NoOptDefVal = clientcmd.NewDefaultClientConfigLoadingRules().GetDefaultFilename()
	cmd.Flags().StringVar(&o.use, "use", "", "make NAME the current context")
	cmd.Flags().StringVar(&o.onClash, "on-clash", "ask", "when a name is taken by something else: ask, rename, overwrite or fail")
	args.CompleteWith(cmd, "on-clash", func() []string { return []string{"ask", "rename", "overwrite", "fail"} })
	return cmd
}

func (o *kubeconfigOptions) run(ctx context.Context, s genericiooptions.IOStreams, names []string) error {
	if !slices.Contains([]string{"ask", "rename", "overwrite", "fail"}, o.onClash) {
		return fmt.Errorf("unknown --on-clash=%s. Try: ask, rename, overwrite or fail", o.onClash)
	}
	contexts, err := o.contexts(ctx)
	if err != nil {
		return err
	}
	if contexts, err = pick(contexts, names); err != nil {
		return err
	}
	if o.merge == toStdout {
		result, err := o.mergeInto(s, nil, contexts)
		if err != nil {
			return err
		}
		_, err = s.Out.Write(result.Data)
		return err
	}
	return o.update(ctx, s, contexts)
}

func (o *kubeconfigOptions) update(ctx context.Context, s genericiooptions.IOStreams, contexts []kubeconfig.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	var result kubeconfig.Result
	backup, err := kubeconfig.Update(ctx, o.merge, func(old []byte) ([]byte, error) {
		var err error
		result, err = o.mergeInto(s, old, contexts)
		return result.Data, err
	})
	if err != nil {
		return err
	}
	for _, name := range result.Added {
		fmt.Fprintf(s.Out, "context/%s added\n", name)
	}
	for _, name := range result.Updated {
		fmt.Fprintf(s.Out, "context/%s updated\n", name)
	}
	if len(result.Added)+len(result.Updated) == 0 {
		fmt.Fprintf(s.ErrOut, "%s has these contexts already.\n", o.merge)
	}
	if backup != "" {
		fmt.Fprintf(s.ErrOut, "The kubeconfig as it was is in %s.\n", backup)
	}
	fmt.Fprintf(s.ErrOut, "The current context is %s.\n", result.Current)
	return nil
}

// contexts reads those of the sources given, or of the hub's kubeconfig.
func (o *kubeconfigOptions) contexts(ctx context.Context) ([]kubeconfig.Context, error) {
	if len(o.from) == 0 {
		return o.hubContexts(ctx)
	}
	var all []kubeconfig.Context
	for _, f := range o.from {
		source, err := kubeconfig.ParseSource(f)
		if err != nil {
			return nil, err
		}
		contexts, err := source.Load()
		if err != nil {
			return nil, err
		}
		all = append(all, contexts...)
	}
	return all, nil
}

// hubContexts are the hub's and those in the same file called like one of its
// clusters. A hub that does not answer has no clusters.
func (o *kubeconfigOptions) hubContexts(ctx context.Context) ([]kubeconfig.Context, error) {
	if _, err := o.hub.RestConfig(); err != nil {
		return nil, err
	}
	wanted := append([]string{o.hub.Context}, o.hub.ClusterNames(ctx)...)
	var found []kubeconfig.Context
	for _, file := range o.hub.KubeconfigFiles() {
		if _, err := os.Stat(file); err != nil {
			continue // a file that $KUBECONFIG lists need not exist
		}
		contexts, err := kubeconfig.Source{File: file}.Load()
		if err != nil {
			return nil, err
		}
		for _, c := range contexts {
			known := slices.ContainsFunc(found, func(o kubeconfig.Context) bool { return o.Name == c.Name })
			if slices.Contains(wanted, c.Name) && !known {
				found = append(found, c)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b kubeconfig.Context) int {
		return slices.Index(wanted, a.Name) - slices.Index(wanted, b.Name)
	})
	return found, nil
}

// pick keeps the named contexts in the order of names; no names mean all.
func pick(contexts []kubeconfig.Context, names []string) ([]kubeconfig.Context, error) {
	if len(names) == 0 {
		return contexts, nil
	}
	var picked []kubeconfig.Context
	for _, name := range names {
		i := slices.IndexFunc(contexts, func(c kubeconfig.Context) bool { return c.Name == name })
		if i < 0 {
			var known []string
			for _, c := range contexts {
				known = append(known, c.Name)
			}
			return nil, fmt.Errorf("there is no context %q to take. Try: one of %s, or --from FILE", name, strings.Join(known, ", "))
		}
		picked = append(picked, contexts[i])
	}
	return picked, nil
}

// mergeInto merges, and settles clashes of names as the user says.
func (o *kubeconfigOptions) mergeInto(s genericiooptions.IOStreams, old []byte, contexts []kubeconfig.Context) (kubeconfig.Result, error) {
	for {
		result, err := kubeconfig.Merge(old, contexts, o.use)
		var clash *kubeconfig.ClashError
		if !errors.As(err, &clash) {
			return result, err
		}
		answer := o.onClash
		if answer == "ask" {
			answer = ask(s, clash)
		}
		switch answer {
		case "rename":
			contexts, err = rename(s, old, contexts, clash.Names)
		case "overwrite":
			contexts, err = overwrite(contexts, clash)
		default:
			err = fmt.Errorf("%w. Try: --on-clash=rename or --on-clash=overwrite, or --from FILE:CONTEXT=NAME", clash)
		}
		if err != nil {
			return kubeconfig.Result{}, err
		}
	}
}

// ask asks on a terminal what to do; elsewhere the answer is to fail.
func ask(s genericiooptions.IOStreams, clash *kubeconfig.ClashError) string {
	in, ok := s.In.(*os.File)
	if !ok || !isTerminal(in) {
		return "fail"
	}
	fmt.Fprintf(s.ErrOut, "%s. [r]ename the new ones, [o]verwrite, or [c]ancel? ", clash)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "fail"
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "r", "rename":
		return "rename"
	case "o", "overwrite":
		return "overwrite"
	default:
		return "fail"
	}
}

// rename gives the contexts called as in names the next free name.
func rename(s genericiooptions.IOStreams, old []byte, contexts []kubeconfig.Context, names []string) ([]kubeconfig.Context, error) {
	renamed := slices.Clone(contexts)
	var taken []string
	for _, c := range contexts {
		taken = append(taken, c.Name)
	}
	for _, name := range names {
		// The last one of that name gives way: the others were there before it.
		for i := len(renamed) - 1; i >= 0; i-- {
			if renamed[i].Name != name {
				continue
			}
			free, err := kubeconfig.FreeName(old, renamed[i], taken)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(s.ErrOut, "%s is taken: calling it %s.\n", name, free)
			renamed[i].Name = free
			taken = append(taken, free)
			break
		}
	}
	return renamed, nil
}

// overwrite lets the contexts that clash take the names; two new ones cannot
// have the same.
func overwrite(contexts []kubeconfig.Context, clash *kubeconfig.ClashError) ([]kubeconfig.Context, error) {
	result := slices.Clone(contexts)
	for i, c := range result {
		if !slices.Contains(clash.Names, c.Name) {
			continue
		}
		if slices.ContainsFunc(result[:i], func(o kubeconfig.Context) bool { return o.Name == c.Name }) {
			return nil, fmt.Errorf("two of the contexts to merge are called %s. Try: --from FILE:CONTEXT=NAME", c.Name)
		}
		result[i].Overwrite = true
	}
	return result, nil
}

// isTerminal reports whether f is one, and not a file, a pipe or /dev/null.
func isTerminal(f *os.File) bool {
	return term.IsTerminal(int(f.Fd()))
}
