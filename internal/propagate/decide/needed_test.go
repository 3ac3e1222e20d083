package decide

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/propagate/policies"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// needing is a hub that has Secrets follow what names them, with two clusters.
func needing() *rig {
	r := newRigWith(deployments(), Options{Propagation: policies.Defaults{"secrets": "Needed"}})
	r.serves(secrets())
	r.clusters(ready("aws", 0), ready("azure", 0))
	return r
}

// naming writes a Deployment that names Secrets, for clusters.
func (r *rig) naming(name string, n int64, where []any, secrets ...string) *Assignment {
	var from []any
	for _, s := range secrets {
		from = append(from, map[string]any{"secretRef": map[string]any{"name": s, "optional": true}})
	}
	if where != nil {
		r.generation++
		r.apply(policyOf(policyManifest(name, at(5), r.generation, selecting(name, map[string]any{"clusters": map[string]any{"names": where}}))))
	}
	return r.write(r.gr, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": name, "namespace": "shop", "uid": "uid-" + name, "creationTimestamp": at(10).Format("2006-01-02T15:04:05Z"), "resourceVersion": "7"},
		"spec":     map[string]any{"replicas": n, "template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"envFrom": from}}}}},
	}})
}

// in is where an object is.
func (r *rig) in(key template.Key) string {
	return strings.Join(slices.Sorted(maps.Keys(r.w.at(key).Shares)), ",")
}

// TestANeededSecretFollowsWhatNamesIt, whichever came first, and when that moves, changes or goes.
func TestANeededSecretFollowsWhatNamesIt(t *testing.T) {
	r := needing()
	key := r.secret("key").Key
	check := func(what, want string) {
		t.Helper()
		if got := r.in(key); got != want {
			t.Errorf("%s: it is in %q, want %q", what, got, want)
		}
	}
	check("nothing names it", "")
	if why := r.w.at(key).Decision; why.Rejected[0].Reason != "nothing that goes there names it" || why.Reason != "it is where something names it: propagation is Needed by the hub's default for secrets" {
		t.Errorf("%+v", why)
	}
	r.naming("web", 2, []any{"aws"}, "key")
	check("named in aws", "aws")
	if why := r.w.at(key).Decision.Shares[0].Reason; why != "named by deployments.apps shop/web" {
		t.Errorf("it is there because %s", why)
	}
	r.naming("api", 2, []any{"azure"}, "key", "later")
	check("named in both", "aws,azure")
	later := r.secret("later").Key
	if got := r.in(later); got != "azure" {
		t.Errorf("what was named before it was there is in %q", got)
	}
	r.naming("api", 2, nil, "later")
	check("named no more in azure", "aws")
	r.naming("web", 2, []any{"azure"}, "key")
	check("what names it moved", "azure")
	r.naming("web", 0, nil, "key")
	check("nothing runs that names it", "")
	r.naming("web", 1, nil, "key")
	r.remove(r.get("web"))
	check("what named it is gone", "")
	r.naming("many", 20, []any{"aws", "azure"}, "key")
	r.apply(policyOf(policyManifest("key", at(7), 1, selecting("key", onlyAWS()))))
	check("it may not be in azure", "aws")
}

// TestASecretMovesBeforeWhatNamesIt: what is published has it where the replicas go, before anything is delivered.
func TestASecretMovesBeforeWhatNamesIt(t *testing.T) {
	r := needing()
	key := r.secret("key").Key
	web := r.naming("web", 2, []any{"aws"}, "key").Key
	r.record()
	effects := r.apply(policyOf(policyManifest("web", at(5), 9, selecting("web", map[string]any{"clusters": map[string]any{"names": []any{"azure"}}}))))
	if r.w.at(web).Shares["azure"].Replicas != 2 || r.in(key) != "azure" {
		t.Fatalf("web is in %v, the Secret in %s", r.w.at(web).Shares, r.in(key))
	}
	published, delivers := -1, -1
	for i, e := range effects {
		switch e := e.(type) {
		case Publish:
			if e.Key == key {
				published = i
			}
		case Deliver:
			delivers = max(delivers, i)
		}
	}
	if published < 0 || published > delivers {
		t.Errorf("the Secret is published by effect %d, all is delivered by %d", published, delivers)
	}
}

func leaving(name string, joined int) *Cluster {
	c := ready(name, joined)
	c.Drained = true
	return c
}

