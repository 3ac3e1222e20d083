package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// web is a Deployment of that many replicas for these tests.
func web(ns, name, extra string, replicas int) string {
	return fmt.Sprintf(`
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[2]s, namespace: %[1]s, labels: {app: %[2]s}%[4]s}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[2]s}}
  template:
    metadata: {labels: {app: %[2]s}}
    spec: {containers: [{name: web, image: "nginx:1.29", args: [serve]}]}
`, ns, name, replicas, extra)
}

// TestPolicies places by policies, changes objects for single clusters, and leaves
// alone what no policy selects.
func TestPolicies(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "policies")
	f.create(t, web(ns, "plain", "", 4)+web(ns, "near", "", 2)+web(ns, "heavy", "", 8)+web(ns, "few", "", 4)+`
---
apiVersion: v1
kind: ConfigMap
metadata: {name: near, namespace: policies, labels: {app: near}}
`)
	eventually(t, soon, func(ctx context.Context) error {
		return errors.Join(f.sharesAre(ctx, ns, "plain", map[string]int32{"aws": 2, "azure": 2}),
			f.sharesAre(ctx, ns, "few", map[string]int32{"aws": 2, "azure": 2}), f.sharesAre(ctx, ns, "near", map[string]int32{"aws": 1, "azure": 1}))
	})
	untouched := f.versions(t, ns, "plain")

	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: near, namespace: policies}
spec:
  select: {labels: {matchLabels: {app: near}}}
  clusters: {fields: [{key: provider, operator: In, values: [azure]}]}
  overrides:
  - images: [{registry: registry.azure.example}]
    env: [{set: [{name: CLOUD, value: azure}]}]
    args: [{append: [--near]}]
    annotations: {set: {example.com/cloud: azure}}
---
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: heavy, namespace: policies}
spec:
  select: {names: [heavy]}
  division: {limits: {aws: {weight: 3}, azure: {weight: 1}}, rebalance: true}
