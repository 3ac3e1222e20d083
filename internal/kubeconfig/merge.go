package kubeconfig

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/tools/clientcmd"
)

// extensionName marks the entries that this package made; its value says from
// which source.
const extensionName = "hanse.dev"

// ClashError says that names are taken by entries that are not this program's,
// or that came from another source.
type ClashError struct {
	Names []string
}

func (e *ClashError) Error() string {
	return "the kubeconfig has other entries called " + strings.Join(e.Names, ", ")
}

// Result is what Merge made.
type Result struct {
	// Data is the new kubeconfig; the old bytes if nothing changed.
	Data []byte
	// Added and Updated name the contexts that are new, and those that differ
	// from before.
	Added, Updated []string
	// Current is the context that is current now.
	Current string
}

// Changed reports whether Data differs from what was there.
func (r Result) Changed(old []byte) bool { return !bytes.Equal(r.Data, old) }

// Merge brings contexts into the kubeconfig old (which may be empty). The
// current context is set to use, if that is given; otherwise it is only set
// when there is none, to the first of contexts. If names are taken the error is
// a *ClashError. Merging the same contexts again changes nothing.
func Merge(old []byte, contexts []Context, use string) (Result, error) {
	doc, err := parse(old)
	if err != nil {
		return Result{}, err
	}
	if names := doc.clashes(contexts); len(names) > 0 {
		return Result{}, &ClashError{Names: names}
	}
	result := Result{}
	changed := false
	for _, c := range contexts {
		existed := doc.contexts.find(c.Name) != nil
		did, err := doc.put(c)
		if err != nil {
			return Result{}, err
		}
		changed = changed || did
		switch {
		case !existed:
			result.Added = append(result.Added, c.Name)
		case did:
			result.Updated = append(result.Updated, c.Name)
		}
	}
	current := scalar(doc.top, "current-context")
	if use == "" && current == "" && len(contexts) > 0 {
		use = contexts[0].Name
	}
	if use != "" && use != current {
		if doc.contexts.find(use) == nil {
			return Result{}, fmt.Errorf("there is no context %q to make the current one", use)
		}
		setField(doc.top, "current-context", text(use))
		changed, current = true, use
	}
	result.Data, result.Current = old, current
	if changed {
		if result.Data, err = doc.encode(); err != nil {
			return Result{}, err
		}
	}
	return result, nil
}

// FreeName is the name of c, or that name with the first number that makes it
// free in the kubeconfig old, or c's own there already, and not one of taken.
func FreeName(old []byte, c Context, taken []string) (string, error) {
	doc, err := parse(old)
	if err != nil {
		return "", err
	}
	for renamed, n := c, 2; ; renamed.Name, n = fmt.Sprintf("%s-%d", c.Name, n), n+1 {
		if !slices.Contains(taken, renamed.Name) && len(doc.clashes([]Context{renamed})) == 0 {
			return renamed.Name, nil
		}
	}
}

// document is a kubeconfig as YAML.
type document struct {
	root, top                 *yaml.Node
	clusters, users, contexts section
}

// section is one of its lists of named entries.
type section struct {
	list *yaml.Node
	body string // the key that holds an entry beside its name
}

func parse(data []byte) (*document, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("apiVersion: v1\nkind: Config\n")
	}
	if _, err := clientcmd.Load(data); err != nil {
		return nil, fmt.Errorf("it is not a kubeconfig: %w", err)
	}
	doc := &document{root: &yaml.Node{}}
	if err := yaml.Unmarshal(data, doc.root); err != nil {
		return nil, fmt.Errorf("it is not YAML: %w", err)
	}
	if len(doc.root.Content) != 1 || doc.root.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("it is not a kubeconfig: it holds no fields")
	}
	doc.top = doc.root.Content[0]
	for _, s := range []struct {
		into      *section
		key, body string
	}{{&doc.clusters, "clusters", "cluster"}, {&doc.users, "users", "user"}, {&doc.contexts, "contexts", "context"}} {
		list, err := sequence(doc.top, s.key)
		if err != nil {
			return nil, err
		}
		*s.into = section{list: list, body: s.body}
	}
	return doc, nil
}

func (d *document) sections() []section { return []section{d.clusters, d.users, d.contexts} }

// clashes names the contexts whose names entries of others have.
func (d *document) clashes(contexts []Context) []string {
	var names []string
	for i, c := range contexts {
		twice := slices.ContainsFunc(contexts[:i], func(o Context) bool { return o.Name == c.Name })
		other := !c.Overwrite && slices.ContainsFunc(d.sections(), func(s section) bool {
			entry := s.find(c.Name)
			return entry != nil && s.source(entry) != c.Source
		})
		if twice || other {
			names = append(names, c.Name)
		}
	}
	return names
}

// put writes the three entries of c and reports whether anything differs. A
// namespace that the user has set in the context stays.
func (d *document) put(c Context) (bool, error) {
	if entry := d.contexts.find(c.Name); entry != nil && c.Namespace == "" && d.contexts.source(entry) == c.Source {
		c.Namespace = scalar(field(entry, "context"), "namespace")
	}
	entries, err := c.entries()
	if err != nil {
		return false, err
	}
	changed := false
	for i, s := range d.sections() {
		changed = s.put(c.Name, entries[i]) || changed
	}
	return changed, nil
}

func (d *document) encode() ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(d.root); err != nil {
		return nil, fmt.Errorf("cannot write the kubeconfig: %w", err)
	}
	if _, err := clientcmd.Load(out.Bytes()); err != nil {
		return nil, fmt.Errorf("the merged kubeconfig would not be one: %w", err)
	}
	return out.Bytes(), nil
}

func (s section) find(name string) *yaml.Node {
	for _, entry := range s.list.Content {
		if scalar(entry, "name") == name && field(entry, "name") != nil {
			return entry
		}
	}
	return nil
}

// source is what this package noted when it made the entry, "" if it did not.
func (s section) source(entry *yaml.Node) string {
	extensions := field(field(entry, s.body), "extensions")
	if extensions == nil {
		return ""
	}
	for _, e := range extensions.Content {
		if scalar(e, "name") == extensionName {
			return scalar(field(e, "extension"), "source")
		}
	}
	return ""
}

func (s section) put(name string, entry *yaml.Node) bool {
	if len(s.list.Content) == 0 {
		s.list.Style = 0 // an empty list is written as []
	}
	old := s.find(name)
	if old == nil {
		s.list.Content = append(s.list.Content, entry)
		return true
	}
	if sameValue(old, entry) {
		return false
	}
	*old = *entry
	return true
}
