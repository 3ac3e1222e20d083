package decide

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// quotaRig is a hub with a quota in Namespace shop, and members that do what they are told once they are asked.
type quotaRig struct {
	*rig
	inForce map[string]map[string]any // spec.hard that each member's controller goes by
	used    map[string]map[string]any
}

func newQuotaRig(names ...string) *quotaRig {
	r := &quotaRig{rig: newRig(deployments()), inForce: map[string]map[string]any{}, used: map[string]map[string]any{}}
	r.serves(template.Quotas())
	var all []*Cluster
	for _, name := range names {
		all = append(all, ready(name, 0))
	}
	r.clusters(all...)
	for _, name := range names {
		r.engage(name)
		r.apply(Read{name, template.Quotas(), true})
	}
	return r
}

func (r *quotaRig) quota(hard map[string]any, annotations map[string]string) *Assignment {
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ResourceQuota", "spec": map[string]any{"hard": hard},
		"metadata": map[string]any{"name": "team", "namespace": "shop", "uid": "uid-team", "creationTimestamp": at(10).Format(time.RFC3339), "resourceVersion": "7"},
	}}
	obj.SetAnnotations(annotations)
	return r.write(template.Quotas(), obj)
}

func (r *quotaRig) key2() template.Key {
	return template.Key{GR: template.Quotas(), Namespace: "shop", Name: "team"}
}

// member has a member do what it is to, and show it.
func (r *quotaRig) member(t *testing.T, name string) map[string]any {
	t.Helper()
	a := r.w.at(r.key2())
	w := a.For(name, r.w.facts)
	if w.Waits || !w.Placed {
		return nil
	}
	made, _, err := override.Apply(w.Content.Object, w.Shape.Overrides)
	must(t, err)
	hard := made["spec"].(map[string]any)["hard"].(map[string]any)
	r.inForce[name] = hard
	used := r.used[name]
	if used == nil {
		used = map[string]any{}
	}
	target := w.Target()
	r.apply(Seen{name, r.key2(), &Observed{UID: "there", Ours: true, Template: a.UID, Left: &target, InSync: true, Status: map[string]any{"hard": hard, "used": used}}})
	return hard
}

// settle lets time go by until nothing is to be recorded, and members follow.
func (r *quotaRig) settle(t *testing.T) string {
	t.Helper()
	for range 30 {
		r.pass(2 * quotaDelay)
		r.record()
		for _, name := range r.w.names {
			if r.w.reached(name) {
				r.member(t, name)
			}
		}
	}
	var said []string
	for _, name := range slices.Sorted(maps.Keys(r.inForce)) {
		said = append(said, fmt.Sprint(name, "=", r.inForce[name]["pods"]))
	}
	return strings.Join(said, " ")
}

// TestAQuotaIsTheTotal over all clusters: nothing goes anywhere before it is divided, and it follows what is used.
func TestAQuotaIsTheTotal(t *testing.T) {
	r := newQuotaRig("aws", "azure", "google")
	a := r.quota(map[string]any{"pods": "10", "secrets": "5", "requests.nvidia.com/gpu": "3"}, nil)
	if w := a.For("aws", r.w.facts); !w.Waits {
		t.Fatal("it goes to members whole")
	}
	if got := r.settle(t); got != "aws=4 azure=3 google=3" {
		t.Fatal(got)
	}
	if hard := r.inForce["aws"]; hard["secrets"] != "5" || hard["requests.nvidia.com/gpu"] != "1" {
		t.Errorf("aws has %v", hard)
	}
	r.used["aws"] = map[string]any{"pods": "4"}
	r.member(t, "aws")
	if got := r.settle(t); got == "aws=4 azure=3 google=3" || !strings.HasPrefix(got, "aws=") {
		t.Errorf("it does not follow what is used: %s", got)
	}
	r.deployment("web", 10, 6, nil) // what runs there keeps some
	r.record()
	// A cluster that is away keeps its part, one that leaves gives it to the others.
	before := r.inForce["google"]["pods"]
	r.apply(Engaged{"google", false})
	r.quota(map[string]any{"pods": "20"}, r.w.at(r.key2()).Object.GetAnnotations())
	if r.settle(t); r.inForce["google"]["pods"] != before {
		t.Errorf("a cluster that is away has %v, and had %v", r.inForce["google"]["pods"], before)
	}
	sum := 0
	for _, name := range []string{"aws", "azure", "google"} {
		n := 0
		_, err := fmt.Sscan(fmt.Sprint(r.inForce[name]["pods"]), &n)
		must(t, err)
		sum += n
	}
	if sum != 20 {
		t.Errorf("%v", r.inForce)
	}
	delete(r.inForce, "google")
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.settle(t)
	parts := r.w.at(r.key2()).Quota.Parts
	if n := parts["aws"].Hard["pods"] + parts["azure"].Hard["pods"]; n != 20 || len(parts) != 2 {
		t.Errorf("of 20 the others have %d: %v", n, parts)
	}
	r.remove(r.w.at(r.key2()))
	if len(r.w.quotas) > 0 {
		t.Errorf("it remembers %v", r.w.quotas)
	}
}

// TestWhatIsLoweredIsConfirmedFirst: a member that has not followed yet counts with what it has.
func TestWhatIsLoweredIsConfirmedFirst(t *testing.T) {
	r := newQuotaRig("aws", "azure")
	r.quota(map[string]any{"pods": "8"}, nil)
	if got := r.settle(t); got != "aws=4 azure=4" {
		t.Fatal(got)
	}
	r.used["aws"] = map[string]any{"pods": "4"}
	r.member(t, "aws")
	for range 10 { // azure does not get on
		r.pass(2 * quotaDelay)
		r.record()
		r.member(t, "aws")
	}
	parts := r.w.at(r.key2()).Quota.Parts
	if parts["aws"].Hard["pods"] != 4 || parts["azure"].Hard["pods"] >= 4 || parts["azure"].Had["pods"] != 4 {
		t.Errorf("%v", parts)
	}
	if r.settle(t); r.inForce["aws"]["pods"] == "4" {
		t.Errorf("%v", r.inForce)
	}
}

// TestAQuotaForEach is what it was; one without anything to divide, too.
func TestAQuotaForEach(t *testing.T) {
	r := newQuotaRig("aws", "azure")
	for _, c := range []struct {
		hard        map[string]any
		annotations map[string]string
	}{{map[string]any{"pods": "10"}, map[string]string{v1alpha1.AnnotationQuota: "each"}}, {map[string]any{"secrets": "10", "count/deployments.apps": "3"}, nil}} {
		a := r.quota(c.hard, c.annotations)
		if w := a.For("aws", r.w.facts); w.Waits || len(w.Shape.Overrides) > 0 {
			t.Errorf("%v: it waits %t, and is changed by %v", c.hard, w.Waits, w.Shape)
		}
	}
	if a := r.quota(map[string]any{"pods": "10"}, map[string]string{v1alpha1.AnnotationQuota: "all"}); a.Mistake == "" || a.Quota == nil {
		t.Error("a value that is not known is not said to be")
	}
}
