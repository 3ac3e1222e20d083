package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func org(name string, namespaces ...string) *v1alpha1.Organization {
	return &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.OrganizationSpec{
		Members:    []v1alpha1.OrganizationMember{{Subject: v1alpha1.Subject{Kind: "User", Name: "ann"}, Role: v1alpha1.RoleOwner}},
		Namespaces: namespaces,
	}}
}

func space(name, of string, namespaces ...string) *v1alpha1.Workspace {
	ws := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	ws.Spec.Organization, ws.Spec.Namespaces.Names = of, namespaces
	return ws
}

func TestVerdicts(t *testing.T) {
	quota := space("pay", "acme", "pay")
	quota.Spec.Quota = &v1alpha1.WorkspaceQuota{Hard: corev1.ResourceList{"pods": resource.MustParse("10")}}
	quota.Spec.Residency = &v1alpha1.ClusterSelector{Names: []string{"azure"}}
	out := Materialize(World{
		Organizations: []*v1alpha1.Organization{org("acme", "shop", "pay"), org("bolt", "shop", "kube-system")},
		Workspaces:    []*v1alpha1.Workspace{quota, space("web", "bolt", "shop"), space("lost", "nobody", "x"), space("again", "acme", "pay", "shop")},
		Namespaces:    map[string]Namespace{"pay": {}, "x": {}},
	})
	for name, want := range map[string][2]string{
		"acme": {v1alpha1.ReasonTenancyAccepted, ""},
		"bolt": {v1alpha1.ReasonNamespaceTaken, "kube-system belongs to nobody, shop belongs to organization acme"},
	} {
		if v := out.Organizations[name]; v.Reason != want[0] || !strings.HasPrefix(v.Message, want[1]) {
			t.Errorf("%s: %+v", name, v)
		}
	}
	for name, want := range map[string][2]string{
		"again": {v1alpha1.ReasonTenancyAccepted, ""},
		"pay":   {v1alpha1.ReasonNamespaceTaken, "pay is in workspace again"},
		"web":   {v1alpha1.ReasonNamespaceTaken, "shop belongs to organization acme"},
		"lost":  {v1alpha1.ReasonNoOrganization, "there is no organization nobody"},
	} {
		if v := out.Workspaces[name]; v.Reason != want[0] || !strings.HasPrefix(v.Message, want[1]) {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if !slices.Equal(out.Namespaces, []string{"shop"}) {
		t.Errorf("makes %v", out.Namespaces)
	}
	if len(out.Quotas)+len(out.Residencies) != 0 {
		t.Errorf("the bounds of a workspace without namespaces: %v %v", out.Quotas, out.Residencies)
	}
	quota.Status.Namespaces = []string{"pay"} // it was first
	out = Materialize(World{
		Organizations: []*v1alpha1.Organization{org("acme", "shop", "pay")},
		Workspaces:    []*v1alpha1.Workspace{quota, space("again", "acme", "pay", "shop")},
		Namespaces:    map[string]Namespace{"pay": {}},
	})
	if len(out.Quotas) != 1 || out.Quotas[0].Namespace != "pay" || len(out.Residencies) != 1 || out.Residencies[0].Name != "workspace.pay.residency" {
		t.Errorf("%v %v", out.Quotas, out.Residencies)
	}
}

func TestBounds(t *testing.T) {
	w := World{Organizations: []*v1alpha1.Organization{org("acme")}, Namespaces: map[string]Namespace{}}
	for i := range MaxWorkspaces + 1 {
		ws := space(fmt.Sprintf("w%03d", i), "acme", fmt.Sprintf("n%d", i))
		ws.CreationTimestamp = metav1.NewTime(time.Unix(int64(i), 0))
		w.Workspaces = append(w.Workspaces, ws)
	}
	out := Materialize(w)
	if last := out.Workspaces["w100"]; last.Reason != v1alpha1.ReasonTooMany || len(last.Namespaces) > 0 || out.Organizations["acme"].Workspaces != MaxWorkspaces {
		t.Errorf("%+v %+v", last, out.Organizations["acme"])
	}
	all := space("all", "acme")
	all.Spec.Namespaces.Labels = &v1alpha1.Selector{MatchExpressions: []v1alpha1.LabelRequirement{{Key: "no", Operator: "DoesNotExist"}}}
	all.Status.Namespaces = []string{"z"}
	w = World{Organizations: w.Organizations, Workspaces: []*v1alpha1.Workspace{all}, Namespaces: map[string]Namespace{"kube-public": {}, "z": {}}}
	for i := range MaxNamespaces {
		w.Namespaces[fmt.Sprintf("n%d", i)] = Namespace{}
	}
	v := Materialize(w).Workspaces["all"]
	if v.Reason != v1alpha1.ReasonTooMany || len(v.Namespaces) != MaxNamespaces || !slices.Contains(v.Namespaces, "z") || slices.Contains(v.Namespaces, "kube-public") {
		t.Errorf("%s, %d namespaces", v.Reason, len(v.Namespaces))
	}
}

func TestNotUnderstood(t *testing.T) {
	o, ws := org("acme", "shop"), space("web", "acme", "web")
	o.Status.Namespaces, ws.Status.Namespaces = []string{"pay"}, []string{"api"}
	out := Materialize(World{
		Organizations: []*v1alpha1.Organization{o, org("bolt", "pay")}, Workspaces: []*v1alpha1.Workspace{ws},
		UnreadOrganizations: map[string]bool{"acme": true}, UnreadWorkspaces: map[string]bool{"web": true},
		Namespaces: map[string]Namespace{"pay": {}, "api": {}},
	})
	for _, v := range []Verdict{out.Organizations["acme"], out.Workspaces["web"]} {
		if v.Reason != v1alpha1.ReasonNotUnderstood {
			t.Errorf("%+v", v)
		}
	}
	if v := out.Organizations["bolt"]; v.Reason != v1alpha1.ReasonNamespaceTaken {
		t.Errorf("what acme has goes to bolt because acme is not understood: %+v", v)
	}
}
