package propagate

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/autoscale"
	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	tmpl "github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// pair is an Engine and a World to which the same happens.
type pair struct {
	*rapid.T
	e     *Engine
	sinks map[schema.GroupResource]*templateSink
	w     *decide.World
	now   time.Time

	read      map[tmpl.Key]*tmpl.Template
	published map[tmpl.Key]*decide.Assignment
	facts     *decide.Facts
	objects   map[Key]*unstructured.Unstructured
	clusters  map[string]*v1alpha1.Cluster
	down      map[string]bool
	engaged   map[string]bool
	policies  map[string]*unstructured.Unstructured
	version   int
	demands   bool
}

func oracleResources() map[schema.GroupResource]string {
	return map[schema.GroupResource]string{
		deployments(): "Deployment", {Group: "apps", Resource: "statefulsets"}: "StatefulSet", jobs(): "Job", {Resource: "pods"}: "Pod",
		{Resource: "configmaps"}: "ConfigMap", budgetsResource(): "PodDisruptionBudget", autoscalersResource().GroupResource(): "HorizontalPodAutoscaler",
	}
}

func newPair(t *rapid.T, demands bool) *pair {
	now := time.Now().Truncate(time.Second)
	p := &pair{
		T: t, e: newEngine("hub"), sinks: map[schema.GroupResource]*templateSink{}, now: now, demands: demands,
		read: map[tmpl.Key]*tmpl.Template{}, published: map[tmpl.Key]*decide.Assignment{}, objects: map[Key]*unstructured.Unstructured{},
		clusters: map[string]*v1alpha1.Cluster{}, down: map[string]bool{}, engaged: map[string]bool{}, policies: map[string]*unstructured.Unstructured{},
	}
	p.e.losses = newLosses(30 * time.Second)
	p.e.began = now.Add(-time.Hour)
	p.e.clock = func() time.Time { return p.now }
	if demands {
		p.e.around.watcher = capacity.New(func(string) {})
	}
	p.w = decide.NewWorld(decide.Options{FailoverAfter: 30 * time.Second, Began: p.e.began, Measures: demands})
	for gr, kind := range oracleResources() {
		gvr := gr.WithVersion("v1")
		r := &resource{gvr: gvr, gvk: gvr.GroupVersion().WithKind(kind), synced: true, templates: map[types.NamespacedName]*template{}}
		p.e.resources[gr] = r
		p.sinks[gr] = &templateSink{engine: p.e, resource: r, log: klog.Background()}
		p.apply(decide.Served{GVR: gvr, GVK: r.gvk})
		p.apply(decide.Listed{GR: gr})
	}
	names := map[string]map[string]string{"shop": {"team": "a"}}
	p.e.setNamespaces(names)
	p.apply(decide.NamespacesListed{Labels: names})
	for _, name := range []string{"aws", "azure", "google"} {
		p.join(name)
	}
	return p
}

func (p *pair) apply(in decide.Input) {
	effects := p.w.Apply(in, p.now)
	more := false
	for _, e := range effects {
		switch e := e.(type) {
		case decide.Publish:
			p.published[e.Key] = e.Assignment
		case decide.PublishFacts:
			p.facts = e.Facts
		case decide.More:
			more = true
		case decide.Fault:
			p.Fatalf("%s: %v", e.Key, e.Err)
		}
	}
	if more {
		p.apply(decide.Tick{})
	}
}

func (p *pair) join(name string) {
	joined := p.now.Add(-24 * time.Hour)
	if len(p.clusters) >= 3 {
		joined = p.now
	}
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(joined), Labels: map[string]string{"tier": "prod"}}}
	c.Status.Zones = []string{name + "-1", name + "-2"}
	p.clusters[name] = c
	p.setReady(name, true)
}

func (p *pair) setReady(name string, ready bool) {
	p.change(name, func(c *v1alpha1.Cluster) {
		status := metav1.ConditionFalse
		if ready {
			status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: status, Reason: "Test", LastTransitionTime: metav1.NewTime(p.now)})
	})
}

