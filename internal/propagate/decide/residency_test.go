package decide

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// residencyManifest is a Residency that allows regions alone.
func residencyManifest(name string, generation int64, spec map[string]any, regions ...string) *unstructured.Unstructured {
	values := make([]any, len(regions))
	for i := range regions {
		values[i] = regions[i]
	}
	spec["clusters"] = map[string]any{"fields": []any{map[string]any{"key": "region", "operator": "In", "values": values}}}
	r := policyManifest(name, at(5), generation, spec)
	r.SetKind("Residency")
	r.SetNamespace("")
	return r
}

func ofShop() map[string]any { return map[string]any{"namespaces": []any{"shop"}} }

// declaredIn is a cluster that was declared to be in a region, of which its nodes say the same.
func declaredIn(name, region string) *Cluster {
	c := ready(name, 0)
	c.Facts.Region, c.Facts.Declared = region, &policy.Cluster{Name: name, Region: region}
	return c
}

func (r *rig) namespaceObject(name string) *Assignment {
	return r.write(template.Namespaces(), &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": name, "uid": "uid-ns-" + name, "resourceVersion": "7", "creationTimestamp": at(10).Format(time.RFC3339)}}})
}

// resident is a rig with all that a namespace needs.
func resident() *rig {
	r := newRig(deployments())
	r.serves(secrets())
	r.serves(template.Namespaces())
	r.clusters(declaredIn("aws", "us"), declaredIn("azure", "eu"), declaredIn("hetzner", "eu"))
	r.apply(NamespacesListed{Labels: map[string]map[string]string{"shop": {"tier": "eu"}}})
	return r
}

func placedIn(a *Assignment) string {
	return strings.Join(slices.Sorted(maps.Keys(a.Shares)), ",")
}

func TestAResidencyHoldsForAllOfANamespaceAndTheNamespace(t *testing.T) {
	r := resident()
	web, key, shop := r.deployment("web", 10, 8, nil), r.secret("key"), r.namespaceObject("shop")
	if placedIn(key) != "aws,azure,hetzner" {
		t.Fatalf("without one it is in %s", placedIn(key))
	}
	r.apply(policyOf(residencyManifest("eu", 1, ofShop(), "eu")))
	for _, a := range []*Assignment{web, key, shop} {
		a = r.w.at(a.Key)
		if placedIn(a) != "azure,hetzner" {
			t.Errorf("%s is in %s", a.Key, placedIn(a))
		}
		if w := a.For("aws", r.w.facts); !w.Barred || w.Outside != "Residency eu keeps it out: region is us, and must be in (eu)" {
			t.Errorf("%s in aws: %q", a.Key, w.Outside)
		}
		if w := a.For("azure", r.w.facts); w.Barred || w.Outside != "" {
			t.Errorf("%s in azure: %q", a.Key, w.Outside)
		}
	}
	if got := r.w.at(web.Key).Placed(); got != 8 {
		t.Errorf("%d replicas are placed", got)
	}
	for _, rejected := range r.w.at(web.Key).Decision.Rejected {
		if rejected.Cluster == "aws" && !strings.Contains(rejected.Reason, "Residency eu keeps it out") {
			t.Errorf("hanse why says %q", rejected.Reason)
		}
	}
	r.apply(PoliciesChanged{Gone: []types.UID{"uid-eu"}})
	if placedIn(r.w.at(key.Key)) != "aws,azure,hetzner" {
		t.Error("once it is deleted, the Secret does not go everywhere again")
	}
}

func TestSeveralResidenciesIntersect(t *testing.T) {
	r := resident()
	key := r.secret("key")
	not := residencyManifest("not-azure", 1, map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"tier": "eu"}}})
	_ = unstructured.SetNestedMap(not.Object, map[string]any{"exclude": []any{"azure"}}, "spec", "clusters")
	r.apply(PoliciesChanged{Written: []*unstructured.Unstructured{residencyManifest("eu", 1, ofShop(), "eu"), not}})
	if got := placedIn(r.w.at(key.Key)); got != "hetzner" {
		t.Errorf("it is in %s", got)
	}
	r.apply(NamespaceWritten{Name: "shop", Labels: map[string]string{}})
	if got := placedIn(r.w.at(key.Key)); got != "azure,hetzner" {
		t.Errorf("once the labels are others it is in %s", got)
	}
}