// TestWhatStaysAtTheHub does so from its first moment on, whoever says it, and whatever a tenant says.
func TestWhatStaysAtTheHub(t *testing.T) {
	none := map[string]any{"propagation": "None"}
	platform := func(mode string) *unstructured.Unstructured {
		p := policyManifest("none", at(5), 1, map[string]any{"propagation": "None", "mode": mode, "select": map[string]any{"kinds": []any{map[string]any{"apiVersion": "v1", "kind": "Secret"}}}})
		p.SetKind("ClusterPlacementPolicy")
		p.SetNamespace("")
		return p
	}
	for name, before := range map[string]struct {
		o  Options
		do func(r *rig)
	}{
		"the hub":            {Options{Propagation: policies.Defaults{"secrets": "None"}}, func(*rig) {}},
		"the Namespace":      {Options{}, func(r *rig) { r.label("None") }},
		"a policy":           {Options{}, func(r *rig) { r.apply(policyOf(policyManifest("p", at(5), 1, none))) }},
		"an administrator":   {Options{}, func(r *rig) { r.apply(policyOf(platform("Default"))) }},
		"an enforced policy": {Options{}, func(r *rig) { r.apply(policyOf(platform("Enforced"))) }},
		"enforced, against a tenant": {Options{}, func(r *rig) {
			r.apply(policyOf(platform("Enforced")))
			r.apply(policyOf(policyManifest("p", at(5), 1, map[string]any{"propagation": "Everywhere"})))
		}},
		"the hub, against a tenant": {Options{Propagation: policies.Defaults{"secrets": "None"}}, func(r *rig) {
			r.apply(policyOf(policyManifest("p", at(5), 1, map[string]any{"propagation": "Needed"})))
		}},
	} {
		r := newRigWith(secrets(), before.o)
		r.clusters(ready("aws", 0), ready("azure", 0))
		before.do(r)
		a := r.secret("key")
		if w := a.For("aws", r.w.facts); len(a.Shares) > 0 || w.Placed || !w.Stays || w.Withheld || a.Undecided || !strings.HasPrefix(a.Decision.Reason, "it stays at the hub: propagation is None by ") {
			t.Errorf("%s: shares %v, %+v, because %s", name, a.Shares, w, a.Decision.Reason)
		}
	}
}

// label has Namespace shop say how its Secrets propagate.
func (r *rig) label(how string) {
	r.apply(NamespaceWritten{Name: "shop", Labels: map[string]string{"hanse.dev/propagation": how}})
}

// TestANamespaceSaysHowItsSecretsPropagate, and other objects are none of it.
func TestANamespaceSaysHowItsSecretsPropagate(t *testing.T) {
	r := needing()
	key := r.secret("key").Key
	web := r.deployment("web", 10, 2, nil)
	for how, want := range map[string]string{"None": "", "Everywhere": "aws,azure", "Needed": ""} {
		r.label(how)
		if r.in(key) != want || r.in(web.Key) != "aws,azure" {
			t.Errorf("%s: the Secret is in %q, want %q; the Deployment in %q", how, r.in(key), want, r.in(web.Key))
		}
	}
	r.label("Everywhere")
	r.label("everywhere")
	if a := r.w.at(key); !a.Withheld() || a.For("aws", r.w.facts).Placed || !strings.Contains(a.Concern().Message, `"everywhere" is not known. Try: Everywhere, Needed or None`) {
		t.Errorf("what is not understood holds it: %t, %+v", a.Withheld(), a.Concern())
	}
	r.apply(NamespaceDeleted{Name: "shop"})
	if a := r.write(secrets(), secretOf("new")); !a.AwaitsNamespace || !a.For("aws", r.w.facts).Waits {
		t.Error("a Secret goes to members before it is known what its Namespace says")
	}
	r.label("None")
	if a := r.w.at(template.Key{GR: secrets(), Namespace: "shop", Name: "new"}); a.AwaitsNamespace || len(a.Shares) > 0 {
		t.Errorf("it is in %v", a.Shares)
	}
}

func secretOf(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": name, "namespace": "shop", "uid": "uid-" + name, "resourceVersion": "7"}}}
}

// TestAWorkloadThatStaysIsTakenBack, also where it runs; work that has begun stays where it is.
func TestAWorkloadThatStaysIsTakenBack(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	web := r.deployment("web", 10, 2, nil)
	r.engage("aws")
	r.apply(Seen{"aws", web.Key, there(web.UID, 1, nil)})
	effects := r.apply(policyOf(policyManifest("p", at(5), 1, map[string]any{"propagation": "None"})))
	if w := r.get("web").For("aws", r.w.facts); !w.Stays || w.Placed || r.get("web").Undecided || !delivered(effects, web.Key) {
		t.Errorf("%+v", w)
	}
	r.apply(PoliciesChanged{Gone: []types.UID{"uid-p"}})
	if w := r.get("web").For("aws", r.w.facts); w.Stays || !w.Placed {
		t.Errorf("it does not come back: %+v", w)
	}
	jobs := newRig(template.Jobs())
	jobs.clusters(ready("aws", 0))
	begun := jobs.write(template.Jobs(), &unstructured.Unstructured{Object: map[string]any{"apiVersion": "batch/v1", "kind": "Job",
		"metadata": map[string]any{"name": "report", "namespace": "shop", "uid": "uid-report", "resourceVersion": "7"}, "spec": map[string]any{"completions": int64(2)}}})
	jobs.record()
	jobs.engage("aws")
	begun = jobs.w.at(begun.Key)
	jobs.apply(Begins{"aws", begun.Key, begun.UID, begun.Shares["aws"]})
	jobs.apply(policyOf(policyManifest("p", at(5), 1, map[string]any{"propagation": "None"})))
	if w := jobs.w.at(begun.Key).For("aws", jobs.w.facts); w.Stays || !w.Placed {
		t.Errorf("work that has begun is taken back: %+v", w)
	}
}

