package policies

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// manifest is a PlacementPolicy for what is called web.
func manifest(name string, generation int64, clusters ...any) *unstructured.Unstructured {
	spec := map[string]any{"select": map[string]any{"names": []any{"web"}}}
	if clusters != nil {
		spec["clusters"] = map[string]any{"names": clusters}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "hanse.dev/v1alpha1", "kind": "PlacementPolicy", "spec": spec,
		"metadata": map[string]any{"name": name, "namespace": "shop", "uid": "uid-" + name, "generation": generation},
	}}
}

func web(t *testing.T) *template.Template {
	t.Helper()
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web", "namespace": "shop"}, "spec": map[string]any{}}}
	read, err := template.Read(template.Scalable()[0], obj, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func written(all ...*unstructured.Unstructured) []*unstructured.Unstructured { return all }

// TestAPolicyThatMakesNoSenseLeavesTheOneBeforeInEffect, also in a copy that is told what it takes.
func TestAPolicyThatMakesNoSenseLeavesTheOneBeforeInEffect(t *testing.T) {
	p := New()
	if p.For(web(t)) != p.None {
		t.Error("a policy applies, and there is none")
	}
	if !p.Write(written(manifest("few", 1, "aws")), nil) {
		t.Fatal("a new policy is no change")
	}
	first := p.For(web(t))
	if first.Name != "few" {
		t.Fatalf("%s applies", first)
	}
	if p.Write(written(manifest("few", 1, "aws")), nil) || p.For(web(t)) != first {
		t.Error("a write of the status is another policy")
	}
	wrong := manifest("few", 2)
	wrong.Object["spec"].(map[string]any)["clusters"] = "aws"
	if p.Write(written(wrong), nil) || p.For(web(t)) != first {
		t.Error("what makes no sense is in effect")
	}
	twin := New()
	for _, known := range p.Known() {
		if known.Mistake == "" || known.InEffect != first {
			t.Errorf("known is %+v", known)
		}
		for _, obj := range known.Written() {
			twin.Write(written(obj), nil)
		}
	}
	if got := twin.Known(); len(got) != 1 || got[0].Mistake == "" || twin.For(web(t)).Name != "few" {
		t.Errorf("the copy knows %+v", got)
	}
	clone := p.Clone()
	if !p.Write(nil, []types.UID{"uid-few"}) || p.For(web(t)) != p.None || clone.For(web(t)) != first || len(clone.Known()) != 1 {
		t.Error("a policy that is gone applies, or the clone has lost it, too")
	}
}

func TestNamespacesThatChanged(t *testing.T) {
	p := New()
	labels := func(team string) map[string]string { return map[string]string{"team": team} }
	p.SetNamespaces(map[string]map[string]string{"shop": labels("a"), "old": nil, "same": labels("b")})
	got := p.SetNamespaces(map[string]map[string]string{"shop": labels("c"), "new": nil, "same": labels("b")})
	if len(got) != 3 || !got["shop"] || !got["old"] || !got["new"] {
		t.Errorf("changed are %v", got)
	}
	if again := p.SetNamespaces(p.Namespaces()); again != nil {
		t.Errorf("nothing is different, and changed are %v", again)
	}
	if p.SetNamespaces(nil); p.Namespaces() == nil {
		t.Error("without Namespaces there is no map")
	}
}

func TestNamespacesAreAwaitedOnlyIfAPolicyAsksForThem(t *testing.T) {
	p := New()
	if p.AwaitsNamespace(web(t)) {
		t.Error("no policy asks")
	}
	obj := manifest("all", 1)
	obj.SetKind("ClusterPlacementPolicy")
	obj.SetNamespace("")
	obj.Object["spec"].(map[string]any)["namespaces"] = map[string]any{"labels": map[string]any{"matchLabels": map[string]any{"team": "a"}}}
	p.Write(written(obj), nil)
	if !p.AwaitsNamespace(web(t)) {
		t.Error("the labels of its Namespace are not known, and it is not waited for them")
	}
	p.SetNamespaces(map[string]map[string]string{"shop": nil})
	if p.AwaitsNamespace(web(t)) {
		t.Error("they are known")
	}
}

func TestWhatIsAppliedTogether(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	made := func(ago time.Duration) (*template.Template, *policy.Policy) {
		one := *web(t)
		one.Created = metav1.NewTime(now.Add(-ago)).Time
		p := policy.NoPolicy()
		p.Created = now
		return &one, p
	}
	for ago, want := range map[time.Duration]bool{29 * time.Second: true, 30 * time.Second: false} {
		if one, p := made(ago); AppliedTogether(one, p, now) != want {
			t.Errorf("made %s ago: %t", ago, !want)
		}
	}
}
