package adoption

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func TestWhichNamespacesAreTheHubs(t *testing.T) {
	said := func(allow, deny []v1alpha1.NamespacePattern) Namespaces {
		return ReadNamespaces(v1alpha1.ClusterNamespaces{Allow: allow, Deny: deny})
	}
	type patterns = []v1alpha1.NamespacePattern
	for name, c := range map[string]struct {
		says                      Namespaces
		allowed, denied, conflict string // of each, separated by blanks
	}{
		"nothing":          {said(nil, nil), "default", "kube-system kube-public kube-x hanse-system", "shop flux-system"},
		"a name":           {said(patterns{"shop"}, nil), "shop", "kube-system hanse-system", "default shops flux-system"},
		"a pattern":        {said(patterns{"team-*"}, nil), "team-a team-", "kube-system", "team default"},
		"everything":       {said(patterns{"*"}, nil), "default shop flux-system", "kube-system hanse-system", ""},
		"deny goes first":  {said(patterns{"*"}, patterns{"flux-system"}), "default kube-system", "flux-system hanse-system", ""},
		"no default":       {said(patterns{}, nil), "", "kube-system hanse-system", "default shop"},
		"nothing denied":   {said(patterns{"*"}, patterns{}), "kube-system shop", "hanse-system", ""},
		"what is no name":  {said(patterns{"[", "a/b"}, patterns{"["}), "", "hanse-system", "default a kube-system"},
		"the zero value":   {Namespaces{}, "", "hanse-system", "default kube-system"},
		"stars in a name":  {said(patterns{"a*b*"}, nil), "ab a-b-c", "", "a b"},
		"stars everywhere": {said(patterns{"*-shop-*"}, nil), "eu-shop-1", "", "shop eu-shop"},
	} {
		t.Run(name, func(t *testing.T) {
			for names, want := range map[string][2]bool{c.allowed: {true, false}, c.denied: {false, true}, c.conflict: {false, false}} {
				for _, ns := range strings.Fields(names) {
					if allowed, denied := c.says.Allowed(ns), c.says.Denied(ns); allowed != want[0] || denied != want[1] {
						t.Errorf("%s: allowed %t, denied %t, want %v", ns, allowed, denied, want)
					}
				}
			}
		})
	}
}

// TestNothingIsBothAllowedAndDenied holds for whatever a Cluster says; and its hub never writes in its own namespace there.
func TestNothingIsBothAllowedAndDenied(t *testing.T) {
	pattern := rapid.Custom(func(t *rapid.T) v1alpha1.NamespacePattern {
		return v1alpha1.NamespacePattern(rapid.StringMatching(`[a-c*\[\]?-]{0,4}`).Draw(t, "pattern"))
	})
	rapid.Check(t, func(t *rapid.T) {
		n := ReadNamespaces(v1alpha1.ClusterNamespaces{Allow: rapid.SliceOfN(pattern, 0, 4).Draw(t, "allow"), Deny: rapid.SliceOfN(pattern, 0, 4).Draw(t, "deny")})
		for _, name := range []string{rapid.StringMatching(`[a-c-]{1,4}`).Draw(t, "name"), v1alpha1.SystemNamespace} {
			if n.Allowed(name) && n.Denied(name) {
				t.Fatalf("%v: %s is allowed and denied", n, name)
			}
		}
		if !n.Denied(v1alpha1.SystemNamespace) {
			t.Fatalf("%v: the hub's own namespace is not denied", n)
		}
	})
}