// change has both see a cluster changed.
func (p *pair) change(name string, change func(*v1alpha1.Cluster)) {
	c := p.clusters[name].DeepCopy()
	change(c)
	p.clusters[name] = c
	p.e.changeClusters(func(all map[string]*cluster) { all[name] = newCluster(c) })
	p.apply(decide.ClusterWritten{Cluster: c})
}

func (p *pair) leave(name string) {
	delete(p.clusters, name)
	delete(p.engaged, name)
	delete(p.down, name)
	p.e.changeClusters(func(all map[string]*cluster) { delete(all, name) })
	p.apply(decide.ClusterDeleted{Name: name})
}

func (p *pair) engage(name string, engaged bool) {
	m := p.e.members[name]
	p.engaged[name] = engaged
	m.session = nil
	if engaged {
		s := &session{engine: p.e, member: m, queue: newQueue(), cancel: func() {}, watched: map[schema.GroupResource]bool{}}
		for gr := range p.sinks {
			s.watched[gr] = true
		}
		m.session = s
	}
	p.apply(decide.Engaged{Cluster: name, Engaged: engaged})
	if engaged {
		for _, gr := range p.resources() {
			p.apply(decide.Read{Cluster: name, GR: gr, Read: true})
		}
	}
}

func (p *pair) resources() []schema.GroupResource {
	return slices.SortedFunc(maps.Keys(p.sinks), func(a, b schema.GroupResource) int { return cmpString(a.String(), b.String()) })
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// write has both see an object of the hub.
func (p *pair) write(gr schema.GroupResource, obj *unstructured.Unstructured) {
	p.version++
	obj.SetResourceVersion(fmt.Sprint(p.version))
	key := Key{GR: gr, Namespace: obj.GetNamespace(), Name: obj.GetName()}
	p.objects[key] = obj
	p.sinks[gr].apply(obj.DeepCopy())
	k := tmpl.Key(key)
	t, _ := tmpl.Read(gr, obj.DeepCopy(), p.e.hasher.Content, p.read[k])
	p.read[k] = t
	p.apply(decide.Written{Template: t})
}

func (p *pair) remove(key Key) {
	obj := p.objects[key]
	delete(p.objects, key)
	delete(p.read, tmpl.Key(key))
	p.sinks[key.GR].remove(obj)
	p.apply(decide.Deleted{Key: tmpl.Key(key), UID: obj.GetUID()})
}

func (p *pair) changePolicies(written []*unstructured.Unstructured, gone []types.UID) {
	p.e.changePolicies(written, gone)
	p.apply(decide.PoliciesChanged{Written: written, Gone: gone})
}

// see has both know what a member has of an object.
func (p *pair) see(name string, key Key, o *decide.Observed) {
	p.e.members[name].update(key, func(r *record) {
		r.seen, r.left = observation{}, nil
		if o == nil {
			return
		}
		r.seen = observation{uid: o.UID, hash: 1, replicas: o.Replicas, parallelism: o.Parallelism, completions: o.Completions, status: o.Status,
			mark: lineage.Mark{Raw: "x", Origin: lineage.Origin{Hub: "hub", Template: o.Template}}}
		if o.Left != nil {
			r.left = &left{hash: 1, target: target{share: shareOf(o.Left.Share)}}
		}
	})
	p.e.moveOn(key)
	p.apply(decide.Seen{Cluster: name, Key: tmpl.Key(key), Observed: o})
}

func shareOf(s tmpl.Share) share {
	return share{replicas: s.Replicas, before: s.Before, total: s.Total, parallelism: s.Parallelism, least: s.Least, most: s.Most}
}

// settle lets some time go by, in which all that is to be recorded is.
func (p *pair) settle() {
	rounds := 4
	if p.demands {
		rounds = 2
	}
	for range rounds {
		p.now = p.now.Add(210 * time.Millisecond)
		for _, name := range slices.Sorted(maps.Keys(p.clusters)) {
			p.e.Looked(name, p.now, !p.down[name])
			p.apply(decide.Looked{Cluster: name, Began: p.now, Reached: !p.down[name]})
		}
		p.e.weighLosses(p.now)
		p.e.stepDrains()
		p.lookAtShort()
		p.apply(decide.Tick{})
		p.apply(decide.Tick{})
		p.record()
	}
	p.lookAtShort()
	p.apply(decide.Tick{})
}

// lookAtShort does what the Engine's watchSurroundings does if there is news.
func (p *pair) lookAtShort() {
	select {
	case <-p.e.around.news:
		p.e.decideShort()
	default:
	}
}

// record writes down at the hub what the Engine would, and expects the World to want the same.
func (p *pair) record() {
	for _, key := range p.keys() {
		t := p.e.stored(key)
		a := p.published[tmpl.Key(key)]
		if t == nil || a == nil || !t.undecided || t.scaler != nil {
			continue
		}
		want := schedule.FormatDivision(t.divided())
		if a.Recording == nil || a.Recording.Division == nil || *a.Recording.Division != want {
			p.Fatalf("%s: to be recorded is %+v, want %s", key, a.Recording, want)
		}
		obj := p.objects[key].DeepCopy()
		note(obj, v1alpha1.AnnotationDivision, want)
		p.write(key.GR, obj)
	}
}

func note(obj *unstructured.Unstructured, name, value string) {
	all := maps.Clone(obj.GetAnnotations())
	if all == nil {
		all = map[string]string{}
	}
	if all[name] = value; value == "" {
		delete(all, name)
	}
	obj.SetAnnotations(all)
}

func (p *pair) keys() []Key {
	return slices.SortedFunc(maps.Keys(p.objects), func(a, b Key) int { return cmpString(a.String(), b.String()) })
}

// compare expects both to have decided the same about everything.
func (p *pair) compare(after string) {
	for _, key := range p.keys() {
		t, a := p.e.stored(key), p.published[tmpl.Key(key)]
		if t == nil || a == nil {
			p.Fatalf("after %s: %s: the Engine has %v, the World %v", after, key, t != nil, a != nil)
		}
		if t.division == kinds.Completions {
			t = p.e.spreadWork(key)
		}
		if old, now := told(t.decision), told(a.Decision); old != now {
			p.Fatalf("after %s: %s is\n%s (%v), and with the World\n%s (%v)", after, key, old, t.recorded, now, a.Recorded)
		}
		if t.undecided != a.Undecided || t.awaitsNamespace != a.AwaitsNamespace || t.policy.String() != a.Policy.String() || p.e.follows(t) != a.FollowsMembers {
			p.Fatalf("after %s: %s: undecided %v %v, policy %s %s, follows %v %v", after, key, t.undecided, a.Undecided, t.policy, a.Policy, p.e.follows(t), a.FollowsMembers)
		}
		for name, s := range t.shares {
			if shareOf(a.Shares[name]) != s || len(a.Shares) != len(t.shares) {
				p.Fatalf("after %s: %s: share of %s is %+v, and with the World %+v", after, key, name, s, a.Shares[name])
			}
		}
		for _, m := range p.e.sortedMembers() {
			if !m.reachable() || t.undecided {
				continue
			}
			rec := m.get(key)
			if old, now := p.e.shareNow(t, m, &rec).replicas, a.For(m.name, p.facts).Share.Replicas; old != now {
				p.Fatalf("after %s: %s: %s is to run %d now, and with the World %d", after, key, m.name, old, now)
			}
		}
		if target := targetOfScaler(p.e, t); target != nil && !target.undecided && (target.total == 0 || target.total >= t.scaler.least) {
			p.compareBounds(after, t, target, a)
		}
	}
	for name := range p.clusters {
		old, now := p.e.failedOver(name), p.w.Standing(p.now, name)
		if !reflect.DeepEqual(old, now.FailedOver) || !reflect.DeepEqual(p.e.drained(name), now.Drained) {
			p.Fatalf("after %s: %s is %+v %+v, and with the World %+v %+v", after, name, old, p.e.drained(name), now.FailedOver, now.Drained)
		}
	}
}

// told is all that a decision says, but for the reasons of shares that were given earlier: the Engine finds them again with each write, the
// World keeps them.
func told(d schedule.Decision) string {
	d.Shares = slices.Clone(d.Shares)
	for i := range d.Shares {
		if !d.Shares[i].Passing {
			d.Shares[i].Reason = ""
		}
	}
	// The Engine counts a Job's parts before it knows the division that they are parts of.
	d.Reason = regexp.MustCompile(`\d+ of \d+ completions`).ReplaceAllString(d.Reason, "some completions")
	type plain schedule.Decision
	return fmt.Sprintf("%+v", plain(d))
}

func targetOfScaler(e *Engine, t *template) *template {
	if t.scaler == nil || !t.scaler.divide {
		return nil
	}
	return e.stored(t.scaler.of)
}

func (p *pair) compareBounds(after string, t, target *template, a *decide.Assignment) {
	bounds := p.e.newBounds(t, target)
	if t.scaler.bounds != nil && maps.Equal(bounds, t.scaler.bounds) {
		if a.Recording != nil {
			p.Fatalf("after %s: %s: the World records %+v", after, t.key, a.Recording)
		}
		return
	}
	want := autoscale.Format(bounds)
	if a.Recording == nil || a.Recording.Bounds == nil || *a.Recording.Bounds != want {
		p.Fatalf("after %s: %s: bounds are %s, and with the World %+v", after, t.key, want, a.Recording)
	}
	obj := p.objects[t.key].DeepCopy()
	note(obj, v1alpha1.AnnotationBounds, want)
	p.write(t.key.GR, obj)
}

// oneOf draws one of some.
func oneOf[V any](p *pair, what string, all ...V) V { return rapid.SampledFrom(all).Draw(p.T, what) }

func (p *pair) cluster() string {
	return oneOf(p, "cluster", slices.Sorted(maps.Keys(p.clusters))...)
}

// object is a new version of something at the hub.
func (p *pair) object() (schema.GroupResource, *unstructured.Unstructured) {
	grs := []schema.GroupResource{deployments(), deployments(), {Group: "apps", Resource: "statefulsets"}, jobs(), {Resource: "pods"}, {Resource: "configmaps"}, autoscalersResource().GroupResource()}
	gr := oneOf(p, "resource", grs...)
	name := oneOf(p, "name", "web", "db")
	if p.demands {
		gr, name = deployments(), "web"
	}
	key := Key{GR: gr, Namespace: "shop", Name: name}
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": gr.WithVersion("v1").GroupVersion().String(), "kind": oracleResources()[gr],
		"metadata": map[string]any{"name": name, "namespace": "shop", "uid": fmt.Sprint("uid-", gr.Resource, name), "creationTimestamp": p.now.Add(-12 * time.Hour).UTC().Format(time.RFC3339)},
	}}
	if before := p.objects[key]; before != nil {
		obj = before.DeepCopy()
	}
	n := rapid.Int64Range(0, 9).Draw(p.T, "n")
	spec := map[string]any{}
	switch {
	case gr == jobs():
		spec["parallelism"], spec["completions"] = n, int64(7)
		if before, found, _ := unstructured.NestedInt64(obj.Object, "spec", "completions"); found {
			spec["completions"] = before
		}
	case gr == autoscalersResource().GroupResource():
		spec["minReplicas"], spec["maxReplicas"] = int64(1), 3+n
		spec["scaleTargetRef"] = map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
	case gr.Resource == "configmaps":
		obj.Object["data"] = map[string]any{"n": fmt.Sprint(n)}
	case gr.Group == "apps":
		pods := map[string]any{}
		switch oneOf(p, "constraint", 0, 0, 1, 2) {
		case 1:
			pods["nodeSelector"] = map[string]any{v1alpha1.LabelClusterName: p.cluster()}
		case 2:
			pods["topologySpreadConstraints"] = []any{map[string]any{"topologyKey": v1alpha1.LabelClusterName, "maxSkew": int64(1), "whenUnsatisfiable": "DoNotSchedule",
				"labelSelector": map[string]any{"matchLabels": map[string]any{"app": name}}}}
		}
		if p.demands {
			pods["containers"] = []any{map[string]any{"name": "c", "resources": map[string]any{"requests": map[string]any{"cpu": "1"}}}}
		}
		spec["replicas"] = n
		spec["template"] = map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": name}}, "spec": pods}
	}
	if gr.Resource != "configmaps" {
		obj.Object["spec"] = spec
	}
	switch oneOf(p, "annotation", 0, 0, 1, 2, 3, 4) {
	case 1:
		note(obj, v1alpha1.AnnotationPreferences, oneOf(p, "preferences", `{"clusters":{"aws":{"weight":2,"maxReplicas":3},"*":{"weight":1}}}`, `{"rebalance":true,"clusters":{"*":{"weight":1}}}`, `{`))
	case 2:
		note(obj, schedule.AnnotationClusterSelector, oneOf(p, "selector", `[{"key":"tier","operator":"In","values":["prod"]}]`, `[{"key":"tier","operator":"Exists"`))
	case 3:
		note(obj, v1alpha1.AnnotationReplicas, oneOf(p, "follows", v1alpha1.ReplicasMember, "mine"))
	case 4:
		obj.SetAnnotations(nil)
	}
	return gr, obj
}

