package member

import (
	"fmt"
	"maps"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/override"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// made is out of what an object in a member is made. All that it leads to is shared with the hub and with other
// members, so that it stands for a whole object in little memory.
type made struct {
	content  *template.Content
	share    template.Share
	shape    template.Shape
	labels   map[string]string // the Cluster's
	pods     map[string]any    // in place of the hub's pod template
	revision string            // of the pod template, where a policy says how it rolls out
	division kinds.Division
	scaler   bool
	asIs     bool // the pod template in the member is left alone
}

// madeOf is what w says.
func madeOf(w *decide.Wanted) made {
	return made{
		content: w.Content, share: w.Share, shape: w.Shape, labels: w.ClusterLabels, division: w.Division, scaler: w.Scaler != nil,
		revision: w.Turn.Revision, pods: w.Turn.Template, asIs: w.Turn.AsIs,
	}
}

// target is m in little: as long as it is the same, so is what is made.
func (m *made) target() template.Target {
	return template.Target{Content: m.content, Share: m.share, Shape: m.shape.ID, Revision: m.revision}
}

// object is what an object in the member has to say, save what others own. mark is its mark. The error is about an
// override that cannot be applied in the cluster.
func (m *made) object(cluster, mark string, adopted bool) (map[string]any, error) {
	out := maps.Clone(m.content.Object)
	meta := maps.Clone(out["metadata"].(map[string]any))
	meta["labels"] = with(meta["labels"], v1alpha1.LabelManaged, "true")
	annotations, _ := meta["annotations"].(map[string]any)
	marked := make(map[string]any, len(annotations)+3)
	maps.Copy(marked, annotations)
	marked[v1alpha1.AnnotationOrigin] = mark
	if adopted {
		marked[v1alpha1.AnnotationAdopted] = "true"
	}
	if m.revision != "" {
		marked[v1alpha1.AnnotationRevision] = m.revision
	}
	meta["annotations"] = marked
	out["metadata"] = meta
	m.fill(out)
	out, _, err := override.Apply(out, m.shape.Overrides)
	if err != nil {
		return nil, fmt.Errorf("for cluster %s: %w", cluster, err)
	}
	return m.withoutAsIs(m.localised(out)), nil
}

// fill sets the pod template whose turn it is, and the cluster's share.
func (m *made) fill(out map[string]any) {
	spec, ok := out["spec"].(map[string]any)
	if !ok || m.pods == nil && m.division == kinds.Everywhere && !m.scaler {
		return
	}
	spec = maps.Clone(spec)
	out["spec"] = spec
	if m.pods != nil {
		spec["template"] = m.pods
	}
	kinds.SetShare(m.division, out, m.share.OfKind())
	if m.scaler && m.share.Most > 0 {
		spec["minReplicas"], spec["maxReplicas"] = int64(m.share.Least), int64(m.share.Most)
	}
}

// localised is desired without what its pod template says of clusters.
func (m *made) localised(desired map[string]any) map[string]any {
	spec, _ := desired["spec"].(map[string]any)
	pods, ok := spec["template"].(map[string]any)
	if !ok {
		return desired
	}
	// Kinds whose template is not a pod's have none of these fields in it.
	if local, ok := kinds.Localise(pods, m.labels); ok {
		return template.With(desired, "spec", template.With(spec, "template", local))
	}
	return desired
}

// withoutAsIs is desired without what is left alone, so that it is not taken for written when the member's turn comes.
func (m *made) withoutAsIs(desired map[string]any) map[string]any {
	spec, ok := desired["spec"].(map[string]any)
	if !ok || !m.asIs {
		return desired
	}
	spec = maps.Clone(spec)
	delete(spec, "template")
	return template.With(desired, "spec", spec)
}

// spec is what the hub wants its spec to be, nil for what has none.
func (m *made) spec(cluster string) map[string]any {
	out := map[string]any{"spec": m.content.Object["spec"]}
	if len(m.shape.Overrides) > 0 {
		if whole, err := m.object(cluster, "", false); err == nil {
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
