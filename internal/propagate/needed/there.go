package needed

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Use is what an object in a member uses of others, as it is there. It does not change.
type Use struct {
	// Names it has. Idle: it runs nothing that would use them.
	Names []template.Key
	Idle  bool
	// Changing: pods of an earlier pod template may run, which may name others. Began: it has never been changed.
	Changing, Began bool
}

// Cut is the field of an object that was cut down, with what it named before that.
const Cut = "hanse.dev/names"

// Read is what an object of a member uses. Of one that was cut down by CutDown, it is what it names.
func Read(gr schema.GroupResource, obj map[string]any) Use {
	if names, cut := obj[Cut].([]any); cut {
		var u Use
		for _, name := range names {
			if s, ok := name.(string); ok {
				if key, ok := template.ParseKey(s); ok {
					u.Names = append(u.Names, key)
				}
			}
		}
		return u
	}
	u := Use{Names: template.NamesOf(gr, obj)}
	status, _ := obj["status"].(map[string]any)
	n := func(field string) int64 { v, _ := status[field].(int64); return v }
	metadata, _ := obj["metadata"].(map[string]any)
	generation, _ := metadata["generation"].(int64)
	u.Began = generation <= 1
	seen := n("observedGeneration") >= generation
	switch gr.Resource {
	case "deployments", "statefulsets", "replicasets", "replicationcontrollers":
		wanted := template.NumberIn(obj, "replicas")
		u.Idle = wanted != nil && *wanted == 0 && seen && n("replicas") == 0 && n("terminatingReplicas") == 0
		rolls := gr.Resource == "deployments" || gr.Resource == "statefulsets"
		u.Changing = !u.Idle && (!seen || rolls && n("updatedReplicas") < n("replicas") || n("terminatingReplicas") > 0)
	case "daemonsets":
		u.Changing = !seen || n("updatedNumberScheduled") < n("currentNumberScheduled")
	case "cronjobs":
		spec, _ := obj["spec"].(map[string]any)
		active, _ := status["active"].([]any)
		u.Idle = spec["suspend"] == true && len(active) == 0
		u.Changing = len(active) > 0
	case "jobs", "pods":
		u.Idle = template.HasFinished(gr, status)
	}
	return u
}

// CutDown is what is kept of what an object names when it is cut down: nothing, if it runs nothing.
func CutDown(gr schema.GroupResource, obj map[string]any) (names []any) {
	if u := Read(gr, obj); !u.Idle {
		for _, name := range u.Names {
			names = append(names, name.String())
		}
	}
	return names
}

// Weight is about how many bytes of memory u takes.
func (u *Use) Weight() (n int) {
	for _, name := range u.Names {
		n += 64 + len(name.Namespace) + len(name.Name)
	}
	return n
}

// There is who uses what in one member, by what is there.
type There struct {
	of    map[template.Key]held
	by    map[template.Key]map[template.Key]struct{} // users by name
	vague map[string]map[template.Key]struct{}       // those that may use anything in their namespace, by it
}

// held is an object's Use, and what earlier pods of it may use.
type held struct {
	use    Use
	former []template.Key
	vague  bool
}

// NewThere is a member of which nothing is known.
func NewThere() There {
	return There{of: map[template.Key]held{}, by: map[template.Key]map[template.Key]struct{}{}, vague: map[string]map[template.Key]struct{}{}}
}

// Note takes in what an object uses; exists: it is there at all. It says what it used before and does not any more.
//
// As long as pods of an earlier pod template may run, what that named is used, too. Of an object that was being changed when it was
// seen first, nobody knows what that was: it may be anything in its namespace.
func (t *There) Note(key template.Key, use Use, exists bool) (freed []template.Key) {
	before, known := t.of[key]
	now := held{use: use}
	if exists && use.Changing {
		now.vague = before.vague || !known && !use.Began
		now.former = former(before, use.Names)
	}
	if !known && now.empty() {
		return nil
	}
	for _, name := range before.uses() {
		delete(t.by[name], key)
	}
	for _, name := range now.uses() {
		add(t.by, name, key)
	}
	for _, name := range before.uses() {
		if _, still := t.by[name][key]; !still {
			freed = append(freed, name)
		}
		if len(t.by[name]) == 0 {
			delete(t.by, name)
		}
	}
	if now.vague {
		add(t.vague, key.Namespace, key)
	} else if delete(t.vague[key.Namespace], key); len(t.vague[key.Namespace]) == 0 {
		delete(t.vague, key.Namespace)
	}
	if exists {
		t.of[key] = now
	} else {
		delete(t.of, key)
	}
	return freed
}

func (h *held) empty() bool { return len(h.use.Names) == 0 && len(h.former) == 0 && !h.vague }

// uses is what is used. An object that runs nothing uses nothing.
func (h *held) uses() []template.Key {
	if h.use.Idle {
		return h.former
	}
	if len(h.former) == 0 {
		return h.use.Names
	}
	return append(append(make([]template.Key, 0, len(h.use.Names)+len(h.former)), h.use.Names...), h.former...)
}

// former is what before used that is not among names.
func former(before held, names []template.Key) (out []template.Key) {
	now := make(map[template.Key]bool, len(names))
	for _, name := range names {
		now[name] = true
	}
	for _, all := range [][]template.Key{before.use.Names, before.former} {
		for _, name := range all {
			if !now[name] {
				now[name] = true
				out = append(out, name)
			}
		}
	}
	return out
}

func add[K comparable](all map[K]map[template.Key]struct{}, k K, key template.Key) {
	if all[k] == nil {
		all[k] = map[template.Key]struct{}{}
	}
	all[k][key] = struct{}{}
}

// By is who uses an object, in a few words; empty: nobody does.
func (t *There) By(name template.Key) string {
	if user, some := least(t.by[name]); some {
		return user.Label() + ", which names it"
	}
	if user, some := least(t.vague[name.Namespace]); some {
		return user.Label() + ", whose earlier pods may use it"
	}
	return ""
}

// least is the first of keys, so that messages stay as they are.
func least(keys map[template.Key]struct{}) (first template.Key, some bool) {
	for key := range keys {
		if !some || key.Compare(first) < 0 {
			first, some = key, true
		}
	}
	return first, some
}
