package override_test

import (
	"reflect"
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
)

// TestReachIsAllThatIsChanged: what is outside of the reach of an override is left as it is. Admission relies on that.
func TestReachIsAllThatIsChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOverride(t)
		kinds, open := override.Reach(o)
		if open {
			return
		}
		before := drawObject(t)
		gv, err := schema.ParseGroupVersion(before["apiVersion"].(string))
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(kinds, schema.GroupKind{Group: gv.Group, Kind: before["kind"].(string)}) {
			return
		}
		after, changes, err := override.Apply(before, []override.Override{{Name: "o", Spec: o}})
		if err != nil || len(changes) > 0 || !reflect.DeepEqual(before, after) {
			t.Fatalf("%v is not in the reach %v, and became %v (%v)", before, kinds, after, err)
		}
	})
}

func TestPoliciesOfNamespacesLeaveGuardedKindsAlone(t *testing.T) {
	patch := &v1alpha1.Override{StrategicMerge: &apiextensionsv1.JSON{Raw: []byte(`{"spec":{"hard":{"pods":"100000"}},"rules":[{"verbs":["*"]}],"data":{"a":"b"}}`)}}
	for kind, guarded := range map[string]bool{
		"rbac.authorization.k8s.io/v1 Role": true, "rbac.authorization.k8s.io/v1 ClusterRoleBinding": true, "v1 ResourceQuota": true, "v1 LimitRange": true,
		"networking.k8s.io/v1 NetworkPolicy": true, "v1 ServiceAccount": true, "v1 Secret": true, "v1 ConfigMap": false, "networking.k8s.io/v1 Ingress": false,
		"example.com/v1 Secret": false,
	} {
		gvk := kindOf(kind)
		object := map[string]any{"apiVersion": gvk.GroupVersion().String(), "kind": gvk.Kind, "metadata": map[string]any{"name": "x"}}
		for _, namespaced := range []bool{false, true} {
			_, changes, err := override.Apply(object, []override.Override{{Name: "o", Spec: patch, Namespaced: namespaced}})
			if err != nil {
				t.Fatal(err)
			}
			if left := len(changes) == 0; left != (guarded && namespaced) {
				t.Errorf("%s, of a policy in a namespace %t: left alone %t", kind, namespaced, left)
			}
		}
	}
}

func kindOf(s string) schema.GroupVersionKind {
	i := slices.Index([]byte(s), ' ')
	return schema.FromAPIVersionAndKind(s[:i], s[i+1:])
}
