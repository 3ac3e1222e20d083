package report

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

func residencyObject(t *testing.T, spec map[string]any) decide.KnownPolicy {
	t.Helper()
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "hanse.dev/v1alpha1", "kind": "Residency",
		"metadata": map[string]any{"name": "eu", "uid": "uid-eu", "generation": int64(3)}, "spec": spec}}
	known := decide.KnownPolicy{Object: obj}
	if read, err := policy.Parse(obj); err == nil {
		known.InEffect = read
	} else {
		known.Mistake, known.InEffect = err.Error(), policy.Held(obj, err)
	}
	return known
}

// conditionsSaid are a status' conditions as TYPE=STATUS REASON MESSAGE.
func conditionsSaid(status map[string]any) string {
	var all []string
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		m := c.(map[string]any)
		all = append(all, m["type"].(string)+"="+m["status"].(string)+" "+m["reason"].(string)+" "+m["message"].(string))
	}
	return strings.Join(all, "\n")
}

// TestAResidencySaysWhatIsOutside, since when, and what nobody knows.
func TestAResidencySaysWhatIsOutside(t *testing.T) {
	r := newRig("aws", "azure", "google")
	known := residencyObject(t, map[string]any{"namespaces": []any{"shop"}, "clusters": map[string]any{"names": []any{"azure"}}})
	r.facts.Policies = policy.NewIndex([]*policy.Policy{known.InEffect})
	web := r.assign(t, configMaps(), map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "web", "namespace": "shop", "uid": "u"}})
	other := *web
	elsewhere := *web.Template
	elsewhere.Key.Namespace = "other"
	other.Template = &elsewhere
	all := slices.Values([]*decide.Assignment{web, &other})
	for _, m := range r.members {
		m.objects = map[template.Key]*decide.Observed{}
	}
	status := func(seconds int) map[string]any {
		t.Helper()
		out, err := ResidencyStatus(known, Residents(r.facts, all, r.all())[known.InEffect], r.facts.PolicyClusters(), policy.Cluster{}, at(seconds))
		if err != nil {
			t.Fatal(err)
		}
		if out != nil {
			known.Object.Object["status"] = out
		}
		return known.Object.Object["status"].(map[string]any)
	}
	if got := conditionsSaid(status(1)); !strings.Contains(got, "Accepted=True") || !strings.Contains(got, "Enforced=True NothingOutside") || !strings.Contains(got, "HubOutside=Unknown HubUndeclared") {
		t.Errorf("where all is inside: %s", got)
	}
	r.member("aws").objects[web.Key] = &decide.Observed{UID: "there"}
	r.member("aws").objects[other.Key] = &decide.Observed{UID: "there"}
	r.member("azure").objects[web.Key] = &decide.Observed{UID: "there"}
	got := status(2)
	violations, _ := got["violations"].([]any)
	if len(violations) != 1 || got["outside"] != int64(1) {
		t.Fatalf("%v", got)
	}
	if v := violations[0].(map[string]any); v["cluster"] != "aws" || v["since"] != "2026-01-01T00:00:02Z" || v["message"] != "ConfigMap shop/web" {
		t.Errorf("%v", v)
	}
	if !strings.Contains(conditionsSaid(got), "Enforced=False ResidencyViolations 1 object in aws may not be there") {
		t.Errorf("%s", conditionsSaid(got))
	}
	r.member("aws").away = true
	r.facts.Clusters["aws"].Ready = false
	got = status(3)
	if v := got["violations"].([]any)[0].(map[string]any); v["since"] != "2026-01-01T00:00:02Z" || !strings.Contains(v["message"].(string), "as last seen; the cluster has been out of reach since") {
		t.Errorf("of a cluster that is away: %v", v)
	}
	delete(r.member("aws").objects, web.Key)
	if got := conditionsSaid(status(4)); !strings.Contains(got, "Enforced=Unknown MembersUnknown it is not known what is in aws") {
		t.Errorf("%s", got)
	}
	r.member("aws").away, r.member("google").unread = false, errors.New("forbidden")
	if got := conditionsSaid(status(5)); !strings.Contains(got, "it is not known what is in google") {
		t.Errorf("%s", got)
	}
	r.member("google").unread = nil
	if again, err := ResidencyStatus(known, Residents(r.facts, all, r.all())[known.InEffect], r.facts.PolicyClusters(), policy.Cluster{}, at(6)); err != nil || again == nil {
		t.Errorf("that it is clean again is not written: %v", err)
	}
	status(6)
	if again, _ := ResidencyStatus(known, Residents(r.facts, all, r.all())[known.InEffect], r.facts.PolicyClusters(), policy.Cluster{}, at(7)); again != nil {
		t.Errorf("it is written again: %v", again)
	}
}

func TestAResidencySaysWhetherTheHubIsOutside(t *testing.T) {
	known := residencyObject(t, map[string]any{"namespaces": []any{"shop"}, "clusters": map[string]any{
		"fields": []any{map[string]any{"key": "continent", "operator": "In", "values": []any{"EU"}}, map[string]any{"key": "provider", "operator": "NotIn", "values": []any{"aws"}}}}})
	for _, c := range []struct {
		hub  policy.Cluster
		want string
	}{
		{policy.Cluster{}, "HubOutside=Unknown HubUndeclared the hub stores every object, and whether it may is not known: its provider is not declared. Try: hanse server --provider"},
		{policy.Cluster{Continent: "EU"}, "HubOutside=Unknown HubUndeclared"},
		{policy.Cluster{Continent: "EU", Provider: "azure"}, "HubOutside=False HubInside"},
		{policy.Cluster{Continent: "EU", Provider: "aws"}, "HubOutside=True HubElsewhere the hub stores every object, with its backups and records, and may not: its provider is aws, and must be not in (aws)"},
		{policy.Cluster{Continent: "NA"}, "HubOutside=True HubElsewhere"},
	} {
		status, err := ResidencyStatus(known, nil, nil, c.hub, at(1))
		if err != nil || !strings.Contains(conditionsSaid(status), c.want) {
			t.Errorf("%+v: %v, %s", c.hub, err, conditionsSaid(status))
		}
	}
}

// TestAResidencyThatIsNotValid holds, and says so.
func TestAResidencyThatIsNotValid(t *testing.T) {
	known := residencyObject(t, map[string]any{"namespaces": []any{"shop"}, "clusters": map[string]any{"labels": "eu"}})
	status, err := ResidencyStatus(known, nil, nil, policy.Cluster{}, at(1))
	if got := conditionsSaid(status); err != nil || !strings.Contains(got, "Accepted=False Problem") || !strings.Contains(got, "nothing new of what it selects is placed") || !strings.Contains(got, "Enforced=Unknown Problem") {
		t.Errorf("%v, %s", err, got)
	}
}
