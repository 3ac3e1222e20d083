package hub

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
)

// firstSeen closes seen when all there is has been taken in once.
type firstSeen struct {
	sink
	seen chan struct{} // nil once closed
}

func (s *firstSeen) replace(objs []*unstructured.Unstructured) {
	s.sink.replace(objs)
	if s.seen != nil {
		close(s.seen)
		s.seen = nil
	}
}

type clusterSink struct {
	into func(decide.Input)
	log  klog.Logger
}

func (s *clusterSink) replace(objs []*unstructured.Unstructured) {
	in := decide.ClustersListed{Clusters: make([]*v1alpha1.Cluster, 0, len(objs))}
	for _, obj := range objs {
		if c := s.read(obj); c != nil {
			in.Clusters = append(in.Clusters, c)
		}
	}
	s.into(in)
}

func (s *clusterSink) apply(obj *unstructured.Unstructured) {
	if c := s.read(obj); c != nil {
		s.into(decide.ClusterWritten{Cluster: c})
	}
}

func (s *clusterSink) remove(obj *unstructured.Unstructured) {
	s.into(decide.ClusterDeleted{Name: obj.GetName()})
}

func (s *clusterSink) read(obj *unstructured.Unstructured) *v1alpha1.Cluster {
	var c v1alpha1.Cluster
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &c); err != nil {
		s.log.Error(err, "Cluster cannot be read", "cluster", obj.GetName())
		return nil
	}
	return &c
}

// namespaceSink takes in the labels of Namespaces, which are watched apart from the templates because these are decided with
// them.
type namespaceSink struct{ into func(decide.Input) }

func (s namespaceSink) replace(objs []*unstructured.Unstructured) {
	in := decide.NamespacesListed{Labels: make(map[string]map[string]string, len(objs))}
	for _, obj := range objs {
		in.Labels[obj.GetName()] = obj.GetLabels()
	}
	s.into(in)
}

func (s namespaceSink) apply(obj *unstructured.Unstructured) {
	s.into(decide.NamespaceWritten{Name: obj.GetName(), Labels: obj.GetLabels()})
}

func (s namespaceSink) remove(obj *unstructured.Unstructured) {
	s.into(decide.NamespaceDeleted{Name: obj.GetName()})
}

// policySink takes in the policies of one kind.
type policySink struct {
	into func(decide.Input)
	uids map[types.UID]bool // of this kind
}

func newPolicySink(into func(decide.Input)) *policySink {
	return &policySink{into: into, uids: map[types.UID]bool{}}
}

func (s *policySink) replace(objs []*unstructured.Unstructured) {
	in := decide.PoliciesChanged{Written: objs}
	there := make(map[types.UID]bool, len(objs))
	for _, obj := range objs {
		there[obj.GetUID()] = true
	}
	for uid := range s.uids {
		if !there[uid] {
			in.Gone = append(in.Gone, uid)
		}
	}
	s.uids = there
	s.into(in)
}

func (s *policySink) apply(obj *unstructured.Unstructured) {
	s.uids[obj.GetUID()] = true
	s.into(decide.PoliciesChanged{Written: []*unstructured.Unstructured{obj}})
}

func (s *policySink) remove(obj *unstructured.Unstructured) {
	delete(s.uids, obj.GetUID())
	s.into(decide.PoliciesChanged{Gone: []types.UID{obj.GetUID()}})
}
