package override

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func plain(set map[string]v1alpha1.LabelValue) map[string]string {
	out := make(map[string]string, len(set))
	for k, v := range set {
		out[k] = string(v)
	}
	return out
}

// markPod sets and removes labels or annotations of a workload's pods.
func (d *draft) markPod(what string, set map[string]string, remove []string) error {
	template, path := pod(d.kind, d.content)
	if template == nil {
		return nil
	}
	return d.mark(template, path+"metadata."+what, set, remove)
}

// mark sets and removes labels or annotations in the metadata of a part of the
// draft; path ends with which of the two.
func (d *draft) mark(of map[string]any, path string, set map[string]string, remove []string) error {
	what := path[strings.LastIndexByte(path, '.')+1:]
	meta, ok := of["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
	}
	marks, ok := meta[what].(map[string]any)
	if !ok {
		marks = map[string]any{}
	}
	for _, key := range remove {
		if _, there := marks[key]; there {
			delete(marks, key)
			d.changed(path+"["+key+"]", "removed")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if marks[key] != any(set[key]) {
			marks[key] = set[key]
			d.changed(path+"["+key+"]", set[key])
		}
	}
	if len(marks) > 0 {
		meta[what] = marks
	} else {
		delete(meta, what)
	}
	if len(meta) > 0 {
		of["metadata"] = meta
	}
	return nil
}

// storageClass sets the class of every claim in the draft: of a
// PersistentVolumeClaim itself, of a StatefulSet's templates, of a pod's
// ephemeral volumes.
func (d *draft) storageClass(class string) error {
	set := func(claim map[string]any, path string) error {
		path = strings.TrimPrefix(path+".spec", ".")
		spec, ok := claim["spec"].(map[string]any)
		if !ok {
			return fmt.Errorf("%s is missing", path)
		}
		if spec["storageClassName"] != any(class) {
			spec["storageClassName"] = class
			d.changed(path+".storageClassName", class)
		}
		return nil
	}
	switch d.kind {
	case schema.GroupKind{Kind: "PersistentVolumeClaim"}:
		return set(d.content, "")
	case schema.GroupKind{Group: "apps", Kind: "StatefulSet"}:
		spec, _ := d.content["spec"].(map[string]any)
		if err := each(spec, "volumeClaimTemplates", "spec.volumeClaimTemplates", set); err != nil {
			return err
		}
	}
	template, path := pod(d.kind, d.content)
	spec, _ := template["spec"].(map[string]any)
	return each(spec, "volumes", path+"spec.volumes", func(volume map[string]any, path string) error {
		ephemeral, _ := volume["ephemeral"].(map[string]any)
		claim, ok := ephemeral["volumeClaimTemplate"].(map[string]any)
		if !ok {
			return nil
		}
		return set(claim, path+".ephemeral.volumeClaimTemplate")
	})
}

// each calls do for the maps of a list.
func each(in map[string]any, list, path string, do func(item map[string]any, path string) error) error {
	items, _ := in[list].([]any)
	for i, item := range items {
		if m, ok := item.(map[string]any); ok {
			if err := do(m, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	}
	return nil
}
