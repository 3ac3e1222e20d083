package workloads

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/placement"
	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/internal/scaling"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// scaledWorkload is the object that hanse scale is about, and the way to it.
type scaledWorkload struct {
	hub       *hub.Flags
	at        string // the hub
	client    dynamic.Interface
	resource  schema.GroupVersionResource
	namespace string
	name      string
	asked     string // as it was named
}

func (o *scaleFlags) workload(object string) (*scaledWorkload, error) {
	cfg, err := o.hub.RestConfig()
	if err != nil {
		return nil, err
	}
	resource, name, err := hub.FindResource(cfg, object, "hanse scale deployment/web aws=2")
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, access.HubError(cfg.Host, err)
	}
	return &scaledWorkload{hub: &o.hub, at: cfg.Host, client: client, resource: resource, namespace: o.namespace, name: name, asked: object}, nil
}

func (w *scaledWorkload) objects() dynamic.ResourceInterface {
	return w.client.Resource(w.resource).Namespace(w.namespace)
}

// read is the object and how it is divided. It waits for a moment until the hub
// has decided about the object as it is.
func (w *scaledWorkload) read(ctx context.Context) (obj *unstructured.Unstructured, now scaling.State, err error) {
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, hub.Timeout, true, func(ctx context.Context) (bool, error) {
		if obj, err = w.get(ctx); err != nil {
			return false, err
		}
		if now.Division, err = w.division(ctx, obj); err != nil {
			return false, err
		}
		return now.Division != nil, nil
	})
	if wait.Interrupted(err) {
		return nil, now, fmt.Errorf("the hub has not decided about %s yet. Try: hanse why %s, hanse kinds", w.asked, w.asked)
	}
	if err != nil {
		return nil, now, err
	}
	now.Object = strings.ToLower(obj.GetKind()) + "/" + obj.GetName()
	now.Total = kinds.Total(kinds.Replicas, obj.Object)
	now.Preferences, err = preferencesAt(obj)
	return obj, now, err
}

func (w *scaledWorkload) get(ctx context.Context) (*unstructured.Unstructured, error) {
	gr := w.resource.GroupResource()
	switch kinds.DivisionOf(gr, nil) {
	case kinds.Replicas:
	case kinds.Completions:
		return nil, fmt.Errorf("the division of a Job is fixed when it is made, as its completions are. Try: another Job")
	default:
		return nil, fmt.Errorf("%s have no replicas to divide. Try: a deployment, statefulset, replicaset or replicationcontroller", gr)
	}
	obj, err := w.objects().Get(ctx, w.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no %s in namespace %s. Try: kubectl get %s -A, or -n NAMESPACE", w.asked, w.namespace, gr.Resource)
	}
	if err != nil {
		return nil, access.HubError(w.at, err)
	}
	return obj, nil
}

// division is how obj is divided now; nil if that is not known for obj as it is.
// What is recorded goes first: the hub goes by it.
func (w *scaledWorkload) division(ctx context.Context, obj *unstructured.Unstructured) (map[string]int32, error) {
	total := kinds.Total(kinds.Replicas, obj.Object)
	if value, ok := obj.GetAnnotations()[v1alpha1.AnnotationDivision]; ok {
		recorded, err := schedule.ParseDivision(value)
		if err == nil && sumReplicas(recorded) == int64(total) {
			return recorded, nil
		}
	}
	u, err := w.client.Resource(v1alpha1.Resource("placements")).Namespace(w.namespace).
		Get(ctx, placement.Name(w.resource.GroupResource(), w.name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil // it was just made, or stays at the hub
	}
	if err != nil {
		return nil, access.HubError(w.at, err)
	}
	var p v1alpha1.Placement
	if err := hub.Decode(u, &p); err != nil {
		return nil, err
	}
	if p.Object.UID != obj.GetUID() || p.Generation != obj.GetGeneration() {
		return nil, nil
	}
	division := map[string]int32{}
	for _, c := range p.Clusters {
		if c.Replicas != nil {
			division[c.Name] = *c.Replicas
		}
	}
	return division, nil
}

func sumReplicas(division map[string]int32) (sum int64) {
	for _, n := range division {
		sum += int64(n)
	}
	return sum
}

// preferencesAt are those that hold for obj: Hanse's own, else Federation v1's.
func preferencesAt(obj *unstructured.Unstructured) (*schedule.Preferences, error) {
	for _, name := range []string{v1alpha1.AnnotationPreferences, schedule.AnnotationDeploymentPreferences, schedule.AnnotationReplicaSetPreferences} {
		value, ok := obj.GetAnnotations()[name]
		if !ok || name == schedule.AnnotationDeploymentPreferences && obj.GetKind() != "Deployment" ||
			name == schedule.AnnotationReplicaSetPreferences && obj.GetKind() != "ReplicaSet" {
			continue
		}
		p, err := schedule.ParsePreferences(value)
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %w. Try: correct the annotation, or remove it", name, err)
		}
		return p, nil
	}
	return nil, nil
}