// policy writes or edits one.
func (p *pair) policy() {
	name := oneOf(p, "policy", "web", "all")
	spec := map[string]any{}
	if name == "web" {
		spec["select"] = map[string]any{"names": []any{"web"}}
	}
	switch oneOf(p, "says", 0, 1, 2, 3, 4) {
	case 0:
		spec["clusters"] = map[string]any{"names": []any{p.cluster(), p.cluster()}}
	case 1:
		spec["division"] = map[string]any{"limits": map[string]any{p.cluster(): map[string]any{"max": int64(1)}}}
	case 2:
		spec["division"] = map[string]any{"strategy": oneOf(p, "strategy", "Weighted", "Duplicate", "Even", "Cheapest"), "rebalance": rapid.Bool().Draw(p.T, "rebalance"),
			"limits": map[string]any{p.cluster(): map[string]any{"weight": int64(3)}, "*": map[string]any{"weight": int64(1)}}}
	case 3:
		spec["clusters"] = map[string]any{"labels": map[string]any{"matchLabels": map[string]any{"tier": "prod"}}}
	case 4:
		spec["failover"] = map[string]any{"enabled": false}
	}
	generation := int64(1)
	if before := p.policies[name]; before != nil {
		generation = before.GetGeneration() + 1
	}
	p.policies[name] = policyObject(name, p.now.Add(-6*time.Hour), generation, spec)
	p.changePolicies([]*unstructured.Unstructured{p.policies[name]}, nil)
}

