// Package desired makes what a member is to have of an object, of what was decided about it. It is pure.
package desired

import (
	"fmt"
	"maps"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/override"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Made is out of what an object in a member is made. All that it leads to is shared with the hub and with other
// members, so that it stands for a whole object in little memory.
type Made struct {
	Content  *template.Content
	Share    template.Share
	Shape    template.Shape
	Labels   map[string]string // the Cluster's
	Pods     map[string]any    // in place of the hub's pod template
	Revision string            // of the pod template, where a policy says how it rolls out
	Division kinds.Division
	Scaler   bool
	AsIs     bool // the pod template in the member is left alone
}

// Of is what w says.
func Of(w *assignment.Wanted) Made {
	return Made{
		Content: w.Content, Share: w.Share, Shape: w.Shape, Labels: w.ClusterLabels, Division: w.Division, Scaler: w.Scaler != nil,
		Revision: w.Turn.Revision, Pods: w.Turn.Template, AsIs: w.Turn.AsIs,
	}
}

// Target is m in little: as long as it is the same, so is what is made.
func (m *Made) Target() template.Target {
	return template.Target{Content: m.Content, Share: m.Share, Shape: m.Shape.ID, Revision: m.Revision}
}

// Object is what an object in the member has to say, save what others own. mark is its mark. The error is about an
// override that cannot be applied in the cluster.
func (m *Made) Object(cluster, mark string, adopted bool) (map[string]any, error) {
	out := maps.Clone(m.Content.Object)
	meta := maps.Clone(out["metadata"].(map[string]any))
	meta["labels"] = with(meta["labels"], v1alpha1.LabelManaged, "true")
	annotations, _ := meta["annotations"].(map[string]any)
	marked := make(map[string]any, len(annotations)+3)
	maps.Copy(marked, annotations)
	marked[v1alpha1.AnnotationOrigin] = mark
	if adopted {
		marked[v1alpha1.AnnotationAdopted] = "true"
	}
	if m.Revision != "" {
		marked[v1alpha1.AnnotationRevision] = m.Revision
	}
	meta["annotations"] = marked
	out["metadata"] = meta
	m.fill(out)
	out, _, err := override.Apply(out, m.Shape.Overrides)
	if err != nil {
		return nil, fmt.Errorf("for cluster %s: %w", cluster, err)
	}
	return m.withoutAsIs(m.localised(out)), nil
}

// fill sets the pod template whose turn it is, and the cluster's share.
func (m *Made) fill(out map[string]any) {
	spec, ok := out["spec"].(map[string]any)
	if !ok || m.Pods == nil && m.Division == kinds.Everywhere && !m.Scaler {
		return
	}
	spec = maps.Clone(spec)
	out["spec"] = spec
	if m.Pods != nil {
		spec["template"] = m.Pods
	}
	kinds.SetShare(m.Division, out, m.Share.OfKind())
	if m.Scaler && m.Share.Most > 0 {
		spec["minReplicas"], spec["maxReplicas"] = int64(m.Share.Least), int64(m.Share.Most)
	}
}

// localised is desired without what its pod template says of clusters.
func (m *Made) localised(desired map[string]any) map[string]any {
	spec, _ := desired["spec"].(map[string]any)
	pods, ok := spec["template"].(map[string]any)
	if !ok {
		return desired
	}
	// Kinds whose template is not a pod's have none of these fields in it.
	if local, ok := kinds.Localise(pods, m.Labels); ok {
		return template.With(desired, "spec", template.With(spec, "template", local))
	}
	return desired
}

// withoutAsIs is desired without what is left alone, so that it is not taken for written when the member's turn comes.
func (m *Made) withoutAsIs(desired map[string]any) map[string]any {
	spec, ok := desired["spec"].(map[string]any)
	if !ok || !m.AsIs {
		return desired
	}
	spec = maps.Clone(spec)
	delete(spec, "template")
	return template.With(desired, "spec", spec)
}

// Spec is what the hub wants its spec to be, nil for what has none.
func (m *Made) Spec(cluster string) map[string]any {
	out := map[string]any{"spec": m.Content.Object["spec"]}
	if len(m.Shape.Overrides) > 0 {
		if whole, err := m.Object(cluster, "", false); err == nil {
			out = whole
		}
	} else {
		m.fill(out)
	}
	spec, _ := out["spec"].(map[string]any)
	return spec
}

// with is a copy of the map v with one more entry.
func with(v any, key, value string) map[string]any {
	m, _ := v.(map[string]any)
	return template.With(m, key, value)
}
