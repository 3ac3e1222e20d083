package cluster

import (
	"maps"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/adoption"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/rights"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Cluster is what the hub says of a member.
type Cluster struct {
	Name    string
	Labels  map[string]string
	Zones   []string
	Joined  time.Time
	Ready   bool
	Since   time.Time      // of Ready
	Leaving bool           // its Cluster is being deleted: what it has of the hub's is taken out
	Facts   policy.Cluster // what policies select it by
	Version string         // of Kubernetes
	// What its spec says of what may run there.
	Taints            []corev1.Taint
	Cordoned, Drained bool
	Elastic           bool // a node autoscaler makes room
	Price             schedule.Price
	Size              Size
	// Namespaces are those that the hub writes in, Access what its account may do. No decision depends on them.
	Namespaces adoption.Namespaces
	Access     rights.Access
}

// Read is what a Cluster object says. One that is being deleted is not ready.
func Read(c *v1alpha1.Cluster) *Cluster {
	out := &Cluster{Name: c.Name, Labels: c.Labels, Zones: c.Status.Zones, Joined: c.CreationTimestamp.Time, Facts: policy.ClusterOf(c), Version: c.Status.Version}
	for _, t := range c.Spec.Taints {
		out.Taints = append(out.Taints, corev1.Taint{Key: t.Key, Value: string(t.Value), Effect: t.Effect, TimeAdded: t.TimeAdded})
	}
	out.Elastic, out.Price, out.Size = c.Spec.Elastic, readPrice(c.Spec.Price), readSize(c)
	out.Namespaces, out.Access = adoption.ReadNamespaces(c.Spec.Namespaces), rights.Read(c.Spec.Access)
	out.Drained = c.Spec.Drain
	out.Cordoned = c.Spec.Unschedulable || c.Spec.Drain
	if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		out.Ready = ready.Status == metav1.ConditionTrue
		out.Since = ready.LastTransitionTime.Time
	}
	if c.DeletionTimestamp != nil {
		out.Ready, out.Leaving = false, true
	}
	return out
}

// Same says whether decisions find the same clusters in both.
func Same(a, b map[string]*Cluster) bool {
	return maps.EqualFunc(a, b, func(c, d *Cluster) bool {
		return c == d || c.Ready == d.Ready && c.Joined.Equal(d.Joined) &&
			maps.Equal(c.Labels, d.Labels) && slices.Equal(c.Zones, d.Zones) && reflect.DeepEqual(c.Facts, d.Facts) &&
			c.Elastic == d.Elastic && c.Price == d.Price && c.Cordoned == d.Cordoned && c.Drained == d.Drained && reflect.DeepEqual(c.Taints, d.Taints)
	})
}
