package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/tenancy/model"
)

// report writes the statuses that have changed.
func (c *Controller) report(ctx context.Context, w model.World, out model.Outcome, f *failures) {
	var tasks []task
	for _, o := range w.Organizations {
		v, status := out.Organizations[o.Name], o.Status.DeepCopy()
		status.Conditions = c.conditions(status.Conditions, o.Generation, v, f.of["Organization/"+o.Name])
		status.ObservedGeneration, status.Namespaces, status.Workspaces = o.Generation, v.Namespaces, int32(v.Workspaces)
		if t, differs := c.statusTask("organizations", o, map[string]string{v1alpha1.LabelOrganization: o.Name}, &o.Status, status); differs {
			tasks = append(tasks, t)
		}
	}
	for _, ws := range w.Workspaces {
		v, status := out.Workspaces[ws.Name], ws.Status.DeepCopy()
		status.Conditions = c.conditions(status.Conditions, ws.Generation, v, f.of["Workspace/"+ws.Name])
		status.ObservedGeneration, status.Namespaces = ws.Generation, v.Namespaces
		if t, differs := c.statusTask("workspaces", ws, map[string]string{v1alpha1.LabelWorkspace: ws.Name}, &ws.Status, status); differs {
			tasks = append(tasks, t)
		}
	}
	f.run(ctx, tasks, nil)
}

// conditions are Accepted and Ready, with the times of those before where they say the same.
func (c *Controller) conditions(before []metav1.Condition, generation int64, v model.Verdict, err error) []metav1.Condition {
	all := slices.Clone(before)
	set := func(kind string, is bool, reason, message string) {
		status := metav1.ConditionFalse
		if is {
			status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&all, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(c.clock.Now()),
		})
	}
	set(v1alpha1.ConditionAccepted, v.Reason == v1alpha1.ReasonTenancyAccepted, v.Reason, v.Message)
	switch {
	case err == nil:
		set(v1alpha1.ConditionReady, true, v1alpha1.ReasonMaterialized, "")
	case errors.Is(err, errStale): // the next pass will know
	default:
		set(v1alpha1.ConditionReady, false, v1alpha1.ReasonNotMaterialized, err.Error())
	}
	return all
}

// statusTask writes a status, if it is another than before.
func (c *Controller) statusTask(resource string, o metav1.Object, labels map[string]string, before, after any) (task, bool) {
	was, err := json.Marshal(before)
	is, err2 := json.Marshal(after)
	if errors.Join(err, err2) != nil || string(was) == string(is) {
		return task{}, false
	}
	var fields map[string]any
	_ = json.Unmarshal(is, &fields) // it was just made
	for _, name := range []string{"namespaces", "workspaces"} {
		if _, ok := fields[name]; !ok {
			fields[name] = nil // a merge patch removes it
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": o.GetUID()}, "status": fields})
	return task{labels: labels, do: func(ctx context.Context) error {
		if err != nil {
			return err
		}
		_, err := c.dynamic.Resource(v1alpha1.Resource(resource)).Patch(ctx, o.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager}, "status")
		return stale(err)
	}}, true
}

// updateSpec replaces an Organization, if it is still the version that was read.
func updateSpec(ctx context.Context, client dynamic.Interface, o *v1alpha1.Organization) error {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: fields}
	u.SetAPIVersion(v1alpha1.GroupVersion().String())
	u.SetKind("Organization")
	_, err = client.Resource(v1alpha1.Resource("organizations")).Update(ctx, u, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
	return err
}