---
apiVersion: hanse.dev/v1alpha1
kind: ClusterPlacementPolicy
metadata: {name: e2e-few}
spec:
  namespaces: {names: [policies]}
  select: {names: [few, near], kinds: [{apiVersion: apps/v1, kind: Deployment}]}
  division: {limits: {aws: {max: 1}}}`)
	t.Cleanup(func() {
		f.policies("").Delete(context.Background(), "e2e-few", metav1.DeleteOptions{})
	})

	eventually(t, soon, func(ctx context.Context) error {
		return errors.Join(
			f.sharesAre(ctx, ns, "near", map[string]int32{"azure": 2}),
			f.sharesAre(ctx, ns, "heavy", map[string]int32{"aws": 6, "azure": 2}),
			f.sharesAre(ctx, ns, "few", map[string]int32{"aws": 1, "azure": 3}))
	})
	eventually(t, soon, func(ctx context.Context) error { return f.shapedForAzure(ctx, ns) })
	eventually(t, soon, func(ctx context.Context) error {
		if _, err := f.in["aws"].CoreV1().ConfigMaps(ns).Get(ctx, "near", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the ConfigMap is in aws too: %v", err)
		}
		_, err := f.in["azure"].CoreV1().ConfigMaps(ns).Get(ctx, "near", metav1.GetOptions{})
		return err
	})

	p, err := f.placement(t.Context(), ns, "deployments.apps.near")
	must(t, err)
	if p.Policy == nil || p.Policy.Name != "PlacementPolicy policies/near" || len(p.Policy.Overruled) != 1 || !strings.Contains(p.Policy.Overruled[0], "e2e-few") {
		t.Errorf("the placement does not say which policy applies and which does not: %+v", p.Policy)
	}
	why := f.hanse(t, "why", "deploy/near", "-n", ns, "--kubeconfig", f.hub.Kubeconfig())
	if !strings.Contains(why.Stdout, "e2e-few is overruled") || !strings.Contains(why.Stdout, "and must be in (azure)") {
		t.Errorf("hanse why does not say which policy applies, nor which rule rejects aws:\n%s", why)
	}
	eventually(t, soon, func(ctx context.Context) error {
		return f.policyIs(ctx, ns, "near", metav1.ConditionTrue, 2)
	})
	if now := f.versions(t, ns, "plain"); now != untouched {
		t.Errorf("policies touched what they do not select: versions %s became %s", untouched, now)
	}

	// Without the policy the object is as it says itself again, where it runs.
	must(t, f.policies(ns).Delete(t.Context(), "near", metav1.DeleteOptions{}))
	eventually(t, soon, func(ctx context.Context) error {
		d, err := f.in["azure"].AppsV1().Deployments(ns).Get(ctx, "near", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if c := d.Spec.Template.Spec.Containers[0]; c.Image != "nginx:1.29" || len(c.Env) > 0 || len(c.Args) != 1 {
			return fmt.Errorf("the overrides are still there: %+v", c)
		}
		_, err = f.in["aws"].CoreV1().ConfigMaps(ns).Get(ctx, "near", metav1.GetOptions{})
		return err
	})
}

// shapedForAzure says what of the override is missing.
func (f *fed) shapedForAzure(ctx context.Context, ns string) error {
	d, err := f.in["azure"].AppsV1().Deployments(ns).Get(ctx, "near", metav1.GetOptions{})
	if err != nil {
		return err
	}
	c := d.Spec.Template.Spec.Containers[0]
	if c.Image != "registry.azure.example/nginx:1.29" || len(c.Env) != 1 || c.Env[0].Value != "azure" ||
		strings.Join(c.Args, " ") != "serve --near" || d.Annotations["example.com/cloud"] != "azure" {
		return fmt.Errorf("in azure it is %+v, annotations %v", c, d.Annotations)
	}
	return nil
}

// TestPoliciesThatMakeNoSense are refused when they are written, where that can be
// known; where not, the objects say so and run on.
func TestPoliciesThatMakeNoSense(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "nonsense")
	for field, spec := range map[string]string{
		"weights in limits must not all be 0": `{division: {limits: {aws: {weight: 0}, azure: {weight: 0}}}}`,
		"min must not be above max":           `{division: {limits: {aws: {min: 3, max: 2}}}}`,
		"spec.division.strategy":              `{division: {strategy: Fairly}}`,
		"an override must change something":   `{overrides: [{name: nothing}]}`,
	} {
		objects := parseObjects(t, []byte(`{apiVersion: hanse.dev/v1alpha1, kind: PlacementPolicy, metadata: {name: bad, namespace: `+ns+`}, spec: `+spec+`}`))
		err := f.createAt(t.Context(), objects[0])
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("spec %s: want an error with %q, got %v", spec, field, err)
		}
	}

	f.create(t, web(ns, "lost", "", 2)+web(ns, "spread", "", 2)+web(ns, "other", "", 2)+web(ns, "broken", "", 2))
	eventually(t, soon, func(ctx context.Context) error {
		var all []error
		for _, name := range []string{"lost", "spread", "other", "broken"} {
			all = append(all, f.sharesAre(ctx, ns, name, map[string]int32{"aws": 1, "azure": 1}))
		}
		return errors.Join(all...)
	})
	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: lost, namespace: nonsense}
spec: {select: {names: [lost]}, clusters: {names: [atlantis]}}
---
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: spread, namespace: nonsense}
spec: {select: {names: [spread]}, spread: [{key: example.com/rack, atLeast: 2}]}
---
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: broken, namespace: nonsense}
spec: {select: {names: [broken]}, overrides: [{images: [{container: sidecar, tag: "2"}]}]}`)

	for name, says := range map[string]string{"lost": "allows no cluster", "spread": "example.com/rack"} {
		eventually(t, soon, func(ctx context.Context) error {
			return errors.Join(f.placedCondition(ctx, ns, name, v1alpha1.ReasonPlacementProblem, says), f.warned(ctx, ns, name, v1alpha1.ReasonPlacementProblem))
		})
		must(t, f.sharesAre(t.Context(), ns, name, map[string]int32{"aws": 1, "azure": 1}))
		eventually(t, soon, func(ctx context.Context) error {
			return f.policyIs(ctx, ns, name, metav1.ConditionFalse, 1)
		})
	}
	eventually(t, soon, func(ctx context.Context) error {
		p, err := f.placement(ctx, ns, "deployments.apps.broken")
		if err == nil && !strings.Contains(p.Summary.Message, "sidecar") {
			err = fmt.Errorf("the placement does not say what is wrong with the override: %q", p.Summary.Message)
		}
		return errors.Join(err, f.warned(ctx, ns, "broken", v1alpha1.ReasonOverrideFailed))
	})
	must(t, f.sharesAre(t.Context(), ns, "broken", map[string]int32{"aws": 1, "azure": 1}))

	// It can still be scaled down and, once the policy makes sense, up; others never noticed.
	must(t, f.sharesAre(t.Context(), ns, "other", map[string]int32{"aws": 1, "azure": 1}))
	patch := []byte(`{"spec":{"clusters":{"names":["azure"]}}}`)
	_, err := f.policies(ns).Patch(t.Context(), "lost", types.MergePatchType, patch, metav1.PatchOptions{})
	must(t, err)
	eventually(t, soon, func(ctx context.Context) error {
		return errors.Join(f.sharesAre(ctx, ns, "lost", map[string]int32{"azure": 2}), f.placedCondition(ctx, ns, "lost", "", ""))
	})
}

