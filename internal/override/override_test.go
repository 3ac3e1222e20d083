package override_test

import (
	"errors"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
)

func TestForKind(t *testing.T) {
	o := &v1alpha1.Override{Kinds: []v1alpha1.ObjectKind{{APIVersion: "apps/v1", Kind: "Deployment"}, {APIVersion: "v1", Kind: "Pod"}, {APIVersion: "a/b/c", Kind: "Bad"}}}
	for gk, want := range map[schema.GroupKind]bool{
		{Group: "apps", Kind: "Deployment"}:    true,
		{Group: "example", Kind: "Deployment"}: false,
		{Group: "apps", Kind: "DaemonSet"}:     false,
		{Kind: "Pod"}:                          true,
		{Kind: "Bad"}:                          false,
	} {
		if got := override.ForKind(o, gk); got != want {
			t.Errorf("%v: %v", gk, got)
		}
		if !override.ForKind(&v1alpha1.Override{}, gk) {
			t.Errorf("%v is not for an override without kinds", gk)
		}
	}
}

// TestNothingToDo: what is not overridden is not copied.
func TestNothingToDo(t *testing.T) {
	content := deployment()
	others := []override.Override{{Name: "o", Spec: &v1alpha1.Override{Kinds: []v1alpha1.ObjectKind{{APIVersion: "v1", Kind: "Pod"}}, Replicas: ptr(int32(1))}}}
	for _, all := range [][]override.Override{nil, others} {
		got, changes, err := override.Apply(content, all)
		if err != nil || changes != nil {
			t.Fatal(changes, err)
		}
		got["mark"] = true
		if content["mark"] != true {
			t.Error("it was copied")
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		spec        v1alpha1.Override
		field, want string
	}{
		{v1alpha1.Override{Images: []v1alpha1.ImageOverride{{Tag: "v1"}, {Image: "A"}}}, "images[1]", "is not a reference to an image"},
		{v1alpha1.Override{JSONPatch: []v1alpha1.JSONPatchOperation{{Op: "remove", Path: "/a"}, {Op: "put", Path: "/a"}}}, "jsonPatch[1]", "is no operation"},
		{v1alpha1.Override{JSONPatch: []v1alpha1.JSONPatchOperation{{Op: "add", Path: "/a", Value: &apiextensionsv1.JSON{Raw: []byte("{")}}}}, "jsonPatch[0]", "value is not JSON"},
		{v1alpha1.Override{StrategicMerge: &apiextensionsv1.JSON{Raw: []byte("[]")}}, "strategicMerge", "not a JSON object"},
		{v1alpha1.Override{StrategicMerge: &apiextensionsv1.JSON{Raw: []byte(`{"status":{}}`)}}, "strategicMerge", "status cannot be overridden"},
	} {
		err := override.Check(override.Override{Name: "override eu", Spec: &c.spec})
		if err == nil || err.Field != c.field || !strings.HasPrefix(err.Error(), "override eu, "+c.field+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s: %s", err, c.field, c.want)
		}
	}
	if err := override.Check(override.Override{Name: "o", Spec: &v1alpha1.Override{Images: []v1alpha1.ImageOverride{{Registry: "a.b", Container: "c"}}}}); err != nil {
		t.Error(err)
	}
}

func TestErrorIsTyped(t *testing.T) {
	_, _, err := override.Apply(deployment(), []override.Override{{Name: "eu", Spec: &v1alpha1.Override{Env: []v1alpha1.EnvOverride{{Container: "none", Remove: []string{"A"}}}}}})
	var typed *override.Error
	if !errors.As(err, &typed) || typed.Override != "eu" || typed.Field != "env[0]" {
		t.Errorf("%#v", err)
	}
}
