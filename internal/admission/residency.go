package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
)

// Verbs of residencies that a change of a Namespace or Cluster takes, by which a Residency would have another reach.
const (
	verbRelease  = "release"  // less is restricted, or more clusters are allowed
	verbRestrict = "restrict" // more is restricted
)

// SetExternalKubeClientSet is called by the API server.
func (p *Plugin) SetExternalKubeClientSet(client kubernetes.Interface) {
	p.residencies = func(ctx context.Context) ([]unstructured.Unstructured, error) {
		return listResidencies(ctx, client)
	}
}

// listResidencies asks the hub itself, as of this moment: what was read a moment ago may be from before a Residency was made.
func listResidencies(ctx context.Context, client kubernetes.Interface) ([]unstructured.Unstructured, error) {
	gvr := v1alpha1.Resource("residencies")
	data, err := client.Discovery().RESTClient().Get().AbsPath("/apis", gvr.Group, gvr.Version, gvr.Resource).DoRaw(ctx)
	if apierrors.IsNotFound(err) {
		return nil, nil // the kind is not installed yet, so that there are none
	}
	if err != nil {
		return nil, fmt.Errorf("the hub cannot list residencies at the moment: %w. Try: again", err)
	}
	var list struct{ Items []map[string]any }
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("the hub cannot read residencies: %w", err)
	}
	all := make([]unstructured.Unstructured, len(list.Items))
	for i := range list.Items {
		list.Items[i]["kind"] = policy.KindResidency
		all[i].Object = list.Items[i]
	}
	return all, nil
}

// inEffect are the Residencies as the hub goes by them. Those who may do everything are not asked what they may do.
func (p *Plugin) inEffect(ctx context.Context, a admission.Attributes) ([]*policy.Policy, error) {
	if privileged(a) {
		return nil, nil
	}
	list, err := p.residencies(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]*policy.Policy, len(list))
	for i := range list {
		all[i] = policy.InEffect(&list[i])
	}
	return all, nil
}

func privileged(a admission.Attributes) bool {
	return slices.Contains(a.GetUserInfo().GetGroups(), user.SystemPrivilegedGroup)
}

// residency refuses a Residency that the hub would not understand.
func residency(a admission.Attributes, before, after *unstructured.Unstructured) error {
	if !sameField(before, after, "status", "inEffect") && !privileged(a) {
		return errors.New("status.inEffect is what the hub goes by when it does not understand the spec: nobody else may write it. Try: change the spec")
	}
	if a.GetSubresource() != "" || sameField(before, after, "spec") {
		return nil
	}
	_, err := policy.Parse(after)
	return err
}

// tellChange says in the hub's log who changes what Residencies restrict, also where no audit policy has it in the audit log.
func tellChange(ctx context.Context, a admission.Attributes) {
	if a.IsDryRun() {
		return
	}
	klog.FromContext(ctx).Info("A Residency is changed", "operation", string(a.GetOperation()), "residency", a.GetName(), "by", a.GetUserInfo().GetName())
}

// namespace asks for a right of its own where other labels of a Namespace have other Residencies select it. It looks at every
// subresource, as labels can be written by each.
func (p *Plugin) namespace(ctx context.Context, a admission.Attributes) error {
	before, was := a.GetOldObject().(metav1.Object) // of whatever version
	after, is := a.GetObject().(metav1.Object)
	if !was || !is || maps.Equal(before.GetLabels(), after.GetLabels()) {
		return nil
	}
	residencies, err := p.inEffect(ctx, a)
	if err != nil {
		return err
	}
	for _, r := range residencies {
		had, has := r.HasNamespace(after.GetName(), before.GetLabels()), r.HasNamespace(after.GetName(), after.GetLabels())
		verb, why := verbRelease, "these labels take the namespace out of %s"
		if has {
			verb, why = verbRestrict, "these labels put the namespace under %s"
		}
		if had == has {
			continue
		}
		if err := p.need(ctx, a, ofResidency(verb, r), fmt.Sprintf(why, r)); err != nil {
			return err
		}
	}
	return nil
}

// lets asks for a right of its own where a Cluster as it is declared would be let in by a Residency that kept it out, or could not
// be known yet.
func (p *Plugin) lets(ctx context.Context, a admission.Attributes, before, after *unstructured.Unstructured) error {
	if before != nil && sameField(before, after, "spec") && sameField(before, after, "metadata", "labels") {
		return nil
	}
	residencies, err := p.inEffect(ctx, a)
	if err != nil || len(residencies) == 0 {
		return err
	}
	is, err := declaredAs(after)
	if err != nil {
		return err
	}
	var was *policy.Cluster
	if before != nil {
		if was, err = declaredAs(before); err != nil {
			return err
		}
	}
	for _, r := range residencies {
		if !letsMore(r, was, is) {
			continue
		}
		why := fmt.Sprintf("what is declared of cluster %s lets in what %s kept out of it", after.GetName(), r)
		if before == nil {
			why = fmt.Sprintf("%s lets its objects be in a cluster %s that is declared so", r, after.GetName())
		}
		if err := p.need(ctx, a, ofResidency(verbRelease, r), why); err != nil {
			return err
		}
	}
	return nil
}

func ofResidency(verb string, r *policy.Policy) right {
	return right{verb: verb, resource: v1alpha1.Resource("residencies").GroupResource(), name: r.Name}
}

func declaredAs(u *unstructured.Unstructured) (*policy.Cluster, error) {
	c := &v1alpha1.Cluster{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, c); err != nil {
		return nil, fmt.Errorf("the hub would not understand it: %w", err)
	}
	facts := policy.ClusterOf(c)
	return &facts, nil
}

// letsMore says whether a Residency lets a cluster have its objects, or answer some clients, as is but not as was; nil: there was
// none.
func letsMore(r *policy.Policy, was, is *policy.Cluster) bool {
	if r.WhyHeld() != "" || r.Excludes(is) != "" {
		return false
	}
	if was == nil || r.Excludes(was) != "" {
		return true
	}
	return slices.ContainsFunc(r.Serving(), func(s policy.Serving) bool { return s.Allows(is) && !s.Allows(was) })
}