// TestFederationAnnotations are heeded to the letter, or said to be wrong.
func TestFederationAnnotations(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "v1annotations")
	annotated := func(name, key, value string) string {
		return web(ns, name, fmt.Sprintf(", annotations: {%s: '%s'}", key, value), 6)
	}
	const preferences = "federation.kubernetes.io/deployment-preferences"
	const selector = "federation.alpha.kubernetes.io/cluster-selector"
	f.create(t, annotated("weighted", preferences, `{"clusters":{"aws":{"weight":2},"azure":{"weight":1}}}`)+
		annotated("bounded", preferences, `{"clusters":{"*":{"weight":1},"aws":{"maxReplicas":1,"weight":1}}}`)+
		annotated("typo", preferences, `{"clusters":`)+
		annotated("chosen", selector, `[{"key":"hanse.dev/provider","operator":"in","values":["aws"]}]`)+
		annotated("nowhere", selector, `[{"key":"hanse.dev/provider","operator":"near","values":["aws"]}]`))
	eventually(t, soon, func(ctx context.Context) error {
		return errors.Join(
			f.sharesAre(ctx, ns, "weighted", map[string]int32{"aws": 4, "azure": 2}),
			f.sharesAre(ctx, ns, "bounded", map[string]int32{"aws": 1, "azure": 5}),
			f.sharesAre(ctx, ns, "typo", map[string]int32{"aws": 3, "azure": 3}),
			f.sharesAre(ctx, ns, "chosen", map[string]int32{"aws": 6}),
			f.sharesAre(ctx, ns, "nowhere", map[string]int32{}),
			f.placedCondition(ctx, ns, "typo", v1alpha1.ReasonPlacementProblem, preferences),
			f.warned(ctx, ns, "typo", v1alpha1.ReasonPlacementProblem),
			f.placedCondition(ctx, ns, "nowhere", v1alpha1.ReasonPlacementProblem, `there is no operator "near"`))
	})
}

// policies is the PlacementPolicies of a namespace, or without one the
// ClusterPlacementPolicies.
func (f *fed) policies(ns string) dynamic.ResourceInterface {
	if ns == "" {
		return f.at.dynamic.Resource(v1alpha1.Resource("clusterplacementpolicies"))
	}
	return f.at.dynamic.Resource(v1alpha1.Resource("placementpolicies")).Namespace(ns)
}