// step has something happen.
func (p *pair) step() string {
	what := oneOf(p, "what", "write", "write", "write", "write", "remove", "policy", "no policy", "away", "lost", "cordon", "drain", "taint", "label", "join", "leave", "engage", "see", "see", "see", "status", "measure")
	switch what {
	case "write":
		gr, obj := p.object()
		p.write(gr, obj)
	case "status":
		for _, key := range p.keys() {
			p.write(key.GR, p.objects[key].DeepCopy())
		}
	case "remove":
		if keys := p.keys(); len(keys) > 0 {
			p.remove(oneOf(p, "key", keys...))
		}
	case "policy":
		p.policy()
	case "no policy":
		name := oneOf(p, "policy", "web", "all")
		if obj := p.policies[name]; obj != nil {
			delete(p.policies, name)
			p.changePolicies(nil, []types.UID{obj.GetUID()})
		}
	case "away":
		name := p.cluster()
		p.down[name] = !p.down[name]
		p.engage(name, !p.down[name])
		p.setReady(name, !p.down[name])
	case "lost":
		if p.demands {
			break
		}
		for range 9 {
			p.now = p.now.Add(4 * time.Second)
			p.settle()
		}
	case "cordon":
		p.change(p.cluster(), func(c *v1alpha1.Cluster) { c.Spec.Unschedulable = !c.Spec.Unschedulable })
	case "drain":
		p.change(p.cluster(), func(c *v1alpha1.Cluster) { c.Spec.Drain = !c.Spec.Drain })
	case "taint":
		p.change(p.cluster(), func(c *v1alpha1.Cluster) {
			c.Spec.Taints = nil
			if effect := oneOf(p, "effect", corev1.TaintEffectNoExecute, corev1.TaintEffectNoSchedule, ""); effect != "" {
				c.Spec.Taints = []v1alpha1.ClusterTaint{{Key: "maintenance", Effect: effect}}
			}
		})
	case "label":
		p.change(p.cluster(), func(c *v1alpha1.Cluster) { c.Labels = map[string]string{"tier": oneOf(p, "tier", "prod", "test")} })
	case "join":
		if len(p.clusters) < 5 {
			p.join(fmt.Sprint("new", p.version, len(p.clusters)))
		}
	case "leave":
		if len(p.clusters) > 2 {
			p.leave(p.cluster())
		}
	case "engage":
		name := p.cluster()
		p.engage(name, !p.engaged[name])
	case "see":
		p.seeSome()
	case "measure":
		if p.demands {
			p.measure(p.cluster())
		}
	}
	return what
}

