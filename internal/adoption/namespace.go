package adoption

import (
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
)

// Namespace is what the hub wants of a Namespace that was in a member before, less what it leaves to the member: labels and
// annotations that others have set there, unless forced, and those of Pod Security wherever the hub's would be weaker. left
// are the labels of Pod Security that the hub wants and does not set.
func Namespace(wanted map[string]any, live *unstructured.Unstructured, forced bool) (out map[string]any, left []string) {
	meta, _ := wanted["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	if !forced {
		owners := fieldmerge.ReadOwners(live, v1alpha1.FieldManager)
		for field, there := range map[string]map[string]string{"labels": live.GetLabels(), "annotations": live.GetAnnotations()} {
			if want, ok := meta[field].(map[string]any); ok {
				meta[field] = others(want, there, func(key string) bool { return owners.Mine("metadata", field, key) })
			}
		}
	}
	if want, ok := meta["labels"].(map[string]any); ok {
		meta["labels"], left = podSecurity(want, live.GetLabels())
	}
	out = maps.Clone(wanted)
	out["metadata"] = meta
	return out, left
}

// others is want with what is there and not the hub's.
func others(want map[string]any, there map[string]string, mine func(string) bool) map[string]any {
	out := maps.Clone(want)
	for key := range want {
		now, has := there[key]
		if has && !strings.HasPrefix(key, v1alpha1.GroupVersion().Group+"/") && !mine(key) {
			out[key] = now
		}
	}
	return out
}

const podSecurityPrefix = "pod-security.kubernetes.io/"

// podSecurity is labels in which no mode of Pod Security is weaker than in those that are there. A mode that is not set there is
// the cluster's own default, of which nobody knows how strict it is: only the strictest level is surely not weaker.
func podSecurity(want map[string]any, there map[string]string) (out map[string]any, left []string) {
	out = maps.Clone(want)
	for _, mode := range []string{"enforce", "audit", "warn"} {
		label, version := podSecurityPrefix+mode, podSecurityPrefix+mode+"-version"
		level, _ := want[label].(string)
		now, has := there[label]
		if has && strictness(level) > strictness(now) || !has && level == "restricted" {
			continue
		}
		for _, key := range []string{label, version} {
			if _, wants := want[key]; wants && want[key] != there[key] {
				left = append(left, key)
			}
			delete(out, key)
			if now, has := there[key]; has {
				out[key] = now // so that it is not taken off for being the hub's, from when it was stricter
			}
		}
	}
	return out, left
}

// strictness orders the levels. Upstream takes one that it does not know for restricted; such a label cannot be made stricter.
func strictness(level string) int {
	switch level {
	case "":
		return 0
	case "privileged":
		return 1
	case "baseline":
		return 2
	}
	return 3
}