// TestWhatAMemberSaysOfItselfLetsItIntoNoResidency: whoever controls it may have it say anything.
func TestWhatAMemberSaysOfItselfLetsItIntoNoResidency(t *testing.T) {
	r := resident()
	liar := ready("liar", 0)
	liar.Facts.Region, liar.Facts.Declared = "eu", &policy.Cluster{Name: "liar"}
	r.clusters(declaredIn("azure", "eu"), liar)
	r.apply(policyOf(residencyManifest("eu", 1, ofShop(), "eu")))
	key := r.secret("key")
	if got := placedIn(key); got != "azure" {
		t.Errorf("the Secret is in %s", got)
	}
	if why := key.For("liar", r.w.facts).Outside; !strings.Contains(why, "its region is eu as its own nodes say, and was not declared at the hub. Try: ") {
		t.Errorf("why: %s", why)
	}
}

// TestAResidencyThatCannotBeReadHolds what it may select: nothing new is placed, nothing moves.
func TestAResidencyThatCannotBeReadHolds(t *testing.T) {
	broken := func(selects map[string]any) *unstructured.Unstructured {
		selects["clusters"] = map[string]any{"fields": "eu"}
		r := residencyManifest("eu", 1, selects)
		_ = unstructured.SetNestedField(r.Object, "eu", "spec", "clusters")
		return r
	}
	for name, c := range map[string]struct {
		selects    map[string]any
		other      bool
		generation int64
	}{
		"its clusters":                  {selects: ofShop()},
		"its namespaces and clusters":   {selects: map[string]any{"namespaces": "shop"}, other: true},
		"nothing of it makes any sense": {selects: map[string]any{"namespaceSelector": int64(1)}, other: true},
	} {
		r := resident()
		before := r.deployment("web", 10, 9, nil)
		r.apply(policyOf(broken(c.selects)))
		for _, a := range []*Assignment{r.w.at(before.Key), r.secret("key"), r.namespaceObject("shop")} {
			if !a.Withheld() || !strings.Contains(a.Concern().Message, "Try: correct the Residency") {
				t.Errorf("%s: %s: withheld %t, %+v", name, a.Key, a.Withheld(), a.Concern())
			}
		}
		if other := r.namespaceObject("other"); other.Withheld() != c.other {
			t.Errorf("%s: another namespace: withheld %t", name, other.Withheld())
		}
	}
	r := resident()
	r.apply(policyOf(residencyManifest("eu", 1, ofShop(), "eu")))
	edited := broken(ofShop())
	edited.SetGeneration(2)
	r.apply(policyOf(edited))
	if got := placedIn(r.secret("key")); got != "azure,hetzner" {
		t.Errorf("one that was read before is in effect as it was: the Secret is in %s", got)
	}
	again := resident() // the hub is restarted
	edited.Object["status"] = map[string]any{"inEffect": map[string]any{"generation": int64(1), "spec": residencyManifest("eu", 1, ofShop(), "eu").Object["spec"]}}
	again.apply(policyOf(edited))
	if got := placedIn(again.secret("key")); got != "azure,hetzner" {
		t.Errorf("… also after a restart: the Secret is in %s", got)
	}
}

// TestWhereNoClusterIsAllowedWhatRunsStays: to stop it everywhere is more than a mistake in a Residency may do.
func TestWhereNoClusterIsAllowedWhatRunsStays(t *testing.T) {
	r := resident()
	for _, name := range []string{"aws", "azure", "hetzner"} {
		r.engage(name)
	}
	web := r.deployment("web", 10, 9, nil)
	for name, n := range web.Decision.Division() {
		r.apply(Seen{name, web.Key, there(web.UID, n, map[string]any{"readyReplicas": int64(n), "replicas": int64(n)})})
	}
	r.apply(policyOf(residencyManifest("moon", 1, ofShop(), "moon")))
	web = r.w.at(web.Key)
	for _, name := range []string{"aws", "azure", "hetzner"} {
		w := web.For(name, r.w.facts)
		if w.Outside == "" || w.Share.Replicas != 3 && !w.Withheld {
			t.Errorf("%s is to run %d: %s", name, w.Share.Replicas, web.Decision)
		}
	}
	if web.Concern().Message == "" {
		t.Error("nobody is told")
	}
}