// TestNothingLeavesBeforeAllIsRead: after a restart, what names a Secret may be read after it.
func TestNothingLeavesBeforeAllIsRead(t *testing.T) {
	r := needing()
	ingresses := schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
	r.apply(Served{GVR: ingresses, GVK: ingresses.GroupVersion().WithKind("Ingress")})
	key := r.secret("key").Key
	if w := r.w.at(key).For("aws", r.w.facts); w.Placed || !w.Withheld || !w.Unnamed || !w.Needed {
		t.Errorf("not all is read: %+v", w)
	}
	effects := r.apply(Listed{GR: ingresses.GroupResource()})
	if w := r.w.at(key).For("aws", r.w.facts); w.Withheld || !w.Unnamed || !delivered(effects, key) {
		t.Errorf("all is read: %+v, delivered %t", w, delivered(effects, key))
	}
}

// TestOverridesNameSecrets where they are for.
func TestOverridesNameSecrets(t *testing.T) {
	r := needing()
	key, other := r.secret("key").Key, r.secret("other").Key
	r.apply(policyOf(policyManifest("web", at(5), 1, selecting("web", map[string]any{"overrides": []any{map[string]any{
		"clusters":  map[string]any{"names": []any{"azure"}},
		"jsonPatch": []any{map[string]any{"op": "replace", "path": "/spec/template/spec/containers/0/envFrom/0/secretRef/name", "value": "other"}},
	}}}))))
	r.naming("web", 2, nil, "key")
	if r.in(key) != "aws" || r.in(other) != "azure" {
		t.Errorf("key is in %s, other in %s", r.in(key), r.in(other))
	}
}

// TestNeedIsWhatIsThere: whatever happened, a needed Secret is exactly where what names it has a share, of the clusters it may be in;
// and a World that was told only of what is there now says the same.
func TestNeedIsWhatIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := needing()
		names := []string{"a", "b", "c"}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0:
				r.secret(name)
			case 1:
				if a := r.w.at(template.Key{GR: secrets(), Namespace: "shop", Name: name}); a != nil {
					r.remove(a)
				}
			case 2:
				if a := r.get("d" + name); a != nil {
					r.remove(a)
				}
			case 3:
				some := [][]*Cluster{{ready("aws", 0), ready("azure", 0)}, {ready("aws", 0)}, {leaving("aws", 0), ready("azure", 0)}, {ready("aws", 0), ready("azure", 0), ready("google", 5)}}
				r.clusters(rapid.SampledFrom(some).Draw(t, "clusters")...)
			case 4:
				r.record()
			default:
				where := rapid.SampledFrom([][]any{nil, {"aws"}, {"azure"}, {"aws", "azure"}}).Draw(t, "where")
				r.naming("d"+name, int64(rapid.IntRange(0, 3).Draw(t, "replicas")), where, rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID).Draw(t, "names")...)
			}
			for _, s := range names {
				a := r.w.at(template.Key{GR: secrets(), Namespace: "shop", Name: s})
				if a == nil {
					continue
				}
				want := map[string]bool{}
				for _, d := range r.all() {
					for cluster, share := range d.Shares {
						if share.Replicas > 0 && slices.Contains(d.Names, a.Key) {
							want[cluster] = true
						}
					}
				}
				if got := slices.Sorted(maps.Keys(a.Shares)); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
					t.Fatalf("%s is in %v, want %v", s, got, want)
				}
			}
		}
	})
}

// TestOneUserOfManyIsBounded: a Secret that thousands of workloads name costs each of them no more.
func TestOneUserOfManyIsBounded(t *testing.T) {
	r := needing()
	key := r.secret("key").Key
	for i := range 3000 {
		r.naming(fmt.Sprint("w", i), 2, nil, "key")
	}
	allocs := testing.AllocsPerRun(50, func() { r.naming("w7", 2, nil, "key") })
	alone := needing()
	alone.secret("key")
	alone.naming("w7", 2, nil, "key")
	if few := testing.AllocsPerRun(50, func() { alone.naming("w7", 2, nil, "key") }); allocs > few+50 {
		t.Errorf("one of 3,000 takes %.0f allocations, alone %.0f", allocs, few)
	}
	if why := r.w.at(key).Decision.Shares[0].Reason; why != "many objects name it" {
		t.Errorf("it is there because %s", why)
	}
}
