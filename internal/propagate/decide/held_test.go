package decide

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func onlyAWS() map[string]any {
	return map[string]any{"clusters": map[string]any{"names": []any{"aws"}}}
}

// unread is a spec that earlier versions stored, and that makes no sense.
func unread(rest map[string]any) map[string]any {
	rest["failover"] = map[string]any{"after": "1d"}
	return rest
}

func secrets() schema.GroupResource { return schema.GroupResource{Resource: "secrets"} }

func (r *rig) secret(name string) *Assignment {
	return r.write(secrets(), &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret",
		"metadata": map[string]any{"name": name, "namespace": "shop", "uid": "uid-" + name, "generation": int64(1), "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:16:40Z"}}})
}

// TestAPolicyThatIsNotUnderstoodHolds: it may be what keeps a Secret out of most clusters.
func TestAPolicyThatIsNotUnderstoodHolds(t *testing.T) {
	r := newRig(deployments())
	r.serves(secrets())
	r.clusters(ready("aws", 0), ready("azure", 0))
	before := r.deployment("web", 10, 8, nil)
	r.apply(policyOf(policyManifest("p", at(1000), 1, unread(onlyAWS()))))
	key := r.secret("key")
	for _, a := range []*Assignment{key, r.w.at(before.Key)} {
		if !a.Withheld() || len(a.Shares) > 0 || !strings.Contains(a.Concern().Message, "Try: correct the policy") || !strings.Contains(a.Concern().Message, "1d") {
			t.Errorf("%s: withheld %t, shares %v, %+v", a.Key, a.Withheld(), a.Shares, a.Concern())
		}
	}
	// A division of somebody's own is none of the policy's.
	if a := r.deployment("own", 999, 8, map[string]string{"hanse.dev/division": `{"azure":8}`}); !a.Withheld() || len(a.Shares) > 0 || a.Undecided {
		t.Errorf("what says itself where it is: %v", a.Shares)
	}
	r.apply(policyOf(policyManifest("p", at(1000), 2, onlyAWS())))
	if a := r.w.at(key.Key); a.Withheld() || len(a.Shares) != 1 || a.Concern() != (Concern{}) {
		t.Errorf("once it is corrected: %v %+v", a.Shares, a.Concern())
	}
}

// TestWhatAPolicySelectsIsReadAlone, and if it cannot be, all that it may select is held.
func TestWhatAPolicySelectsIsReadAlone(t *testing.T) {
	r := newRig(secrets())
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.apply(policyOf(policyManifest("p", at(1000), 1, unread(selecting("key", onlyAWS())))))
	if key, other := r.secret("key"), r.secret("other"); !key.Withheld() || other.Withheld() {
		t.Errorf("held: key %t, other %t", key.Withheld(), other.Withheld())
	}
	wrong := unread(onlyAWS())
	wrong["select"] = map[string]any{"labels": map[string]any{"matchLabels": map[string]any{"no label": "x"}}}
	r.apply(policyOf(policyManifest("p", at(1000), 2, wrong)))
	// Another that is more specific may be one that this goes before.
	r.apply(policyOf(policyManifest("q", at(1000), 1, selecting("other", onlyAWS()))))
	if key, other := r.secret("key"), r.secret("other"); !key.Withheld() || !other.Withheld() {
		t.Errorf("held: key %t, other %t", key.Withheld(), other.Withheld())
	}
}

// TestTheLastGoodSpecOutlivesTheHub: it is what the hub wrote into the status.
func TestTheLastGoodSpecOutlivesTheHub(t *testing.T) {
	r := newRig(secrets())
	r.clusters(ready("aws", 0), ready("azure", 0))
	edited := policyManifest("p", at(10), 3, unread(map[string]any{}))
	edited.Object["status"] = map[string]any{"inEffect": map[string]any{"generation": int64(2), "spec": onlyAWS()}}
	r.apply(policyOf(edited))
	if a := r.secret("key"); a.Withheld() || len(a.Shares) != 1 || a.Policy.Generation != 2 {
		t.Errorf("withheld %t, shares %v", a.Withheld(), a.Shares)
	}
	known := r.w.facts.KnownPolicies[0]
	if earlier := known.Earlier(); known.Mistake == "" || earlier == nil || earlier.GetGeneration() != 2 {
		t.Errorf("it is known as %+v", known)
	}
	edited = policyManifest("p", at(10), 4, onlyAWS())
	r.apply(policyOf(edited))
	if known := r.w.facts.KnownPolicies[0]; known.Earlier() != nil || known.InEffect.Generation != 4 {
		t.Errorf("once it is corrected it is known as %+v", known)
	}
}
