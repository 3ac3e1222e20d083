package cli

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
)

// hubContext is the name of the hub's context in every kubeconfig that hanse
// writes.
const hubContext = "federation"

// completionTimeout bounds how long a shell waits for the names of clusters.
const completionTimeout = 2 * time.Second

// hubFlags says how a verb reaches the hub.
type hubFlags struct {
	kubeconfig string
	context    string
}

// bind adds --kubeconfig and --context to a verb.
func (h *hubFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&h.kubeconfig, "kubeconfig", "", "the hub's kubeconfig (default: $KUBECONFIG, else ~/.kube/config)")
	cmd.Flags().StringVar(&h.context, "context", hubContext, "the hub's context in it")
	completeWith(cmd, "context", func() []string {
		raw, err := h.rules().Load()
		if err != nil {
			return nil
		}
		return slices.Sorted(maps.Keys(raw.Contexts))
	})
}

// rules are client-go's: an explicit file, else $KUBECONFIG, else
// ~/.kube/config.
func (h *hubFlags) rules() *clientcmd.ClientConfigLoadingRules {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = h.kubeconfig
	return rules
}

// restConfig is the way to the hub, without a limit on the rate of requests:
// the hub has its own.
func (h *hubFlags) restConfig() (*rest.Config, error) {
	rules := h.rules()
	where := strings.Join(rules.GetLoadingPrecedence(), string(os.PathListSeparator))
	raw, err := rules.Load()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no kubeconfig %s. Try: hanse demo, or --kubeconfig FILE", where)
	case err != nil:
		return nil, fmt.Errorf("cannot read the kubeconfig %s: %w", where, err)
	case raw.Contexts[h.context] == nil:
		return nil, fmt.Errorf("there is no context %q in %s. Try: --kubeconfig FILE or --context NAME, or start a hub with hanse demo", h.context, where)
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(*raw, h.context, &clientcmd.ConfigOverrides{}, rules).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("the context %q in %s cannot be used: %w", h.context, where, err)
	}
	cfg.QPS = -1
	cfg.UserAgent = "hanse-cli"
	return cfg, nil
}

// completeClusters offers the names of the clusters that the hub knows now, for
// verbs that take one or more of them as arguments.
func (h *hubFlags) completeClusters(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return slices.DeleteFunc(h.clusterNames(cmd.Context()), func(name string) bool {
		return slices.Contains(args, name)
	}), cobra.ShellCompDirectiveNoFileComp
}

// clusterNames asks the hub; a hub that cannot be asked has none.
func (h *hubFlags) clusterNames(ctx context.Context) []string {
	cfg, err := h.restConfig()
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

// completeWith completes a flag's value from candidates.
func completeWith(cmd *cobra.Command, flag string, candidates func() []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return candidates(), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // the flag does not exist: a mistake in this program
	}
}
