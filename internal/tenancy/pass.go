package tenancy

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/tenancy/model"
)

// writesAtOnce bounds how many requests of a pass are under way.
const writesAtOnce = 16

// next is when there is to be another pass though nothing changes.
type next struct {
	failed bool
	until  time.Duration // 0: never
}

// work is what a pass does, in the order in which it does it.
type work struct {
	// less takes rights away, or changes them; bounds are Residencies and quotas that are new or change; more gives rights, and
	// makes the namespaces; loose takes bounds away.
	less, bounds, more, loose []task
	namespaces                []string
}

// pass brings the hub in line with what its Organizations and Workspaces mean now.
func (c *Controller) pass(ctx context.Context) (n next) {
	// What people have written must not end the hub, whatever it is.
	if err := guard.Run(func() error { n = c.bring(ctx); return nil }); err != nil {
		c.trouble.Failed(klog.FromContext(ctx), "pass", err, "Organizations and Workspaces were not looked at")
		return next{failed: true}
	}
	return n
}

// bring is one pass.
func (c *Controller) bring(ctx context.Context) next {
	w, out, todo := c.compare()

	f := failures{of: map[string]error{}}
	f.run(ctx, todo.less, nil)
	f.run(ctx, todo.bounds, nil)
	c.makeNamespaces(ctx, &f, todo.namespaces)
	unbounded := maps.Clone(f.of)
	f.run(ctx, todo.more, func(t task) bool {
		return unbounded[owner(t.labels)] == nil && unbounded["Organization/"+t.labels[v1alpha1.LabelOrganization]] == nil
	})
	f.run(ctx, todo.loose, nil)
	c.report(ctx, w, out, &f)
	until := c.expire(ctx, w, &f)

	for name, err := range f.of {
		if !errors.Is(err, errStale) {
			c.trouble.Failed(klog.FromContext(ctx), name, err, "Rights of an organization or workspace are not as it says", "of", name)
		}
	}
	return next{failed: len(f.of) > 0, until: until}
}

// compare says what is to be, and what is to be done.
func (c *Controller) compare() (model.World, model.Outcome, work) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.world()
	out := model.Materialize(w)
	return w, out, c.plan(w, out)
}

// world reads what was watched. c.mu is held.
func (c *Controller) world() model.World {
	w := model.World{Namespaces: map[string]model.Namespace{}, UnreadOrganizations: map[string]bool{}, UnreadWorkspaces: map[string]bool{}}
	for name, n := range c.namespaces {
		w.Namespaces[name] = model.Namespace{Labels: n.Labels, Terminating: n.DeletionTimestamp != nil}
	}
	for name, u := range c.organizations {
		o := &v1alpha1.Organization{}
		if err := decode(u, o); err != nil {
			w.UnreadOrganizations[name] = true
			*o = v1alpha1.Organization{ObjectMeta: metadata(u)}
			statusOf(u, &o.Status)
		}
		w.Organizations = append(w.Organizations, o)
	}
	for name, u := range c.workspaces {
		ws := &v1alpha1.Workspace{}
		if err := decode(u, ws); err != nil {
			w.UnreadWorkspaces[name] = true
			*ws = v1alpha1.Workspace{ObjectMeta: metadata(u)}
			statusOf(u, &ws.Status)
			ws.Spec.Organization, _, _ = unstructured.NestedString(u.Object, "spec", "organization")
		}
		w.Workspaces = append(w.Workspaces, ws)
	}
	return w
}

func decode(u *unstructured.Unstructured, into any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, into)
}

func metadata(u *unstructured.Unstructured) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: u.GetName(), UID: u.GetUID(), Generation: u.GetGeneration(), CreationTimestamp: u.GetCreationTimestamp()}
}

// statusOf reads the status alone, which the hub wrote itself.
func statusOf(u *unstructured.Unstructured, into any) {
	if fields, ok, _ := unstructured.NestedMap(u.Object, "status"); ok {
		_ = runtime.DefaultUnstructuredConverter.FromUnstructured(fields, into) // what cannot be read is written again
	}
}

// owner is what an object is made of, by its labels.
func owner(labels map[string]string) string {
	if name := labels[v1alpha1.LabelWorkspace]; name != "" {
		return "Workspace/" + name
	}
	return "Organization/" + labels[v1alpha1.LabelOrganization]
}

