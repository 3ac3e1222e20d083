package override

import (
	"encoding/json"
	"errors"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// jsonPatch applies RFC 6902 operations; field is the one that failed.
func (d *draft) jsonPatch(ops []v1alpha1.JSONPatchOperation) (field string, err error) {
	doc, err := json.Marshal(d.content)
	if err != nil {
		return "jsonPatch", fmt.Errorf("the object cannot be written as JSON: %w", err)
	}
	for i, op := range ops {
		field := fmt.Sprintf("jsonPatch[%d]", i)
		patch, err := operation(op)
		if err != nil {
			return field, err
		}
		if doc, err = patch.Apply(doc); err != nil {
			return field, operationError(op, err)
		}
		if op.Op != "test" {
			d.changed(op.Path, "patched ("+op.Op+")")
		}
	}
	after, err := object(doc)
	if err != nil {
		return "jsonPatch", err
	}
	d.content = after
	return "jsonPatch", nil
}

func operationError(op v1alpha1.JSONPatchOperation, err error) error {
	switch {
	case errors.Is(err, jsonpatch.ErrTestFailed):
		return fmt.Errorf("%s does not have the value that is tested for", op.Path)
	case errors.Is(err, jsonpatch.ErrMissing) && op.Op == "add":
		return fmt.Errorf("what %s is to be added to is not there. Try: add that first, or strategicMerge", op.Path)
	case errors.Is(err, jsonpatch.ErrMissing):
		return fmt.Errorf("cannot %s %s: there is no such field", op.Op, op.Path)
	}
	return fmt.Errorf("cannot %s %s: %w", op.Op, op.Path, err)
}

// operation is one operation as the library takes it.
func operation(op v1alpha1.JSONPatchOperation) (jsonpatch.Patch, error) {
	fields := map[string]any{"op": op.Op, "path": op.Path}
	switch op.Op {
	case "add", "replace", "test":
		value, err := value(op)
		if err != nil {
			return nil, err
		}
		fields["value"] = value
	case "move", "copy":
		fields["from"] = op.From
	case "remove":
	default:
		return nil, fmt.Errorf("%q is no operation. Try: add, remove, replace, move, copy, test", op.Op)
	}
	b, err := json.Marshal([]any{fields})
	if err != nil {
		return nil, fmt.Errorf("the operation cannot be written as JSON: %w", err)
	}
	return jsonpatch.DecodePatch(b)
}

// value is that of an operation that needs one, without nulls: in objects of
// Kubernetes there are none.
func value(op v1alpha1.JSONPatchOperation) (any, error) {
	var value any
	if op.Value != nil && len(op.Value.Raw) > 0 {
		if err := utiljson.Unmarshal(op.Value.Raw, &value); err != nil {
			return nil, fmt.Errorf("value is not JSON: %w", err)
		}
	}
	if value == nil {
		return nil, fmt.Errorf("%s needs a value that is not null. Try: remove", op.Op)
	}
	return pruned(value), nil
}

func pruned(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			if field == nil {
				delete(v, name)
			} else {
				v[name] = pruned(field)
			}
		}
	case []any:
		for i := range v {
			v[i] = pruned(v[i])
		}
	}
	return v
}

// merge applies a strategic merge patch where the kind is one of Kubernetes' own,
// whose lists have keys, and a JSON merge patch (RFC 7386) to others.
func (d *draft) merge(raw []byte) error {
	patch, err := object(raw)
	if err != nil {
		return err
	}
	apiVersion, _ := d.content["apiVersion"].(string)
	if typed, ok := builtin(apiVersion, d.kind.Kind); ok {
		return d.strategicMerge(patch, typed)
	}
	mergePatch(d.content, patch)
	d.changed("the object", "merged with a JSON merge patch, which replaces lists as a whole")
	return nil
}

func (d *draft) strategicMerge(patch map[string]any, typed runtime.Object) error {
	after, err := strategicpatch.StrategicMergeMapPatch(d.content, patch, typed)
	if err != nil {
		return err
	}
	d.content = after
	d.changed("the object", "merged with a strategic merge patch")
	return nil
}

func mergePatch(into, patch map[string]any) {
	for name, v := range patch {
		if v == nil {
			delete(into, name)
			continue
		}
		fields, ok := v.(map[string]any)
		if !ok {
			into[name] = v
			continue
		}
		target, ok := into[name].(map[string]any)
		if !ok {
			target = map[string]any{}
			into[name] = target
		}
		mergePatch(target, fields)
	}
}

// object decodes a JSON object with whole numbers as int64.
func object(raw []byte) (map[string]any, error) {
	var v any
	if err := utiljson.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object. Try: {\"spec\":{…}}")
	}
	return m, nil
}
