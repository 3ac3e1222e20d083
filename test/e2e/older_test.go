package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// oldest is the oldest version of Kubernetes that the API server of this release can
// behave as.
const oldest = "1.34"

// Fields that came after the oldest version: their features are off there.
const newerFields = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: named, namespace: older}
spec:
  replicas: 2
  selector: {matchLabels: {app: named}}
  template:
    metadata: {labels: {app: named}}
    spec:
      hostnameOverride: named.example.com
      containers: [{name: c, image: pause, env: [{name: a, value: b}]}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: tolerant, namespace: older}
spec:
  scaleTargetRef: {apiVersion: example.com/v1, kind: Other, name: none}
  maxReplicas: 3
  behavior: {scaleUp: {tolerance: "0.2"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: plain, namespace: older}
data: {a: b}
`

// TestOlderMember has a member that behaves as the oldest version that is supported, and
// one whose CRD is older than the hub's: what they do not keep is named, all else is there,
// and it arrives once the member knows it.
func TestOlderMember(t *testing.T) {
	t.Parallel()
	f := own(t, "older",
		federation.MemberSpec{Name: "ancient", EmulatedVersion: oldest},
		federation.MemberSpec{Name: "modern", Provider: "azure"})
	ctx, ancient := t.Context(), f.in["ancient"]
	crd := parseObjects(t, []byte(gadgetsCRD("size: {type: integer}")))[0]
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	if _, err := ancient.dynamic.Resource(crds).Create(ctx, crd, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.namespace(t, "older")
	f.create(t, newerFields)
	f.create(t, gadgetsCRD("size: {type: integer}, colour: {type: string}"))
	f.create(t, "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: g, namespace: older}\nspec: {size: 3, colour: red}")

	eventually(t, soon, func(ctx context.Context) error {
		return f.drops(ctx, "deployments.apps.named", "spec.template.spec.hostnameOverride")
	})
	eventually(t, soon, func(ctx context.Context) error {
		return f.drops(ctx, "horizontalpodautoscalers.autoscaling.tolerant", "spec.behavior.scaleUp.tolerance")
	})
	eventually(t, soon, func(ctx context.Context) error {
		return f.drops(ctx, "gadgets.example.com.g", "spec.colour")
	})
	eventually(t, soon, func(ctx context.Context) error { return f.synced(ctx, "older", "configmaps.plain") })
	d, err := ancient.AppsV1().Deployments("older").Get(ctx, "named", metav1.GetOptions{})
	if err != nil || d.Spec.Template.Spec.Containers[0].Env[0].Value != "b" {
		t.Errorf("the rest of it was not written: %v %+v", err, d)
	}
	eventually(t, soon, func(ctx context.Context) error {
		c, err := f.cluster(ctx, "ancient")
		if err != nil {
			return err
		}
		synced := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionSynced)
		if synced == nil || synced.Status != metav1.ConditionFalse || !strings.Contains(synced.Message, "Try:") {
			return fmt.Errorf("its condition is %+v", synced)
		}
		return nil
	})
	why, err := f.home.Run(ctx, "why", "gadget/g", "-n", "older", "--kubeconfig", f.hub.Kubeconfig())
	if err != nil || !strings.Contains(why.Stdout, "FieldsDropped") || !strings.Contains(why.Stdout, "did not keep spec.colour") {
		t.Errorf("hanse why: %v %s", err, why)
	}

	// Nothing is written again and again.
	version := func(gvr schema.GroupVersionResource, name string) string {
		o, err := ancient.dynamic.Resource(gvr).Namespace("older").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return o.GetResourceVersion()
	}
	gadgets := schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "gadgets"}
	deployments := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	before := []string{version(gadgets, "g"), version(deployments, "named")}

	// The CRD there is upgraded.
	newer := `[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/colour","value":{"type":"string"}}]`
	if _, err := ancient.dynamic.Resource(crds).Patch(ctx, "gadgets.example.com", types.JSONPatchType, []byte(newer), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error { return f.synced(ctx, "older", "gadgets.example.com.g") })
	after := []string{version(gadgets, "g"), version(deployments, "named")}
	if before[0] == after[0] || before[1] != after[1] {
		t.Errorf("versions were %v and are %v", before, after)
	}
}

// drops says whether the member that is older keeps all but one field, and the other all.
func (f *fed) drops(ctx context.Context, placement, field string) error {
	p, err := f.placement(ctx, "older", placement)
	if err != nil {
		return err
	}
	states := map[string]v1alpha1.ClusterPlacement{}
	for _, c := range p.Clusters {
		states[c.Name] = c
	}
	if c := states["ancient"]; c.State != v1alpha1.StateFieldsDropped || !strings.Contains(c.Message, "did not keep "+field+":") {
		return fmt.Errorf("%s in ancient is %+v", placement, c)
	}
	if c := states["modern"]; c.State != v1alpha1.StateSynced {
		return fmt.Errorf("%s in modern is %+v", placement, c)
	}
	return nil
}

func gadgetsCRD(spec string) string {
	return `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets, singular: gadget, listKind: GadgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {` + spec + `}}}}}
`
}
