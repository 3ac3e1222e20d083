package join

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// LoadKubeconfig reads how to reach a cluster from one context of a
// kubeconfig file; an empty path means where kubectl looks, an empty context
// the file's current one. Its errors are for the user.
func LoadKubeconfig(path, context string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	path = strings.Join(rules.GetLoadingPrecedence(), string(os.PathListSeparator))
	raw, err := rules.Load()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s. Try: --kubeconfig with the kubeconfig of the cluster to join", path)
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read as a kubeconfig: %s. Try: kubectl --kubeconfig %s config view", path, access.OneLine(err.Error()), path)
	}
	names := slices.Sorted(maps.Keys(raw.Contexts))
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("%s has no contexts. Try: --kubeconfig with the kubeconfig of the cluster to join", path)
	case context == "" && raw.CurrentContext == "" && len(names) == 1:
		context = names[0]
	case context == "" && raw.CurrentContext == "":
		return nil, fmt.Errorf("%s has no current context. Try: --context, one of %s", path, strings.Join(names, ", "))
	case context == "":
		context = raw.CurrentContext
	}
	if raw.Contexts[context] == nil {
		return nil, fmt.Errorf("there is no context %q in %s. Try: --context, one of %s", context, path, strings.Join(names, ", "))
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(*raw, context, &clientcmd.ConfigOverrides{}, rules).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("the context %q in %s cannot be used: %s. Try: kubectl --kubeconfig %s --context %s get namespaces", context, path, access.OneLine(err.Error()), path, context)
	}
	return cfg, nil
}
