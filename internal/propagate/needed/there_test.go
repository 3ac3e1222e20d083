package needed

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// inMember is an object of a member, as its API server has it.
func inMember(t *testing.T, manifest string) map[string]any {
	t.Helper()
	var obj map[string]any
	if err := yaml.Unmarshal([]byte(manifest), &obj); err != nil {
		t.Fatal(err)
	}
	return whole(obj).(map[string]any)
}

// whole has numbers as the API's decoders make them.
func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = whole(v[k])
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case float64:
		return int64(v)
	}
	return v
}

// TestWhatAnObjectThereUses depends on what runs of it.
func TestWhatAnObjectThereUses(t *testing.T) {
	const pods = "{spec: {volumes: [{secret: {secretName: a}}]}}"
	for name, c := range map[string]struct {
		resource, manifest string
		idle, changing     bool
	}{
		"runs":                     {"deployments.apps", "metadata: {namespace: shop, generation: 3}\nspec: {replicas: 2, template: " + pods + "}\nstatus: {observedGeneration: 3, replicas: 2, updatedReplicas: 2}", false, false},
		"rolls out":                {"deployments.apps", "metadata: {namespace: shop, generation: 3}\nspec: {replicas: 2, template: " + pods + "}\nstatus: {observedGeneration: 3, replicas: 2, updatedReplicas: 1}", false, true},
		"was changed just now":     {"deployments.apps", "metadata: {namespace: shop, generation: 4}\nspec: {replicas: 2, template: " + pods + "}\nstatus: {observedGeneration: 3, replicas: 2, updatedReplicas: 2}", false, true},
		"old pods end":             {"deployments.apps", "metadata: {namespace: shop, generation: 3}\nspec: {replicas: 2, template: " + pods + "}\nstatus: {observedGeneration: 3, replicas: 2, updatedReplicas: 2, terminatingReplicas: 1}", false, true},
		"has none":                 {"deployments.apps", "metadata: {namespace: shop, generation: 3}\nspec: {replicas: 0, template: " + pods + "}\nstatus: {observedGeneration: 3}", true, false},
		"is to have none":          {"statefulsets.apps", "metadata: {namespace: shop, generation: 3}\nspec: {replicas: 0, template: " + pods + "}\nstatus: {observedGeneration: 3, replicas: 1, updatedReplicas: 1}", false, false},
		"is to have none, unseen":  {"deployments.apps", "metadata: {namespace: shop, generation: 3}\nspec: {replicas: 0, template: " + pods + "}\nstatus: {observedGeneration: 2}", false, true},
		"on all nodes":             {"daemonsets.apps", "metadata: {namespace: shop, generation: 2}\nspec: {template: " + pods + "}\nstatus: {observedGeneration: 2, currentNumberScheduled: 3, updatedNumberScheduled: 3}", false, false},
		"not on all nodes":         {"daemonsets.apps", "metadata: {namespace: shop, generation: 2}\nspec: {template: " + pods + "}\nstatus: {observedGeneration: 2, currentNumberScheduled: 3, updatedNumberScheduled: 2}", false, true},
		"a Job":                    {"jobs.batch", "metadata: {namespace: shop}\nspec: {template: " + pods + "}\nstatus: {active: 1}", false, false},
		"a Job that is done":       {"jobs.batch", "metadata: {namespace: shop}\nspec: {template: " + pods + "}\nstatus: {conditions: [{type: Complete, status: 'True'}]}", true, false},
		"a schedule":               {"cronjobs.batch", "metadata: {namespace: shop}\nspec: {jobTemplate: {spec: {template: " + pods + "}}}", false, false},
		"a schedule elsewhere":     {"cronjobs.batch", "metadata: {namespace: shop}\nspec: {suspend: true, jobTemplate: {spec: {template: " + pods + "}}}", true, false},
		"a schedule that has left": {"cronjobs.batch", "metadata: {namespace: shop}\nspec: {suspend: true, jobTemplate: {spec: {template: " + pods + "}}}\nstatus: {active: [{name: x}]}", false, true},
		"a Pod that failed":        {"pods", "metadata: {namespace: shop}\nspec: {volumes: [{secret: {secretName: a}}]}\nstatus: {phase: Failed}", true, false},
		"an Ingress":               {"ingresses.networking.k8s.io", "metadata: {namespace: shop, generation: 3}\nspec: {tls: [{secretName: a}]}", false, false},
	} {
		gr := schema.ParseGroupResource(c.resource)
		obj := inMember(t, c.manifest)
		u := Read(gr, obj)
		if len(u.Names) != 1 || u.Names[0] != secret("a") || u.Idle != c.idle || u.Changing != c.changing {
			t.Errorf("%s: %+v", name, u)
		}
		if cut := Read(gr, map[string]any{Cut: CutDown(gr, obj)}); (len(cut.Names) == 0) != c.idle || !c.idle && cut.Names[0] != secret("a") || cut.Idle {
			t.Errorf("%s, cut down: %+v", name, cut)
		}
	}
	if u := Read(schema.GroupResource{Resource: "pods"}, map[string]any{Cut: []any{3, "x", "secrets/shop/a"}}); len(u.Names) != 1 {
		t.Errorf("of nonsense: %+v", u)
	}
}

// TestWhoUsesWhatThere: what an object names, what its earlier pods did, and what nobody knows.
func TestWhoUsesWhatThere(t *testing.T) {
	a, b, web, api := secret("a"), secret("b"), deployment("web"), deployment("api")
	there := NewThere()
	uses := func(what string, wantA, wantB string) {
		t.Helper()
		if gotA, gotB := there.By(a), there.By(b); gotA != wantA || gotB != wantB {
			t.Errorf("%s: a is used by %q, b by %q", what, gotA, gotB)
		}
	}
	const by, earlier = "deployments.apps shop/web, which names it", "deployments.apps shop/api, whose earlier pods may use it"
	there.Note(web, Use{Names: []template.Key{a}, Changing: true, Began: true}, true)
	uses("new", by, "")
	there.Note(web, Use{Names: []template.Key{a}}, true)
	if freed := there.Note(web, Use{Names: []template.Key{b}, Changing: true}, true); freed != nil {
		t.Errorf("freed %v while earlier pods run", freed)
	}
	uses("rolls out", by, by)
	there.Note(web, Use{Changing: true}, true)
	uses("rolls out again", by, by)
	if freed := there.Note(web, Use{Names: []template.Key{b}}, true); len(freed) != 1 || freed[0] != a {
		t.Errorf("freed %v once it is out", freed)
	}
	uses("is out", "", by)
	there.Note(web, Use{Names: []template.Key{b}, Idle: true}, true)
	uses("runs nothing", "", "")
	there.Note(api, Use{Changing: true}, true)
	uses("one that was being changed when it was seen first", earlier, earlier)
	if other := (template.Key{GR: a.GR, Namespace: "bank", Name: "a"}); there.By(other) != "" {
		t.Error("it uses what is in another namespace")
	}
	there.Note(api, Use{}, true)
	uses("is out, too", "", "")
	there.Note(web, Use{Names: []template.Key{a}}, true)
	if freed := there.Note(web, Use{}, false); len(freed) != 1 || freed[0] != a {
		t.Errorf("freed %v once it is gone", freed)
	}
	there.Note(api, Use{}, false)
	if len(there.of)+len(there.by)+len(there.vague) > 0 {
		t.Errorf("it remembers %+v", there)
	}
}
