package e2e

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// chaos is the federation of tests that break things, whole again after what
// the last one did. Its members have no controllers: a namespace that is
// deleted there stays.
func chaos(t *testing.T) *fed {
	t.Helper()
	f := use(t, suite.chaos)
	ctx := t.Context()
	if f.hub.PID() == 0 {
		if err := f.hub.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range f.members {
		if m.PID() == 0 {
			if err := m.Start(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if m.Proxy != nil {
			m.Proxy.Heal()
		}
	}
	for _, m := range f.members {
		f.clusterIs(t, m.Name, v1alpha1.ReasonReachable)
	}
	return f
}

// lastingNamespace makes a namespace that is not deleted after the test.
func (f *fed) lastingNamespace(t *testing.T, name string) string {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		_, err := f.at.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		return err
	})
	return name
}

func configMaps() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
}

func deployments() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
}

// fleetOf is a number of objects in a namespace: of five, four are ConfigMaps
// and one is a Deployment.
type fleetOf struct {
	*fed
	ns string
}

func (o fleetOf) isDeployment(i int) bool { return i%5 == 4 }

func (o fleetOf) name(i int) string { return fmt.Sprintf("o%04d", i) }

// make creates object i at the hub. It is idempotent.
func (o fleetOf) make(ctx context.Context, i int) error {
	meta := metav1.ObjectMeta{Namespace: o.ns, Name: o.name(i)}
	var err error
	if o.isDeployment(i) {
		_, err = o.at.AppsV1().Deployments(o.ns).Create(ctx, deployment(meta, 3), metav1.CreateOptions{})
	} else {
		_, err = o.at.CoreV1().ConfigMaps(o.ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"step": "made"}}, metav1.CreateOptions{})
	}
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func deployment(meta metav1.ObjectMeta, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": meta.Name}
	return &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas,
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "nginx:1"}}},
		},
	}}
}

// change updates object i at the hub. It is idempotent.
func (o fleetOf) change(ctx context.Context, i int) error {
	if o.isDeployment(i) {
		_, err := o.at.AppsV1().Deployments(o.ns).Patch(ctx, o.name(i), types.MergePatchType, []byte(`{"spec":{"replicas":7}}`), metav1.PatchOptions{})
		return err
	}
	_, err := o.at.CoreV1().ConfigMaps(o.ns).Patch(ctx, o.name(i), types.MergePatchType, []byte(`{"data":{"step":"changed"}}`), metav1.PatchOptions{})
	return err
}

