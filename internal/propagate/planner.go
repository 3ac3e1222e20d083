package propagate

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/question"
)

// Planner questions where objects would go, by the rules that a hub goes by, without one. It touches nothing.
type Planner = question.Planner

// NewPlanner makes a Planner for clusters that are as given. others are the placement policies, of both kinds, and the
// Namespaces that decisions depend on; what is of another kind is passed over. The error names the policy that makes
// no sense.
func NewPlanner(clusters []v1alpha1.Cluster, others []*unstructured.Unstructured, now time.Time) (*Planner, error) {
	return question.NewPlanner(clusters, others, now)
}

// Steers says whether an object is one that decisions about others depend on, for NewPlanner: a placement policy or a
// Namespace.
func Steers(obj *unstructured.Unstructured) bool { return question.Steers(obj) }