// clusters are all that there are, and whether they are ready.
func (w *scaledWorkload) clusters(ctx context.Context) (map[string]bool, error) {
	clusters, err := w.hub.Clusters()
	if err != nil {
		return nil, err
	}
	all, err := clusters.All(ctx)
	if err != nil {
		return nil, err
	}
	ready := map[string]bool{}
	for i := range all {
		ready[all[i].Name] = meta.IsStatusConditionTrue(all[i].Status.Conditions, v1alpha1.ConditionReady)
	}
	return ready, nil
}

// decide asks the hub what it would decide about obj with another total, division and
// preferences.
func (w *scaledWorkload) decide(ctx context.Context, obj *unstructured.Unstructured) scaling.Decide {
	return func(total int32, current map[string]int32, p *schedule.Preferences) (schedule.Decision, error) {
		asked := obj.DeepCopy()
		asked.SetManagedFields(nil)
		setNested(asked.Object, int64(total), "spec", "replicas")
		annotations := asked.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		delete(annotations, v1alpha1.AnnotationPreferences)
		if p != nil {
			annotations[v1alpha1.AnnotationPreferences] = formatPreferences(p)
		}
		asked.SetAnnotations(annotations)
		planned, err := planAtHub(ctx, w.hub, propagate.PlanRequest{Objects: []*unstructured.Unstructured{asked}, Current: current})
		if err != nil {
			return schedule.Decision{}, err
		}
		if planned[0].Stays != "" {
			return schedule.Decision{}, fmt.Errorf("%s stays at the hub: %s. Try: hanse kinds", w.asked, planned[0].Stays)
		}
		return planned[0].Decision, nil
	}
}

func setNested(obj map[string]any, value any, path ...string) {
	_ = unstructured.SetNestedField(obj, value, path...) // spec is an object: the API server has seen to it
}

func formatPreferences(p *schedule.Preferences) string {
	b, err := json.Marshal(p) // strings and numbers cannot fail
	if err != nil {
		return ""
	}
	return string(b)
}

// write makes the change, in one write that fails if anybody else has written
// since obj was read. keep is whether the preferences are part of it.
func (w *scaledWorkload) write(ctx context.Context, obj *unstructured.Unstructured, c scaling.Change, keep bool, dryRun args.DryRun) error {
	annotations := map[string]any{v1alpha1.AnnotationDivision: schedule.FormatDivision(c.Division)}
	if keep {
		annotations[v1alpha1.AnnotationPreferences] = nil
		if c.Preferences != nil {
			annotations[v1alpha1.AnnotationPreferences] = formatPreferences(c.Preferences)
		}
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": obj.GetUID(), "resourceVersion": obj.GetResourceVersion(), "annotations": annotations},
		"spec":     map[string]any{"replicas": c.Total},
	})
	if err != nil {
		return fmt.Errorf("encode the change: %w", err)
	}
	_, err = w.objects().Patch(ctx, w.name, types.MergePatchType, patch, dryRun.PatchOptions("hanse-scale"))
	if err != nil && !apierrors.IsConflict(err) {
		return access.HubError(w.at, err)
	}
	return err
}

// autoscaler is the HorizontalPodAutoscaler at the hub that obj is the target of,
// empty if there is none; what cannot be read is none.
func (w *scaledWorkload) autoscaler(ctx context.Context, obj *unstructured.Unstructured) string {
	list, err := w.client.Resource(schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}).
		Namespace(w.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return ""
	}
	for i := range list.Items {
		target, _, _ := unstructured.NestedStringMap(list.Items[i].Object, "spec", "scaleTargetRef")
		gv, err := schema.ParseGroupVersion(target["apiVersion"])
		if err == nil && gv.Group == w.resource.Group && target["kind"] == obj.GetKind() && target["name"] == obj.GetName() {
			return list.Items[i].GetName()
		}
	}
	return ""
}
