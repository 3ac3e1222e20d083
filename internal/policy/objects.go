package policy

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Object is what policies are chosen by.
type Object struct {
	Kind      schema.GroupKind
	Namespace string // empty: in none
	Name      string
	Labels    map[string]string
	// NamespaceLabels are those of the Namespace that it is in, or is.
	NamespaceLabels map[string]string
}

// InOrIs is the namespace that the object is in, or that it is; empty: neither.
func (o *Object) InOrIs() string {
	if o.Namespace == "" && o.Kind == (schema.GroupKind{Kind: "Namespace"}) {
		return o.Name
	}
	return o.Namespace
}

// String is the object as messages call it: Deployment shop/web.
func (o *Object) String() string {
	if o.Namespace == "" {
		return o.Kind.Kind + " " + o.Name
	}
	return o.Kind.Kind + " " + o.Namespace + "/" + o.Name
}

// objectSelector is the select and namespaces of a policy.
type objectSelector struct {
	namespace  string // of a PlacementPolicy
	kinds      []schema.GroupKind
	names      map[string]bool
	labels     labels.Selector // nil: any
	namespaces *namespaceSelector
	residents  *residents // of a Residency, which has none of the above
	// unread: it is not known which objects are selected, so all are that may be, before any other policy.
	unread bool
	text   string
}

type namespaceSelector struct {
	names, exclude map[string]bool
	labels         labels.Selector // nil: any
}

func (p *Policy) readObjects(in *v1alpha1.ObjectSelector, namespaces *v1alpha1.NamespaceSelector) error {
	s := objectSelector{namespace: p.Namespace, names: set(in.Names)}
	for i, k := range in.Kinds {
		gv, err := schema.ParseGroupVersion(k.APIVersion)
		if err != nil || k.APIVersion == "" {
			return fmt.Errorf("spec.select.kinds[%d].apiVersion: %q is not valid. Try: apps/v1", i, k.APIVersion)
		}
		if gk := (schema.GroupKind{Group: gv.Group, Kind: k.Kind}); !slices.Contains(s.kinds, gk) {
			s.kinds = append(s.kinds, gk)
		}
	}
	var err error
	if in.Labels != nil {
		if s.labels, err = selector(in.Labels); err != nil {
			return fmt.Errorf("spec.select.labels.%w", err)
		}
	}
	if namespaces != nil {
		s.namespaces = &namespaceSelector{names: set(namespaces.Names), exclude: set(namespaces.Exclude)}
		if namespaces.Labels != nil {
			if s.namespaces.labels, err = selector(namespaces.Labels); err != nil {
				return fmt.Errorf("spec.namespaces.labels.%w", err)
			}
		}
	}
	s.text = describeObjects(in, s.labels)
	p.objects = s
	return nil
}

// Selects says whether the policy selects an object; another that selects it too
// may apply instead.
func (p *Policy) Selects(o *Object) bool { return p.objects.selects(o) }

func (s *objectSelector) selects(o *Object) bool {
	if s.residents != nil {
		namespace := o.InOrIs()
		return namespace != "" && (s.unread || s.residents.have(namespace, o.NamespaceLabels))
	}
	if s.namespace != "" && s.namespace != o.Namespace {
		return false
	}
	if s.names != nil && !s.names[o.Name] {
		return false
	}
	if len(s.kinds) > 0 && !slices.Contains(s.kinds, o.Kind) {
		return false
	}
	if o.Namespace == "" && (s.namespaces != nil || len(s.kinds) == 0) {
		return false // a policy for everything must not take a Namespace or a CRD from under what needs it
	}
	if s.labels != nil && !s.labels.Matches(labels.Set(o.Labels)) {
		return false
	}
	return s.namespaces == nil || s.namespaces.selects(o)
}

func (s *namespaceSelector) selects(o *Object) bool {
	if s.names != nil && !s.names[o.Namespace] || s.exclude[o.Namespace] {
		return false
	}
	return s.labels == nil || s.labels.Matches(labels.Set(o.NamespaceLabels))
}

// specificity is how closely a policy selects, as digits from the most
// significant: nobody knows, of the object's namespace, by name, by labels, by kind, by the
// namespace's name, by its labels.
func (s *objectSelector) specificity() int {
	n := 0
	for _, has := range []bool{
		s.unread, s.namespace != "", s.names != nil, s.labels != nil, len(s.kinds) > 0,
		s.namespaces != nil && s.namespaces.names != nil,
		s.namespaces != nil && s.namespaces.labels != nil,
	} {
		n <<= 1
		if has {
			n |= 1
		}
	}
	return n
}

// String is what is selected, in a few words.
func (s *objectSelector) String() string { return s.text }

func describeObjects(in *v1alpha1.ObjectSelector, by labels.Selector) string {
	var kinds []string
	for _, k := range in.Kinds {
		kinds = append(kinds, k.Kind)
	}
	text := few(kinds)
	if len(in.Names) > 0 {
		if text != "" {
			text += "/"
		}
		text += few(in.Names)
	}
	if by != nil {
		text = strings.TrimSpace(text + " " + by.String())
	}
	if text == "" {
		return "everything"
	}
	return text
}

// few is a list, shortened to three.
func few(list []string) string {
	if len(list) > 3 {
		return fmt.Sprintf("%s,+%d", strings.Join(list[:3], ","), len(list)-3)
	}
	return strings.Join(list, ",")
}
