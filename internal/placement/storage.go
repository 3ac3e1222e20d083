package placement

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// storage is what upstream's handlers read from: the Source, with the journal's resource versions.
type storage struct {
	*journal
	rest.TableConvertor
}

var (
	_ rest.Getter  = storage{}
	_ rest.Lister  = storage{}
	_ rest.Watcher = storage{}
)

// NewList is part of rest.Lister.
func (s storage) NewList() runtime.Object { return &v1alpha1.PlacementList{} }

// Get returns one Placement of the request's namespace.
func (s storage) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	key := types.NamespacedName{Namespace: request.NamespaceValue(ctx), Name: name}
	version := s.versionOf(key) // before the object: never newer than it
	p, ok := s.source.Get(key.Namespace, key.Name)
	if !ok {
		return nil, apierrors.NewNotFound(v1alpha1.Resource(plural).GroupResource(), name)
	}
	p.ResourceVersion = format(version)
	return &p, nil
}

// List returns everything that matches at once, whatever limit was asked for.
func (s storage) List(ctx context.Context, o *internalversion.ListOptions) (runtime.Object, error) {
	version := s.version() // before the objects: what changes in between is told to a watch once more
	if exact(o) && o.ResourceVersion != format(version) {
		return nil, apierrors.NewResourceExpired("only the present state of Placements is known")
	}
	items := newSelection(request.NamespaceValue(ctx), o).list(s.journal)
	return &v1alpha1.PlacementList{
		ListMeta: metav1.ListMeta{ResourceVersion: format(version)},
		Items:    items,
	}, nil
}

func exact(o *internalversion.ListOptions) bool {
	return o.ResourceVersionMatch == metav1.ResourceVersionMatchExact
}

// Watch follows the Placements that match until ctx ends or the watch is stopped.
func (s storage) Watch(ctx context.Context, o *internalversion.ListOptions) (watch.Interface, error) {
	var from uint64
	if o.ResourceVersion != "" {
		var err error
		if from, err = strconv.ParseUint(o.ResourceVersion, 10, 64); err != nil {
			return nil, apierrors.NewBadRequest("invalid resource version " + strconv.Quote(o.ResourceVersion))
		}
	}
	return startWatch(ctx, s.journal, newSelection(request.NamespaceValue(ctx), o), from, o)
}

// selection says which Placements a request is about.
type selection struct {
	namespace string
	name      string // empty: all
	labels    labels.Selector
	fields    fields.Selector
}

func newSelection(namespace string, o *internalversion.ListOptions) selection {
	s := selection{namespace: namespace, labels: o.LabelSelector, fields: o.FieldSelector}
	if s.labels == nil {
		s.labels = labels.Everything()
	}
	if s.fields == nil {
		s.fields = fields.Everything()
	}
	if name, ok := s.fields.RequiresExactMatch("metadata.name"); ok {
		s.name = name
	}
	return s
}

// names tells whether a Placement of that name can match.
func (s selection) names(key types.NamespacedName) bool {
	return (s.namespace == "" || s.namespace == key.Namespace) &&
		s.fields.Matches(fields.Set{"metadata.namespace": key.Namespace, "metadata.name": key.Name})
}

// matches tells whether p is selected.
func (s selection) matches(p *v1alpha1.Placement) bool {
	return s.names(keyOf(p)) && s.labels.Matches(labels.Set(p.Labels))
}

// list returns what is selected now, by namespace and name.
func (s selection) list(j *journal) []v1alpha1.Placement {
	items := s.candidates(j.source)
	items = slices.DeleteFunc(items, func(p v1alpha1.Placement) bool { return !s.matches(&p) })
	slices.SortFunc(items, func(a, b v1alpha1.Placement) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for i := range items {
		items[i].ResourceVersion = format(j.versionOf(keyOf(&items[i])))
	}
	return items
}

// candidates spares the Source a full list where the request names its Placement.
func (s selection) candidates(source Source) []v1alpha1.Placement {
	if s.name == "" || s.namespace == "" {
		return slices.Clone(source.List(s.namespace))
	}
	if p, ok := source.Get(s.namespace, s.name); ok {
		return []v1alpha1.Placement{p}
	}
	return nil
}

func keyOf(p *v1alpha1.Placement) types.NamespacedName {
	return types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
}
