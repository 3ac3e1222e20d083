package decide

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// residents is a federation in which much happens to what a Residency selects, with a model of what may be where.
type residents struct {
	*rapid.T
	*rig
	clusters map[string]*Cluster
	policies map[types.UID]*unstructured.Unstructured
	labels   map[string]string // of Namespace shop
	regions  map[types.UID][]string
	selects  map[types.UID]func(labels map[string]string) bool
	held     map[types.UID]bool
	objects  map[template.Key]*unstructured.Unstructured
	written  int64
}

// TestNoHistoryPutsARestrictedObjectOutside: of failovers, policies, annotations, drains, taints, labels, other Residencies,
// declarations and restarts.
func TestNoHistoryPutsARestrictedObjectOutside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &residents{T: t, policies: map[types.UID]*unstructured.Unstructured{}, regions: map[types.UID][]string{}, labels: map[string]string{},
			selects: map[types.UID]func(map[string]string) bool{}, held: map[types.UID]bool{}, objects: map[template.Key]*unstructured.Unstructured{},
			clusters: map[string]*Cluster{"aws": declaredIn("aws", "us"), "azure": declaredIn("azure", "eu"), "hetzner": declaredIn("hetzner", "eu"), "google": declaredIn("google", "asia")}}
		h.restart()
		h.restrict("eu")
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			steps := []func(){h.restart, h.changeCluster, h.changeCluster, h.changePolicy, h.changePolicy, func() { h.restrict("eu") }, func() { h.restrict("labelled") },
				h.release, h.relabel, h.writeObject, h.writeObject, h.runSomewhere, func() { h.pass(time.Minute) }, func() { h.record() }}
			steps[rapid.IntRange(0, len(steps)-1).Draw(t, "step")]()
			h.check()
		}
	})
}

func (h *residents) restart() {
	h.rig = newRig(deployments())
	h.serves(secrets())
	h.serves(template.Namespaces())
	h.rig.clusters(slices.Collect(maps.Values(h.clusters))...)
	h.apply(NamespacesListed{Labels: map[string]map[string]string{"shop": maps.Clone(h.labels)}})
	h.apply(PoliciesChanged{Written: slices.Collect(maps.Values(h.policies))})
	for _, key := range template.SortedKeys(h.objects) {
		h.write(key.GR, h.objects[key])
	}
	for name := range h.clusters {
		h.engage(name)
	}
}

func (h *residents) changeCluster() {
	name := rapid.SampledFrom([]string{"aws", "azure", "hetzner", "google"}).Draw(h.T, "cluster")
	if h.clusters[name] == nil {
		h.clusters[name] = declaredIn(name, "us")
	}
	c := *h.clusters[name]
	switch rapid.IntRange(0, 6).Draw(h.T, "change") {
	case 0:
		c.Ready, c.Since = !c.Ready, h.now
	case 1:
		c.Cordoned = !c.Cordoned
	case 2:
		c.Drained, c.Cordoned = !c.Drained, !c.Drained
	case 3:
		c.Taints = []corev1.Taint{{Key: "a", Effect: corev1.TaintEffectNoExecute}}
	case 4: // its nodes say another region
		c.Facts.Region = rapid.SampledFrom([]string{"us", "eu", "asia", ""}).Draw(h.T, "nodes say")
	case 5: // its people do
		region := rapid.SampledFrom([]string{"us", "eu", "asia", ""}).Draw(h.T, "declared")
		c.Facts.Declared = &policy.Cluster{Name: name, Region: region}
	case 6:
		delete(h.clusters, name)
		h.rig.clusters(slices.Collect(maps.Values(h.clusters))...)
		return
	}
	h.clusters[name] = &c
	h.rig.clusters(slices.Collect(maps.Values(h.clusters))...)
	h.apply(Looked{Cluster: name, Began: h.now, Reached: c.Ready})
}

// changePolicy is what tenants and administrators do, who are no part of the Residency.
func (h *residents) changePolicy() {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"aws", "azure", "hetzner", "google", "atlantis"}), 1, 3, rapid.ID[string]).Draw(h.T, "names")
	list := make([]any, len(names))
	limits := map[string]any{}
	for i, name := range names {
		list[i] = name
		limits[name] = map[string]any{"min": int64(2), "weight": int64(9)}
	}
	spec := rapid.SampledFrom([]map[string]any{
		{}, {"clusters": map[string]any{"names": list}}, {"division": map[string]any{"limits": limits}},
		{"clusters": map[string]any{"names": []any{"atlantis"}}, "fallback": []any{map[string]any{"names": list}}},
		{"overrides": []any{map[string]any{"replicas": int64(9)}}}, {"division": map[string]any{"strategy": "Duplicate"}},
		{"failover": map[string]any{"enabled": false}}, {"failover": map[string]any{"after": "1d"}}, {"tolerations": []any{map[string]any{"operator": "Exists"}}},
	}).Draw(h.T, "spec")
	p := policyManifest(rapid.SampledFrom([]string{"p", "q"}).Draw(h.T, "policy"), at(500), h.generation(), runtimeCopy(spec))
	if rapid.Bool().Draw(h.T, "cluster-wide") {
		p.SetKind("ClusterPlacementPolicy")
		p.SetNamespace("")
		p.SetUID(types.UID("uid-wide-" + p.GetName()))
		if rapid.Bool().Draw(h.T, "enforced") {
			_ = unstructured.SetNestedField(p.Object, "Enforced", "spec", "mode")
		}
	}
	h.put(p)
}

func (h *residents) generation() int64 {
	h.written++
	return h.written
}