// plan compares what is wanted with what is there. c.mu is held.
func (c *Controller) plan(w model.World, out model.Outcome) (todo work) {
	keep := func(labels map[string]string) bool {
		if name := labels[v1alpha1.LabelWorkspace]; name != "" {
			return w.UnreadWorkspaces[name]
		}
		return w.UnreadOrganizations[labels[v1alpha1.LabelOrganization]]
	}
	for _, differences := range []func() (gone, changed, fresh []task){
		func() (_, _, _ []task) { return c.clusterWide.difference(out.ClusterRoleBindings, keep) },
		func() (_, _, _ []task) { return c.bindings.difference(out.RoleBindings, keep) },
		func() (_, _, _ []task) { return c.roles.difference(out.ClusterRoles, keep) },
	} {
		gone, changed, fresh := differences()
		todo.less = append(append(todo.less, gone...), changed...)
		todo.more = append(todo.more, fresh...)
	}
	wanted, settled := c.residenciesOf(out.Residencies)
	gone, changed, fresh := c.residencies.difference(wanted, keep)
	todo.bounds = append(changed, fresh...)
	if settled {
		todo.loose = gone
	}
	gone, changed, fresh = c.quotas.difference(out.Quotas, keep)
	todo.bounds = append(append(todo.bounds, changed...), fresh...)
	todo.loose = append(todo.loose, gone...)
	todo.namespaces = out.Namespaces
	return todo
}

// residenciesOf are Residencies as they are to be now. A namespace that moves from one to another is never in neither: as long
// as one has to come into a Residency, none leaves any. settled: none has to.
func (c *Controller) residenciesOf(all []*v1alpha1.Residency) (wanted []*unstructured.Unstructured, settled bool) {
	settled = true
	for _, r := range all {
		had := c.residentIn(r.Name)
		settled = settled && !slices.ContainsFunc(r.Spec.Namespaces, func(n string) bool { return !slices.Contains(had, n) })
	}
	for _, r := range all {
		names := slices.Clone(r.Spec.Namespaces)
		if !settled {
			names = append(names, c.residentIn(r.Name)...)
		}
		slices.Sort(names)
		r.Spec.Namespaces = slices.Compact(names)
		if len(r.Spec.Namespaces) > model.MaxNamespaces { // it has no room for both
			r.Spec.Namespaces = r.Spec.Namespaces[:model.MaxNamespaces]
		}
		u, err := runtime.DefaultUnstructuredConverter.ToUnstructured(r)
		if err != nil {
			continue // it is made of strings
		}
		delete(u, "status")
		o := &unstructured.Unstructured{Object: u}
		o.SetAPIVersion(v1alpha1.GroupVersion().String())
		o.SetKind("Residency")
		wanted = append(wanted, o)
	}
	return wanted, settled
}

func (c *Controller) residentIn(name string) []string {
	live, ok := c.residencies.live[keyOf(&metav1.ObjectMeta{Name: name})]
	if !ok {
		return nil
	}
	names, _, _ := unstructured.NestedStringSlice(live.Object, "spec", "namespaces")
	return names
}

func (c *Controller) makeNamespaces(ctx context.Context, f *failures, names []string) {
	tasks := make([]task, 0, len(names))
	for _, name := range names {
		tasks = append(tasks, task{do: func(ctx context.Context) error {
			_, err := c.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				f.add("Namespace/"+name, err)
			}
			return nil
		}})
	}
	f.run(ctx, tasks, nil)
}

// expire takes invitations out that are not good any more, and says when the next one will not be.
func (c *Controller) expire(ctx context.Context, w model.World, f *failures) (until time.Duration) {
	now := c.clock.Now()
	for _, o := range w.Organizations {
		names, left := model.Expired(o, now)
		if left > 0 && (until == 0 || left < until) {
			until = left
		}
		if len(names) == 0 {
			continue
		}
		o.Spec.Invitations = slices.DeleteFunc(o.Spec.Invitations, func(i v1alpha1.OrganizationInvitation) bool { return slices.Contains(names, i.Name) })
		if err := updateSpec(ctx, c.dynamic, o); err != nil {
			f.add("Organization/"+o.Name, stale(err))
		}
	}
	return until
}

// failures are what did not work, by what it was for.
type failures struct {
	mu sync.Mutex
	of map[string]error
}

func (f *failures) add(of string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of[of] == nil || errors.Is(f.of[of], errStale) {
		f.of[of] = err
	}
}

// run does tasks, several at once, those that may be done.
func (f *failures) run(ctx context.Context, tasks []task, may func(task) bool) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, writesAtOnce)
	for _, t := range tasks {
		if may != nil && !may(t) {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := t.do(ctx); err != nil {
				f.add(owner(t.labels), err)
			}
		})
	}
	wg.Wait()
}