// TestTighteningMovesMakeBeforeBreak: what is outside runs until others are ready in its place.
func TestTighteningMovesMakeBeforeBreak(t *testing.T) {
	r := resident()
	for _, name := range []string{"aws", "azure", "hetzner"} {
		r.engage(name)
	}
	web := r.deployment("web", 10, 9, nil)
	show := func(name string, n, ready int64) {
		r.apply(Seen{name, web.Key, there(web.UID, int32(n), map[string]any{"readyReplicas": ready, "replicas": n})})
	}
	for _, name := range []string{"aws", "azure", "hetzner"} {
		show(name, 3, 3)
	}
	r.apply(policyOf(residencyManifest("eu", 1, ofShop(), "eu")))
	r.record()
	runs := func(name string) int32 { return r.w.at(web.Key).For(name, r.w.facts).Share.Replicas }
	if runs("aws") != 3 || runs("azure")+runs("hetzner") != 9 {
		t.Fatalf("before anything else is ready: aws %d, azure %d, hetzner %d", runs("aws"), runs("azure"), runs("hetzner"))
	}
	show("azure", int64(runs("azure")), 4)
	if runs("aws") != 2 {
		t.Errorf("with one more ready aws is to run %d", runs("aws"))
	}
	show("aws", 2, 2)
	show("azure", int64(runs("azure")), int64(runs("azure")))
	show("hetzner", int64(runs("hetzner")), int64(runs("hetzner")))
	if runs("aws") != 0 {
		t.Errorf("with all ready aws is to run %d", runs("aws"))
	}
}

// TestWhatIsRecordedForAClusterOutsideIsNotTakenForWhatIsThere: whoever may annotate an object would have its replicas wait
// where they are never made.
func TestWhatIsRecordedForAClusterOutsideIsNotTakenForWhatIsThere(t *testing.T) {
	r := resident()
	for _, name := range []string{"aws", "azure", "hetzner"} {
		r.engage(name)
	}
	r.apply(policyOf(residencyManifest("eu", 1, ofShop(), "eu")))
	if a := r.deployment("web", 900, 4, map[string]string{"hanse.dev/division": `{"aws":4}`}); a.Decision.String() != "azure=2,hetzner=2" {
		t.Errorf("it is divided as %s", a.Decision)
	}
	only := map[string]string{"hanse.dev/division": `{"aws":4}`, "hanse.dev/preferences": `{"clusters":{"aws":{"minReplicas":4}}}`}
	if a := r.deployment("only", 900, 4, only); a.Placed() > 0 || !strings.Contains(a.Concern().Message, "not allowed by Residency eu") {
		t.Errorf("what is wanted in aws alone is divided as %s: %s", a.Decision, a.Concern().Message)
	}
}

// TestWorkThatHasNotBegunOutsideIsDoneInside, and work that has begun there stays, since nobody may do it twice.
func TestWorkThatHasNotBegunOutsideIsDoneInside(t *testing.T) {
	for _, begun := range []bool{false, true} {
		r := newRig(template.Jobs())
		r.clusters(declaredIn("aws", "us"), declaredIn("azure", "eu"))
		r.apply(NamespacesListed{Labels: map[string]map[string]string{"shop": {}}})
		r.apply(policyOf(residencyManifest("eu", 1, ofShop(), "eu")))
		r.engage("azure")
		job := r.write(template.Jobs(), &unstructured.Unstructured{Object: map[string]any{"apiVersion": "batch/v1", "kind": "Job",
			"metadata": map[string]any{"name": "once", "namespace": "shop", "uid": "uid-once", "resourceVersion": "7", "creationTimestamp": at(10).Format(time.RFC3339),
				"annotations": map[string]any{"hanse.dev/division": `{"aws":2}`}},
			"spec": map[string]any{"parallelism": int64(2), "completions": int64(2)}}})
		if got := placedIn(job); got != "aws" {
			t.Fatalf("as long as nobody knows whether aws has begun, it is in %s", got)
		}
		r.apply(Engaged{"aws", true})
		if n := int32(2); begun {
			r.apply(Seen{"aws", job.Key, &Observed{UID: "there", Ours: true, Template: job.UID, Parallelism: &n, Completions: &n}})
		}
		r.apply(Read{"aws", template.Jobs(), true})
		want := map[bool]string{false: "azure", true: "aws"}[begun]
		if got := placedIn(r.w.at(job.Key)); got != want {
			t.Errorf("begun %t: it is in %s", begun, got)
		}
	}
}
