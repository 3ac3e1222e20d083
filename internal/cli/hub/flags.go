package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
)

// Context is the name of the hub's context in every kubeconfig that hanse
// writes.
const Context = "federation"

// Timeout bounds one request to the hub.
const Timeout = 15 * time.Second

// completionTimeout bounds how long a shell waits for the names of clusters.
const completionTimeout = 2 * time.Second

// Flags say how a verb reaches the hub.
type Flags struct {
	Kubeconfig string
	Context    string
}

// Bind adds --kubeconfig and --context to a verb.
func (f *Flags) Bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Kubeconfig, "kubeconfig", "", "the hub's kubeconfig (default: $KUBECONFIG, else ~/.kube/config)")
	cmd.Flags().StringVar(&f.Context, "context", Context, "the hub's context in it")
	args.CompleteWith(cmd, "context", func() []string {
		raw, err := f.rules().Load()
		if err != nil {
			return nil
		}
		return slices.Sorted(maps.Keys(raw.Contexts))
	})
}

// rules are client-go's: an explicit file, else $KUBECONFIG, else
// ~/.kube/config.
func (f *Flags) rules() *clientcmd.ClientConfigLoadingRules {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.Kubeconfig
	return rules
}

// RestConfig is the way to the hub, without a limit on the rate of requests:
// the hub has its own.
func (f *Flags) RestConfig() (*rest.Config, error) {
	rules := f.rules()
	where := strings.Join(rules.GetLoadingPrecedence(), string(os.PathListSeparator))
	raw, err := rules.Load()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no kubeconfig %s. Try: hanse demo, or --kubeconfig FILE", where)
	case err != nil:
		return nil, fmt.Errorf("cannot read the kubeconfig %s: %w", where, err)
	case raw.Contexts[f.Context] == nil:
		return nil, fmt.Errorf("there is no context %q in %s. Try: --kubeconfig FILE or --context NAME, or start a hub with hanse demo", f.Context, where)
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(*raw, f.Context, &clientcmd.ConfigOverrides{}, rules).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("the context %q in %s cannot be used: %w", f.Context, where, err)
	}
	cfg.QPS = -1
	cfg.UserAgent = "hanse-cli"
	return cfg, nil
}

// KubeconfigFiles are the files that the hub's kubeconfig may be in, the first one
// first.
func (f *Flags) KubeconfigFiles() []string { return f.rules().GetLoadingPrecedence() }

// CompleteClusters offers the names of the clusters that the hub knows now, for
// verbs that take one or more of them as arguments.
func (f *Flags) CompleteClusters(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	return slices.DeleteFunc(f.ClusterNames(cmd.Context()), func(name string) bool {
		return slices.Contains(given, name)
	}), cobra.ShellCompDirectiveNoFileComp
}

// ClusterNames asks the hub; a hub that cannot be asked has none.
func (f *Flags) ClusterNames(ctx context.Context) []string {
	cfg, err := f.RestConfig()
	if err != nil {
		return nil
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	list, err := client.Resource(v1alpha1.Resource("clusters")).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].GetName())
	}
	return names
}