func namespaceWith(labels map[string]string, owner string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	u.SetName("shop")
	u.SetLabels(labels)
	fields := map[string]string{}
	for key := range labels {
		fields["f:"+key] = "{}"
	}
	var raw []string
	for key := range fields {
		raw = append(raw, `"`+key+`":{}`)
	}
	u.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: owner, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1",
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{` + strings.Join(raw, ",") + `}}}`)}})
	return u
}

func wantedWith(labels map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range labels {
		out[k] = v
	}
	return map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop", "labels": out}}
}

func labelsOf(obj map[string]any) map[string]string {
	return (&unstructured.Unstructured{Object: obj}).GetLabels()
}

const enforce = "pod-security.kubernetes.io/enforce"

func TestOthersLabelsStay(t *testing.T) {
	there := namespaceWith(map[string]string{"team": "theirs", "istio": "on"}, "kubectl")
	want := wantedWith(map[string]string{"team": "ours", "new": "ours", v1alpha1.LabelManaged: "true"})
	got, _ := Namespace(want, there, false)
	if l := labelsOf(got); l["team"] != "theirs" || l["new"] != "ours" || l[v1alpha1.LabelManaged] != "true" {
		t.Errorf("%v", l)
	}
	if labelsOf(want)["team"] != "ours" {
		t.Error("what was wanted was changed")
	}
	if got, _ := Namespace(want, there, true); labelsOf(got)["team"] != "ours" {
		t.Error("it was asked for at the hub, and is not set")
	}
	if got, _ := Namespace(want, namespaceWith(map[string]string{"team": "before"}, v1alpha1.FieldManager), false); labelsOf(got)["team"] != "ours" {
		t.Error("the hub cannot change its own label")
	}
}

func TestPodSecurity(t *testing.T) {
	for name, c := range map[string]struct{ there, want, result, version string }{
		"weaker":                 {there: "restricted", want: "privileged", result: "restricted"},
		"a little weaker":        {there: "restricted", want: "baseline", result: "restricted"},
		"taken off":              {there: "baseline", want: "", result: "baseline"},
		"stricter":               {there: "baseline", want: "restricted", result: "restricted", version: "v1.30"},
		"the same":               {there: "baseline", want: "baseline", result: "baseline"},
		"unknown there":          {there: "oddity", want: "restricted", result: "oddity"},
		"not set, privileged":    {want: "privileged"},
		"not set, baseline":      {want: "baseline"},
		"not set, restricted":    {want: "restricted", result: "restricted", version: "v1.30"},
		"not set, and not asked": {},
	} {
		t.Run(name, func(t *testing.T) {
			for _, forced := range []bool{false, true} {
				there, want := map[string]string{"a": "b"}, map[string]string{v1alpha1.LabelManaged: "true"}
				if c.there != "" {
					there[enforce], there[enforce+"-version"] = c.there, "v1.34"
				}
				if c.want != "" {
					want[enforce], want[enforce+"-version"] = c.want, "v1.30"
				}
				got, left := Namespace(wantedWith(want), namespaceWith(there, "kubectl"), forced)
				l, version := labelsOf(got), c.version
				if version == "" && c.result != "" {
					version = "v1.34"
				}
				if !forced && c.there != "" { // others' labels stay in any case
					continue
				}
				if l[enforce] != c.result || l[enforce+"-version"] != version {
					t.Errorf("forced %t: %v, want %s and version %s", forced, l, c.result, version)
				}
				if c.want != c.result && c.want != "" && len(left) == 0 {
					t.Error("nothing is said to be left")
				}
			}
		})
	}
}

// TestAdoptionNeverWeakensPodSecurity holds whatever the hub wants, whoever owns the labels, and forced or not; and takes off nothing.
func TestAdoptionNeverWeakensPodSecurity(t *testing.T) {
	level := rapid.SampledFrom([]string{"", "privileged", "baseline", "restricted", "x"})
	draw := func(t *rapid.T, what string) map[string]string {
		out := map[string]string{}
		for _, mode := range []string{"enforce", "audit", "warn"} {
			if l := level.Draw(t, what+" "+mode); l != "" {
				out[podSecurityPrefix+mode] = l
			}
			if rapid.Bool().Draw(t, what+" version") {
				out[podSecurityPrefix+mode+"-version"] = what
			}
		}
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		there, want := draw(t, "there"), draw(t, "want")
		owner := rapid.SampledFrom([]string{"kubectl", v1alpha1.FieldManager}).Draw(t, "owner")
		out, _ := Namespace(wantedWith(want), namespaceWith(there, owner), rapid.Bool().Draw(t, "forced"))
		got := labelsOf(out)
		for _, mode := range []string{"enforce", "audit", "warn"} {
			label := podSecurityPrefix + mode
			now, has := there[label]
			switch {
			case has && strictness(got[label]) < strictness(now):
				t.Fatalf("%s was %s and became %q", label, now, got[label])
			case !has && got[label] != "" && got[label] != "restricted":
				t.Fatalf("%s was not set and became %q", label, got[label])
			case got[label] == now && got[label+"-version"] != there[label+"-version"]:
				t.Fatalf("%s stays %s, and its version became %q", label, now, got[label+"-version"])
			}
		}
	})
}