func (h *residents) put(p *unstructured.Unstructured) {
	h.policies[p.GetUID()] = p
	h.apply(policyOf(p))
}

// restrict writes a Residency, of which not all can be read.
func (h *residents) restrict(name string) {
	uid := types.UID("uid-" + name)
	regions := rapid.SampledFrom([][]string{{"eu"}, {"us"}, {"eu", "asia"}, {"moon"}}).Draw(h.T, "regions")
	selects, spec := func(map[string]string) bool { return true }, ofShop()
	if name == "labelled" {
		selects = func(l map[string]string) bool { return l["tier"] == "eu" }
		spec = map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"tier": "eu"}}}
	}
	r := residencyManifest(name, h.generation(), spec, regions...)
	if rapid.IntRange(0, 4).Draw(h.T, "broken") == 0 {
		was := h.policies[uid]
		_ = unstructured.SetNestedField(r.Object, "everywhere", "spec", "clusters")
		switch {
		case was == nil || h.held[uid]:
			h.held[uid] = true
		default: // as the hub writes it
			last, _, _ := unstructured.NestedMap(was.Object, "spec")
			if before, ok, _ := unstructured.NestedMap(was.Object, "status", "inEffect", "spec"); ok {
				last = before
			}
			r.Object["status"] = map[string]any{"inEffect": map[string]any{"generation": int64(1), "spec": last}}
		}
		if was == nil {
			h.selects[uid] = selects
		}
	} else {
		h.regions[uid], h.selects[uid], h.held[uid] = regions, selects, false
	}
	h.put(r)
}

func (h *residents) release() {
	uid := types.UID(rapid.SampledFrom([]string{"uid-eu", "uid-labelled", "uid-p", "uid-wide-q"}).Draw(h.T, "gone"))
	for _, m := range []func(){
		func() { delete(h.policies, uid) }, func() { delete(h.regions, uid) }, func() { delete(h.selects, uid) }, func() { delete(h.held, uid) },
	} {
		m()
	}
	h.apply(PoliciesChanged{Gone: []types.UID{uid}})
}

func (h *residents) relabel() {
	h.labels = map[string]string{"tier": rapid.SampledFrom([]string{"eu", "us"}).Draw(h.T, "tier")}
	h.apply(NamespaceWritten{Name: "shop", Labels: maps.Clone(h.labels)})
}

func (h *residents) writeObject() {
	var a *Assignment
	switch rapid.IntRange(0, 2).Draw(h.T, "kind") {
	case 0:
		a = h.secret("key")
	case 1:
		a = h.namespaceObject("shop")
	case 2:
		annotations := rapid.SampledFrom([]map[string]string{
			nil, {"hanse.dev/division": `{"aws":4,"google":4}`}, {"hanse.dev/preferences": `{"clusters":{"aws":{"minReplicas":8}}}`},
			{"hanse.dev/replicas": "member"}, {"federation.alpha.kubernetes.io/cluster-selector": `[]`},
		}).Draw(h.T, "annotations")
		a = h.deployment("web", rapid.IntRange(1, 900).Draw(h.T, "created"), 8, annotations)
	}
	h.objects[a.Key] = a.Object
}

// runSomewhere has a member show the Deployment, wherever it is.
func (h *residents) runSomewhere() {
	key := template.Key{GR: deployments(), Namespace: "shop", Name: "web"}
	if a := h.w.at(key); a != nil {
		n := rapid.Int32Range(0, 8).Draw(h.T, "replicas")
		name := rapid.SampledFrom([]string{"aws", "azure", "hetzner", "google"}).Draw(h.T, "in")
		h.apply(Seen{name, key, there(a.UID, n, map[string]any{"readyReplicas": int64(n), "replicas": int64(n)})})
	}
}

func runtimeCopy(m map[string]any) map[string]any {
	return (&unstructured.Unstructured{Object: m}).DeepCopy().Object
}

// staysFor says whether a cluster keeps what it has for as long as no other can take it: nothing more is made there.
func staysFor(a *Assignment, cluster string) bool {
	return slices.ContainsFunc(a.Decision.Shares, func(s schedule.Share) bool {
		return s.Cluster == cluster && s.Passing && strings.Contains(s.Reason, "not allowed")
	})
}

// check compares what each cluster is to have with the model.
func (h *residents) check() {
	for key := range h.objects {
		a := h.w.at(key)
		if a == nil || a.AwaitsNamespace {
			continue
		}
		held := false
		for uid, is := range h.held {
			held = held || is && h.selects[uid](h.labels)
		}
		for name, c := range h.clusters {
			outside := ""
			for uid, regions := range h.regions {
				if h.held[uid] || !h.selects[uid](h.labels) {
					continue
				}
				if c.Facts.Declared == nil || !slices.Contains(regions, c.Facts.Declared.Region) {
					outside = fmt.Sprintf("%s allows %v", uid, regions)
				}
			}
			w := a.For(name, h.w.facts)
			switch _, placed := a.Shares[name]; {
			case held && !w.Withheld:
				h.Fatalf("%s is not held in %s", key, name)
			case (outside != "") != (w.Outside != ""):
				h.Fatalf("%s in %s: %q, the model says %q", key, name, w.Outside, outside)
			case outside != "" && !w.Barred:
				h.Fatalf("%s may be made in %s", key, name)
			case outside != "" && placed && c.Ready && !a.Decision.Hold && !staysFor(a, name):
				h.Fatalf("%s is placed in %s: %s %+v", key, name, a.Decision, a.Decision.Shares)
			}
		}
	}
}