// remove deletes object i at the hub. It is idempotent.
func (o fleetOf) remove(ctx context.Context, i int) error {
	var err error
	if o.isDeployment(i) {
		err = o.at.AppsV1().Deployments(o.ns).Delete(ctx, o.name(i), metav1.DeleteOptions{})
	} else {
		err = o.at.CoreV1().ConfigMaps(o.ns).Delete(ctx, o.name(i), metav1.DeleteOptions{})
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// each does something to the objects from up to but not including to, eight at
// a time, again and again until the hub has accepted it. halfway is called once
// half are done, while the others go on; nil: nothing.
func (o fleetOf) each(t *testing.T, from, to int, do func(context.Context, int) error, halfway func()) {
	t.Helper()
	var wg sync.WaitGroup
	var done atomic.Int32
	var once sync.Once
	failed := make([]error, to)
	next := make(chan int)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	for range 8 {
		wg.Go(func() {
			for i := range next {
				if failed[i] = await(ctx, time.Minute, func(ctx context.Context) error { return do(ctx, i) }); failed[i] != nil {
					giveUp()
				}
				if int(done.Add(1)) >= (to-from)/2 && halfway != nil {
					once.Do(func() { wg.Go(halfway) })
				}
			}
		})
	}
	for i := from; i < to; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, err := range failed {
		if err != nil {
			t.Fatal(err) // one is enough to know
		}
	}
}

// killHub kills the hub and starts it again.
func (f *fed) killHub(t *testing.T) {
	if err := f.hub.Kill(t.Context()); err != nil {
		t.Error(err)
		return
	}
	if err := f.hub.Start(t.Context()); err != nil {
		t.Error(err)
	}
}

// converged says how the members named, all if none is, differ from the hub in
// a namespace's ConfigMaps and Deployments.
func (f *fed) converged(ctx context.Context, ns string, names ...string) error {
	maps, err := f.at.CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	want := map[string]string{}
	for _, cm := range maps.Items {
		if cm.Name != "kube-root-ca.crt" {
			want[cm.Name] = fmt.Sprint(cm.Data)
		}
	}
	if len(names) == 0 {
		if err := f.deploymentsAddUp(ctx, ns); err != nil {
			return err
		}
		for _, m := range f.members {
			names = append(names, m.Name)
		}
	}
	for _, name := range names {
		maps, err := f.in[name].CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		have := map[string]string{}
		for _, cm := range maps.Items {
			if cm.Name != "kube-root-ca.crt" {
				have[cm.Name] = fmt.Sprint(cm.Data)
			}
		}
		if err := same("ConfigMaps in "+name, have, want); err != nil {
			return err
		}
	}
	return nil
}

func (f *fed) deploymentsAddUp(ctx context.Context, ns string) error {
	list, err := f.at.AppsV1().Deployments(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	want := map[string]string{}
	for _, d := range list.Items {
		want[d.Name] = fmt.Sprint(*d.Spec.Replicas, d.Spec.Template.Spec.Containers[0].Image)
	}
	sum, image := map[string]int32{}, map[string]string{}
	for _, c := range f.in {
		list, err := c.AppsV1().Deployments(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, d := range list.Items {
			sum[d.Name] += *d.Spec.Replicas
			image[d.Name] = d.Spec.Template.Spec.Containers[0].Image
		}
	}
	have := map[string]string{}
	for name, n := range sum {
		have[name] = fmt.Sprint(n, image[name])
	}
	return same("Deployments of all clusters together", have, want)
}

// same says in what two maps differ, without saying everything.
func same(what string, have, want map[string]string) error {
	if maps.Equal(have, want) {
		return nil
	}
	var missing, extra, different int
	example := ""
	for k, v := range want {
		got, ok := have[k]
		switch {
		case !ok:
			missing++
			example = k
		case got != v:
			different++
			example = fmt.Sprintf("%s is %s, want %s", k, got, v)
		}
	}
	for k := range have {
		if _, ok := want[k]; !ok {
			extra++
			example = k + " is there"
		}
	}
	return fmt.Errorf("%s: %d missing, %d too many, %d different of %d (for example %s)", what, missing, extra, different, len(want), example)
}

// memberVersions are the resourceVersions of all ConfigMaps and Deployments of
// a namespace in the members.
func (f *fed) memberVersions(t *testing.T, ns string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, c := range f.in {
		for _, gvr := range []schema.GroupVersionResource{configMaps(), deployments()} {
			versions, err := c.versions(t.Context(), gvr, ns)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range versions {
				out[name+"/"+gvr.Resource+"/"+k] = v
			}
		}
	}
	return out
}

// unwritten fails the test if an object that was there has another version now;
// what is gone or new does not count.
func (f *fed) unwritten(t *testing.T, ns string, before map[string]string) {
	t.Helper()
	now := f.memberVersions(t, ns)
	rewritten := 0
	for k, v := range before {
		if now[k] != "" && now[k] != v {
			rewritten++
			if rewritten < 5 {
				t.Logf("%s was %s, is %s", k, v, now[k])
			}
		}
	}
	if rewritten > 0 {
		t.Errorf("%d objects that were right were written again", rewritten)
	}
}

// TestHubKilled kills the hub with -9 in the middle of 1,000 creations, updates
// and deletions.
func TestHubKilled(t *testing.T) {
	f := chaos(t)
	const count = 1000
	o := fleetOf{fed: f, ns: f.lastingNamespace(t, "hub-killed")}
	for _, phase := range []struct {
		name string
		to   int
		do   func(context.Context, int) error
	}{{"creations", count, o.make}, {"updates", count, o.change}, {"deletions", count / 2, o.remove}} {
		began := time.Now()
		o.each(t, 0, phase.to, phase.do, func() { f.killHub(t) })
		accepted := time.Since(began)
		eventually(t, 2*time.Minute, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
		t.Logf("%d %s: accepted after %s, everywhere after %s", phase.to, phase.name, accepted.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	}

	// Nothing has changed since: a hub that starts writes nothing to anybody, and
	// what comes new does not wait for it to look at everything else.
	before := f.memberVersions(t, o.ns)
	f.killHub(t)
	o.each(t, count, count+1, o.make, nil)
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
	f.quiet(t)
	f.unwritten(t, o.ns, before)
}

// quiet waits until the hub says that every member is in sync.
func (f *fed) quiet(t *testing.T) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		for _, m := range f.members {
			if err := f.condition(ctx, m.Name, v1alpha1.ConditionSynced, metav1.ConditionTrue); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestMemberKilled kills a member, makes changes meanwhile, and starts it again.
func TestMemberKilled(t *testing.T) {
	f := chaos(t)
	o := fleetOf{fed: f, ns: f.lastingNamespace(t, "member-killed")}
	o.each(t, 0, 100, o.make, nil)
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
	before := f.memberVersions(t, o.ns)

	basalt := f.member("basalt")
	if err := basalt.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.clusterIs(t, "basalt", v1alpha1.ReasonNetworkUnreachable)
	o.each(t, 100, 150, o.make, nil)
	o.each(t, 20, 50, o.change, nil)
	o.each(t, 0, 20, o.remove, nil) // nothing hangs
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns, "amber", "cobalt") })

	if err := basalt.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
	f.clusterIs(t, "basalt", v1alpha1.ReasonReachable)
	untouched := map[string]string{}
	for k, v := range before {
		if name := k[len(k)-len("o0000"):]; name >= "o0050" {
			untouched[k] = v
		}
	}
	f.unwritten(t, o.ns, untouched)
}

// TestHubAndMemberKilled kills both at once, and starts the member only when
// the hub has long been back.
func TestHubAndMemberKilled(t *testing.T) {
	f := chaos(t)
	o := fleetOf{fed: f, ns: f.lastingNamespace(t, "both-killed")}
	amber := f.member("amber")
	o.each(t, 0, 50, o.make, nil)
	const jobs = 9 // of a kind that must not run twice
	for i := range jobs {
		f.create(t, fmt.Sprintf(`
apiVersion: batch/v1
kind: Job
metadata: {name: once-%d, namespace: %s}
spec:
  completionMode: Indexed
  completions: 1
  template: {spec: {restartPolicy: Never, containers: [{name: c, image: busybox}]}}`, i, o.ns))
	}
	var homes map[string]string
	eventually(t, soon, func(ctx context.Context) (err error) {
		homes, err = f.jobHomes(ctx, o.ns)
		if err == nil && len(homes) != jobs {
			err = fmt.Errorf("the Jobs are at %v, want all %d", homes, jobs)
		}
		return err
	})
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
	before := f.memberVersions(t, o.ns)
	o.each(t, 50, 100, o.make, func() {
		if err := amber.Kill(t.Context()); err != nil {
			t.Error(err)
		}
		f.killHub(t)
	})
	o.each(t, 0, 10, o.remove, nil)
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns, "basalt", "cobalt") })
	f.clusterIs(t, "amber", v1alpha1.ReasonNetworkUnreachable)
	if err := amber.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
	f.unwritten(t, o.ns, before)
	after, err := f.jobHomes(t.Context(), o.ns)
	if err != nil {
		t.Fatal(err)
	}
	if err := same("where the Jobs are", after, homes); err != nil {
		t.Error(err)
	}
}

// jobHomes says in which member each Job of a namespace is. More than one is an
// error.
func (f *fed) jobHomes(ctx context.Context, ns string) (map[string]string, error) {
	out := map[string]string{}
	for name, in := range f.in {
		jobs, err := in.BatchV1().Jobs(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for _, j := range jobs.Items {
			if there, twice := out[j.Name]; twice {
				return nil, fmt.Errorf("Job %s is in %s and in %s", j.Name, there, name)
			}
			out[j.Name] = name
		}
	}
	return out, nil
}
