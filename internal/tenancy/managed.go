package tenancy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/watch"
)

// writer is the part of a client that a pass writes by; those of client-go have it.
type writer[T any] interface {
	Get(ctx context.Context, name string, o metav1.GetOptions) (T, error)
	Create(ctx context.Context, object T, o metav1.CreateOptions) (T, error)
	Update(ctx context.Context, object T, o metav1.UpdateOptions) (T, error)
	Delete(ctx context.Context, name string, o metav1.DeleteOptions) error
}

// managed are the objects of one kind that were made, as they were seen last.
type managed[T metav1.Object] struct {
	live   map[types.NamespacedName]T
	writer func(namespace string) writer[T]
	// carry is a copy of live with what is wanted of it, and whether that is another than live. replace: live cannot become it.
	carry func(live, want T) (out T, differs, replace bool)
}

// sink takes in what is watched.
func (m *managed[T]) sink(c *Controller) watch.Sink[T] {
	m.live = map[types.NamespacedName]T{}
	return watch.Sink[T]{
		Replace: func(all []T) {
			now := map[types.NamespacedName]T{}
			for _, o := range all {
				now[keyOf(o)] = o
			}
			c.change(func() { m.live = now })
		},
		Apply:  func(o T) { c.change(func() { m.live[keyOf(o)] = o }) },
		Remove: func(o T) { c.change(func() { delete(m.live, keyOf(o)) }) },
	}
}

func keyOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// task is one write.
type task struct {
	// labels of the object say of what it is made.
	labels    map[string]string
	namespace string
	do        func(ctx context.Context) error
}

// errStale is that something has changed meanwhile: the watch brings it, and the next pass does what is to be done then.
var errStale = errors.New("it has changed meanwhile")

// difference is what there is to do: objects that go, that change, and that are new. Those of keep are left as they are.
func (m *managed[T]) difference(want []T, keep func(labels map[string]string) bool) (gone, changed, fresh []task) {
	wanted := map[types.NamespacedName]bool{}
	for _, w := range want {
		wanted[keyOf(w)] = true
		at := m.writer(w.GetNamespace())
		live, ok := m.live[keyOf(w)]
		if !ok {
			fresh = append(fresh, task{w.GetLabels(), w.GetNamespace(), func(ctx context.Context) error { return create(ctx, at, w) }})
			continue
		}
		switch out, differs, replace := m.carry(live, w); {
		case keep(live.GetLabels()):
		case replace:
			gone = append(gone, m.deletion(live))
		case differs:
			changed = append(changed, task{w.GetLabels(), w.GetNamespace(), func(ctx context.Context) error {
				_, err := at.Update(ctx, out, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
				return stale(err)
			}})
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(m.live), compareKeys) {
		if live := m.live[key]; !wanted[key] && !keep(live.GetLabels()) && live.GetDeletionTimestamp() == nil {
			gone = append(gone, m.deletion(live))
		}
	}
	return gone, changed, fresh
}

func compareKeys(a, b types.NamespacedName) int {
	return slices.Compare([]string{a.Namespace, a.Name}, []string{b.Namespace, b.Name})
}

// deletion deletes this very object, and none that took its place.
func (m *managed[T]) deletion(live T) task {
	uid, at := live.GetUID(), m.writer(live.GetNamespace())
	return task{live.GetLabels(), live.GetNamespace(), func(ctx context.Context) error {
		return stale(at.Delete(ctx, live.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}))
	}}
}

func create[T metav1.Object](ctx context.Context, at writer[T], want T) error {
	_, err := at.Create(ctx, want, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	if !apierrors.IsAlreadyExists(err) {
		return stale(err)
	}
	live, err := at.Get(ctx, want.GetName(), metav1.GetOptions{})
	if err != nil {
		return stale(err)
	}
	if live.GetLabels()[v1alpha1.LabelTenancy] != "true" {
		return fmt.Errorf("%s is there already, and was not made by the hub. Try: delete it", keyOf(want))
	}
	return errStale
}

// stale is errStale for what another look will settle.
func stale(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return errStale
	}
	return err
}

// carryMeta sets the labels and the owner that are wanted, and says whether they are others.
func carryMeta(live, want metav1.Object) (differs bool) {
	labels := maps.Clone(live.GetLabels())
	maps.Copy(labels, want.GetLabels())
	differs = !maps.Equal(labels, live.GetLabels()) || !reflect.DeepEqual(live.GetOwnerReferences(), want.GetOwnerReferences())
	live.SetLabels(labels)
	live.SetOwnerReferences(want.GetOwnerReferences())
	return differs
}

func carryRole(live, want *rbacv1.ClusterRole) (*rbacv1.ClusterRole, bool, bool) {
	out := live.DeepCopy()
	differs := carryMeta(out, want) || !apiequality.Semantic.DeepEqual(live.Rules, want.Rules) || live.AggregationRule != nil
	out.Rules, out.AggregationRule = want.Rules, nil
	return out, differs, false
}

func carryClusterWide(live, want *rbacv1.ClusterRoleBinding) (*rbacv1.ClusterRoleBinding, bool, bool) {
	out := live.DeepCopy()
	differs := carryMeta(out, want) || !apiequality.Semantic.DeepEqual(live.Subjects, want.Subjects)
	out.Subjects = want.Subjects
	return out, differs, live.RoleRef != want.RoleRef
}

func carryBinding(live, want *rbacv1.RoleBinding) (*rbacv1.RoleBinding, bool, bool) {
	out := live.DeepCopy()
	differs := carryMeta(out, want) || !apiequality.Semantic.DeepEqual(live.Subjects, want.Subjects)
	out.Subjects = want.Subjects
	return out, differs, live.RoleRef != want.RoleRef
}

func carryQuota(live, want *corev1.ResourceQuota) (*corev1.ResourceQuota, bool, bool) {
	out := live.DeepCopy()
	differs := carryMeta(out, want) || !apiequality.Semantic.DeepEqual(live.Spec, want.Spec)
	out.Spec = want.Spec
	return out, differs, false
}

// carryResidency compares the fields that are wanted.
func carryResidency(live, want *unstructured.Unstructured) (*unstructured.Unstructured, bool, bool) {
	out := live.DeepCopy()
	differs := carryMeta(out, want) || !apiequality.Semantic.DeepEqual(live.Object["spec"], want.Object["spec"])
	out.Object["spec"] = want.Object["spec"]
	return out, differs, false
}

// residencies is a dynamic client as a writer.
type residencies struct{ at dynamic.ResourceInterface }

func (r residencies) Get(ctx context.Context, name string, o metav1.GetOptions) (*unstructured.Unstructured, error) {
	return r.at.Get(ctx, name, o)
}

func (r residencies) Create(ctx context.Context, u *unstructured.Unstructured, o metav1.CreateOptions) (*unstructured.Unstructured, error) {
	return r.at.Create(ctx, u, o)
}

func (r residencies) Update(ctx context.Context, u *unstructured.Unstructured, o metav1.UpdateOptions) (*unstructured.Unstructured, error) {
	return r.at.Update(ctx, u, o)
}

func (r residencies) Delete(ctx context.Context, name string, o metav1.DeleteOptions) error {
	return r.at.Delete(ctx, name, o)
}
