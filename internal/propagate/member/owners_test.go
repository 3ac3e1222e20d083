package member

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/internal/fieldmerge"
)

// own keeps managedFields as an API server does: who has changed a field owns it.
func (m *memberAPI) own(before, after map[string]any, manager string) {
	meta, _ := after["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		after["metadata"] = meta
	}
	now := epoch.Format(time.RFC3339)
	if meta["creationTimestamp"] == nil {
		meta["creationTimestamp"] = now
	}
	patch, _ := fieldmerge.Patch(before, after)
	if len(patch) == 0 {
		return
	}
	var entries []any
	mine := map[string]any{}
	owners, _ := meta["managedFields"].([]any)
	for _, o := range owners {
		entry, _ := runtime.DeepCopyJSONValue(o).(map[string]any)
		fields, _ := entry["fieldsV1"].(map[string]any)
		if entry["manager"] == manager {
			mine = fields
			continue
		}
		disown(fields, patch)
		entries = append(entries, entry)
	}
	disown(mine, patch)
	owned(mine, patch)
	meta["managedFields"] = append(entries, map[string]any{"manager": manager, "operation": "Update", "time": now, "fieldsV1": mine})
}

// disown takes the fields that a patch changes from an owner.
func disown(fields, patch map[string]any) {
	for k, v := range patch {
		below, isMap := v.(map[string]any)
		inner, has := fields["f:"+k].(map[string]any)
		switch {
		case !has:
		case isMap && len(inner) > 0:
			if disown(inner, below); len(inner) == 0 {
				delete(fields, "f:"+k)
			}
		default:
			delete(fields, "f:"+k)
		}
	}
}

func owned(fields, patch map[string]any) {
	for k, v := range patch {
		if v == nil {
			continue
		}
		below, isMap := v.(map[string]any)
		inner, _ := fields["f:"+k].(map[string]any)
		if inner = maps.Clone(inner); inner == nil {
			inner = map[string]any{}
		}
		if isMap {
			owned(inner, below)
		}
		fields["f:"+k] = inner
	}
}
