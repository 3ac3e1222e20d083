package kubeconfig

import (
	"fmt"
	"reflect"
	"regexp"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// entries are the cluster, the user and the context of c as YAML, in that
// order, each marked with its source.
func (c Context) entries() ([]*yaml.Node, error) {
	mark := map[string]runtime.Object{extensionName: &runtime.Unknown{
		ContentType: runtime.ContentTypeJSON,
		Raw:         fmt.Appendf(nil, `{"source":%q}`, c.Source),
	}}
	cluster, user := c.Cluster.DeepCopy(), c.User.DeepCopy()
	cluster.Extensions, user.Extensions = mark, mark
	one := api.NewConfig()
	one.Clusters[c.Name] = cluster
	one.AuthInfos[c.Name] = user
	one.Contexts[c.Name] = &api.Context{Cluster: c.Name, AuthInfo: c.Name, Namespace: c.Namespace, Extensions: mark}
	data, err := clientcmd.Write(*one)
	if err != nil {
		return nil, fmt.Errorf("cannot write the context %q: %w", c.Name, err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, fmt.Errorf("cannot read back the context %q: %w", c.Name, err)
	}
	var nodes []*yaml.Node
	for _, key := range []string{"clusters", "users", "contexts"} {
		list := field(root.Content[0], key)
		if list == nil || len(list.Content) != 1 {
			return nil, fmt.Errorf("cannot write the context %q: its %s are missing", c.Name, key)
		}
		nodes = append(nodes, list.Content[0])
	}
	return nodes, nil
}

// field is the value of a key of a mapping, nil if there is none. It looks
// through aliases.
func field(mapping *yaml.Node, key string) *yaml.Node {
	if mapping = resolve(mapping); mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return resolve(mapping.Content[i+1])
		}
	}
	return nil
}

func resolve(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// scalar is the text of a key of a mapping, "" if there is none.
func scalar(mapping *yaml.Node, key string) string {
	if n := field(mapping, key); n != nil && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return n.Value
	}
	return ""
}

// sequence is the list under a key of a mapping, made if it is not there.
func sequence(mapping *yaml.Node, key string) (*yaml.Node, error) {
	n := field(mapping, key)
	switch {
	case n != nil && n.Kind == yaml.SequenceNode:
		return n, nil
	case n == nil || n.Tag == "!!null":
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		setField(mapping, key, list)
		return list, nil
	default:
		return nil, fmt.Errorf("it is not a kubeconfig: %s is no list", key)
	}
}

func setField(mapping *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content[i+1] = value
			return
		}
	}
	mapping.Content = append(mapping.Content, text(key), value)
}

// text is a string as YAML, quoted where any reader of YAML needs it: n is a
// boolean to kubectl's.
func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if !plain(s) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// plain reports whether every reader of YAML takes s for a string as it is.
func plain(s string) bool {
	switch s {
	case "yes", "off", "true", "false", "null":
		return false
	}
	return regexp.MustCompile(`^[a-z][a-z0-9-]{2,}$`).MatchString(s)
}

// sameValue compares what two nodes mean, whatever their layout.
func sameValue(a, b *yaml.Node) bool {
	var x, y any
	return a.Decode(&x) == nil && b.Decode(&y) == nil && reflect.DeepEqual(x, y)
}
