package kubeconfig

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Context is a way into one cluster, complete in itself.
type Context struct {
	// Name is that of the context, the cluster and the user to be.
	Name string
	// Source is where it comes from, FILE#CONTEXT. A context that was merged
	// from the same source before is replaced.
	Source string
	// Overwrite lets it replace entries of others that have its name.
	Overwrite bool

	Cluster   *api.Cluster
	User      *api.AuthInfo
	Namespace string
}

// Source says which contexts of a kubeconfig are meant.
type Source struct {
	File string
	// Context is one of the file's; empty means all of them, or the current
	// one if Name is given.
	Context string
	// Name is what the context shall be called; empty means as in the file.
	Name string
}

// ParseSource reads FILE[:CONTEXT][=NAME]. A context may hold colons (as an
// EKS one does) but no equals sign.
func ParseSource(s string) (Source, error) {
	rest, name, named := cutLast(s, "=")
	file, context, chosen := strings.Cut(rest, ":")
	if file == "" || named && name == "" || chosen && context == "" {
		return Source{}, fmt.Errorf("%q is not a source of contexts. Try: FILE, FILE:CONTEXT, FILE=NAME or FILE:CONTEXT=NAME", s)
	}
	return Source{File: file, Context: context, Name: name}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Load reads the contexts that s means, the file's current one first and the
// others by name, with the certificates that they name as files put in.
func (s Source) Load() ([]Context, error) {
	cfg, err := clientcmd.LoadFromFile(s.File)
	if err != nil {
		return nil, fmt.Errorf("cannot read the kubeconfig %s: %w", s.File, err)
	}
	names, err := s.choose(cfg)
	if err != nil {
		return nil, err
	}
	if err := clientcmd.ResolveLocalPaths(cfg); err != nil {
		return nil, fmt.Errorf("cannot resolve the paths in %s: %w", s.File, err)
	}
	abs, err := filepath.Abs(s.File)
	if err != nil {
		return nil, fmt.Errorf("cannot find %s: %w", s.File, err)
	}
	contexts := make([]Context, 0, len(names))
	for _, name := range names {
		c, err := extract(cfg, name)
		if err != nil {
			return nil, fmt.Errorf("the context %q of %s cannot be used: %w", name, s.File, err)
		}
		c.Source = abs + "#" + name
		if s.Name != "" {
			c.Name = s.Name
		}
		contexts = append(contexts, c)
	}
	return contexts, nil
}

// choose names the contexts of cfg that s means.
func (s Source) choose(cfg *api.Config) ([]string, error) {
	all := slices.SortedFunc(maps.Keys(cfg.Contexts), func(a, b string) int {
		switch cfg.CurrentContext {
		case a:
			return -1
		case b:
			return 1
		default:
			return strings.Compare(a, b)
		}
	})
	one := s.Context
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("%s has no contexts", s.File)
	case one == "" && s.Name == "":
		return all, nil
	case one == "" && len(all) == 1:
		return all, nil
	case one == "":
		one = cfg.CurrentContext
	}
	if cfg.Contexts[one] == nil {
		return nil, fmt.Errorf("%s has no context %q. Try: one of %s", s.File, one, strings.Join(all, ", "))
	}
	return []string{one}, nil
}

// extract takes one context out of cfg, complete in itself.
func extract(cfg *api.Config, name string) (Context, error) {
	one := cfg.DeepCopy()
	one.CurrentContext = name
	if err := api.MinifyConfig(one); err != nil {
		return Context{}, err
	}
	if err := api.FlattenConfig(one); err != nil {
		return Context{}, err
	}
	context := one.Contexts[name]
	c := Context{
		Name:      name,
		Cluster:   one.Clusters[context.Cluster],
		User:      one.AuthInfos[context.AuthInfo],
		Namespace: context.Namespace,
	}
	if c.Cluster == nil {
		return Context{}, fmt.Errorf("it names no cluster")
	}
	if c.User == nil {
		c.User = api.NewAuthInfo()
	}
	return c, nil
}