// seeSome has a member show something of an object.
func (p *pair) seeSome() {
	keys := p.keys()
	if len(keys) == 0 {
		return
	}
	key, name := oneOf(p, "key", keys...), p.cluster()
	t := p.e.stored(key)
	if t == nil || !p.engaged[name] || rapid.IntRange(0, 9).Draw(p.T, "gone") == 0 {
		p.see(name, key, nil)
		return
	}
	n := rapid.Int32Range(0, 9).Draw(p.T, "replicas")
	o := &decide.Observed{UID: "there", Ours: true, Template: t.uid, Status: map[string]any{
		"readyReplicas": rapid.Int64Range(0, 9).Draw(p.T, "ready"), "currentReplicas": int64(n), "desiredReplicas": int64(n), "succeeded": rapid.Int64Range(0, 3).Draw(p.T, "succeeded")}}
	switch t.division {
	case kinds.Replicas:
		o.Replicas = &n
	case kinds.Completions:
		done := int32(7)
		o.Parallelism, o.Completions = &n, &done
	}
	if s, in := t.shares[name]; in && rapid.Bool().Draw(p.T, "left") {
		o.Left = &tmpl.Target{Share: tmpl.Share{Replicas: s.replicas, Before: s.before, Total: s.total + rapid.Int32Range(0, 2).Draw(p.T, "more")}}
	}
	p.see(name, key, o)
}

// measure has both know what a cluster has free.
func (p *pair) measure(name string) {
	r := &rig{engine: p.e}
	cpus, n := rapid.IntRange(1, 6).Draw(p.T, "cpus"), rapid.IntRange(0, 3).Draw(p.T, "pods")
	r.see(name, cpus, podsOf(oneOf(p, "whose", "web", "ballast"), n)...)
	p.e.around.wake()
	p.apply(decide.Measured{Cluster: name, View: p.e.around.views[name]})
}

// TestTheWorldDecidesAsTheEngine plays random histories to both.
func TestTheWorldDecidesAsTheEngine(t *testing.T) {
	for name, demands := range map[string]bool{"rules and losses": false, "room": true} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				p := newPair(t, demands)
				p.settle()
				for range rapid.IntRange(1, 10).Draw(t, "steps") {
					what := p.step()
					p.settle()
					p.compare(what)
				}
			})
		})
	}
}