// policyIs says how the status of a PlacementPolicy differs.
func (f *fed) policyIs(ctx context.Context, ns, name string, accepted metav1.ConditionStatus, objects int32) error {
	u, err := f.policies(ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	p, err := as[v1alpha1.PlacementPolicy](u)
	if err != nil {
		return err
	}
	if !meta.IsStatusConditionPresentAndEqual(p.Status.Conditions, v1alpha1.ConditionAccepted, accepted) || p.Status.Objects != objects {
		return fmt.Errorf("policy %s: want Accepted %s and %d objects, have %+v", name, accepted, objects, p.Status)
	}
	return nil
}

// TestRolesForPlacement goes through what the roles of Kubernetes let somebody do with
// policies, Clusters and plans.
func TestRolesForPlacement(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "placers")
	keeper := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "hanse:test-keeper"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"hanse.dev"}, Resources: []string{"clusters"}, Verbs: []string{"patch"}}},
	}
	_, err := f.at.RbacV1().ClusterRoles().Create(t.Context(), keeper, metav1.CreateOptions{})
	must(t, err)
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	policy := func(kind, namespace string) *unstructured.Unstructured {
		return parseObjects(t, []byte(fmt.Sprintf("{apiVersion: hanse.dev/v1alpha1, kind: %s, metadata: {name: new%s}, spec: {division: {strategy: Pack}}}", kind, namespace)))[0]
	}
	for _, c := range []struct {
		role                                      string
		look, write, writeEverybody, keepClusters bool
	}{
		{role: "view", look: true},
		{role: "edit", look: true, write: true},
		{role: "cluster-admin", look: true, write: true, writeEverybody: true, keepClusters: true},
		{role: "hanse:test-keeper", keepClusters: true},
		{role: "nobody"},
	} {
		t.Run(c.role, func(t *testing.T) {
			user := f.as(t, "placement", c.role)
			own, everybody := user.dynamic.Resource(v1alpha1.Resource("placementpolicies")).Namespace(ns), user.dynamic.Resource(v1alpha1.Resource("clusterplacementpolicies"))
			for _, one := range []struct {
				what string
				want bool
				try  func(context.Context) error
			}{
				{"list policies", c.look, func(ctx context.Context) error { _, err := own.List(ctx, metav1.ListOptions{}); return err }},
				{"list policies for all", c.look, func(ctx context.Context) error { _, err := everybody.List(ctx, metav1.ListOptions{}); return err }},
				{"plan", c.look, func(ctx context.Context) error {
					return user.Discovery().RESTClient().Post().RequestURI("/hanse/plan").Body([]byte(`{"objects":[]}`)).Do(ctx).Error()
				}},
				{"write a policy", c.write, func(ctx context.Context) error {
					_, err := own.Create(ctx, policy("PlacementPolicy", ", namespace: "+ns), dryRun)
					return err
				}},
				{"write a policy for all", c.writeEverybody, func(ctx context.Context) error {
					_, err := everybody.Create(ctx, policy("ClusterPlacementPolicy", ""), dryRun)
					return err
				}},
				{"see what is held", c.keepClusters, func(ctx context.Context) error {
					return user.Discovery().RESTClient().Get().RequestURI("/hanse/held/aws").Do(ctx).Error()
				}},
				{"prune", c.keepClusters, func(ctx context.Context) error {
					return user.Discovery().RESTClient().Post().RequestURI("/hanse/held/aws").Body([]byte(`{"cluster":"aws"}`)).Do(ctx).Error()
				}},
				{"drain a cluster", c.keepClusters, func(ctx context.Context) error {
					_, err := user.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(ctx, "aws", types.MergePatchType,
						[]byte(`{"spec":{"drain":true}}`), metav1.PatchOptions{DryRun: dryRun.DryRun})
					return err
				}},
			} {
				if one.want { // the hub may take a moment to notice the binding
					eventually(t, soon, one.try)
				} else if err := one.try(t.Context()); !apierrors.IsForbidden(err) {
					t.Errorf("%s, which is not allowed: %v", one.what, err)
				}
			}
		})
	}
}

// versions are the resource versions of a Deployment in the members.
func (f *fed) versions(t *testing.T, ns, name string) string {
	t.Helper()
	var out []string
	for _, m := range f.members {
		eventually(t, soon, func(ctx context.Context) error {
			d, err := f.in[m.Name].AppsV1().Deployments(ns).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if d.Status.ReadyReplicas != *d.Spec.Replicas {
				return fmt.Errorf("%d of %d are ready in %s", d.Status.ReadyReplicas, *d.Spec.Replicas, m.Name)
			}
			out = append(out, fmt.Sprint(d.Generation, "/", d.UID))
			return nil
		})
	}
	return strings.Join(out, " ")
}

// placedCondition says how a Deployment's ConditionPlaced differs; an empty reason
// wants none.
func (f *fed) placedCondition(ctx context.Context, ns, name, reason, says string) error {
	d, err := f.at.AppsV1().Deployments(ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	var found *appsv1.DeploymentCondition
	for i := range d.Status.Conditions {
		if d.Status.Conditions[i].Type == v1alpha1.ConditionPlaced {
			found = &d.Status.Conditions[i]
		}
	}
	switch {
	case found == nil && reason == "":
		return nil
	case found == nil || found.Reason != reason || !strings.Contains(found.Message, says):
		return fmt.Errorf("%s: want the condition %q with %q, have %+v", name, reason, says, found)
	}
	return nil
}

// warned says that there is no warning with that reason about a Deployment at the hub.
func (f *fed) warned(ctx context.Context, ns, name, reason string) error {
	events, err := f.at.CoreV1().Events(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, e := range events.Items {
		if e.InvolvedObject.Name == name && e.Reason == reason && e.Type == "Warning" {
			return nil
		}
	}
	return fmt.Errorf("no warning %s about %s", reason, name)
}
