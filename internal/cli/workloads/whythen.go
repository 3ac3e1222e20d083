package workloads

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/placement"
	"github.com/hanse-dev/hanse/internal/propagate/record"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// placementThen is the Placement of an object as far as it is recorded what held at a time: what was decided, not how clusters were
// doing.
func placementThen(ctx context.Context, at *hub.Flags, object, namespace string, then time.Time) (*unstructured.Unstructured, error) {
	h, err := askHistory(ctx, at, object, namespace, "hanse why deployment/web --at 03:12", url.Values{"at": {then.UTC().Format(time.RFC3339Nano)}})
	if err != nil {
		return nil, err
	}
	if len(h.Entries) == 0 || h.Entries[0].Outcome == nil || h.Entries[0].Outcome.Gone {
		return nil, fmt.Errorf("nothing is recorded of %s at %s: it did not exist, or that is too long ago. Try: hanse history %s", object, then.Local().Format(shownTime), object)
	}
	key, ok := template.ParseKey(h.Object)
	if !ok {
		return nil, fmt.Errorf("the hub answers about %q. Try: the same version of hanse for both", h.Object)
	}
	kind, _, _ := strings.Cut(object, "/")
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(placementOf(key, kind, h.Entries[0].Outcome))
	if err != nil {
		return nil, fmt.Errorf("what was decided about %s cannot be shown: %w", object, err)
	}
	return &unstructured.Unstructured{Object: content}, nil
}

func placementOf(key template.Key, kind string, o *record.Outcome) *v1alpha1.Placement {
	p := &v1alpha1.Placement{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: "Placement"},
		ObjectMeta: metav1.ObjectMeta{Name: placement.Name(key.GR, key.Name), Namespace: key.Namespace, CreationTimestamp: metav1.NewTime(o.At)},
		Unplaced:   o.Decision.Unplaced,
	}
	p.Object.Kind, p.Object.Name, p.Object.Namespace = kind, key.Name, key.Namespace
	p.Summary.Clusters = o.Decision.String()
	p.Summary.Message = "decided " + o.At.Local().Format(shownTime) + ", because " + whyOf(o)
	if o.Policy != "" {
		p.Policy = &v1alpha1.PolicyMatch{Reason: o.Policy}
	}
	for _, share := range o.Decision.Shares {
		c := v1alpha1.ClusterPlacement{Name: share.Cluster, State: "-", Reason: share.Reason}
		if o.Decision.Divided {
			c.Replicas = &share.Replicas
		}
		if now, other := o.Now[share.Cluster]; other {
			c.Message = fmt.Sprintf("ran %d until others were ready", now)
		}
		p.Clusters = append(p.Clusters, c)
	}
	for _, r := range o.Decision.Rejected {
		p.Rejected = append(p.Rejected, v1alpha1.ClusterRejection{Name: r.Cluster, Reason: r.Reason})
	}
	return p
}
