package kinds

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(asJSON); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestEveryRowHasAReason(t *testing.T) {
	for _, r := range StaysAtHub() {
		if r.Group != "" && r.Resource == "" || r.Which == "" || r.Reason == "" {
			t.Errorf("row %+v is not complete", r)
		}
		if (r.match == nil) != (r.Which == all) {
			t.Errorf("row %s/%s says %q, which is not what it matches", r.Group, r.Resource, r.Which)
		}
	}
}

func TestStays(t *testing.T) {
	for _, c := range []struct {
		name, group, resource, object string
		stays                         bool
	}{
		{"a user's Secret", "", "secrets", "{apiVersion: v1, kind: Secret, type: Opaque, metadata: {name: a, namespace: default}}", false},
		{"a token", "", "secrets", "{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: a, namespace: default}}", true},
		{"a Helm record", "", "secrets", "{apiVersion: v1, kind: Secret, type: helm.sh/release.v1, metadata: {name: a, namespace: default}}", true},
		{"a credential of a member", "", "secrets", "{apiVersion: v1, kind: Secret, type: Opaque, metadata: {name: a, namespace: hanse-system}}", true},
		{"the default account", "", "serviceaccounts", "{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: shop}}", true},
		{"an account", "", "serviceaccounts", "{apiVersion: v1, kind: ServiceAccount, metadata: {name: traefik, namespace: default}}", false},
		{"a controller's account", "", "serviceaccounts", "{apiVersion: v1, kind: ServiceAccount, metadata: {name: namespace-controller, namespace: kube-system}}", true},
		{"a role that every API server makes", "rbac.authorization.k8s.io", "clusterroles", "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: view, labels: {kubernetes.io/bootstrapping: rbac-defaults}}}", true},
		{"a user's role", "rbac.authorization.k8s.io", "clusterroles", "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: traefik}}", false},
		{"the API server's own Service", "", "services", "{apiVersion: v1, kind: Service, metadata: {name: kubernetes, namespace: default}}", true},
		{"a Service called kubernetes elsewhere", "", "services", "{apiVersion: v1, kind: Service, metadata: {name: kubernetes, namespace: shop}}", false},
		{"the namespace kube-system", "", "namespaces", "{apiVersion: v1, kind: Namespace, metadata: {name: kube-system}}", true},
		{"what users put there", "", "configmaps", "{apiVersion: v1, kind: ConfigMap, metadata: {name: dns, namespace: kube-system}}", false},
		{"a custom resource", "example.org", "widgets", "{apiVersion: example.org/v1, kind: Widget, metadata: {name: w, namespace: shop}}", false},
		{"federation v1's way to keep an object", "", "configmaps", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b, annotations: {federation.kubernetes.io/federation-control-plane: 'true'}}}", true},
		{"our own CRD", "apiextensions.k8s.io", "customresourcedefinitions", "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: clusters.hanse.dev}}", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			reason, stays := NewTable().Stays(schema.GroupResource{Group: c.group, Resource: c.resource}, object(t, c.object))
			if stays != c.stays {
				t.Errorf("stays = %v (%s), want %v", stays, reason, c.stays)
			}
		})
	}
}

func TestTemplateOfAService(t *testing.T) {
	const allocated = `
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  uid: u
  resourceVersion: "5"
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}", note: x}
  managedFields:
  - manager: kubectl
    fieldsV1: {f:spec: {f:ports: {'k:{"port":443,"protocol":"TCP"}': {f:nodePort: {}}}}}
spec:
  clusterIP: 10.0.0.1
  clusterIPs: [10.0.0.1]
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  type: NodePort
  ports:
  - {port: 80, protocol: TCP, nodePort: 30001}
  - {port: 443, protocol: TCP, nodePort: 30002}
status: {loadBalancer: {}}
`
	got := Template(schema.GroupResource{Resource: "services"}, object(t, allocated))
	want := object(t, `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, annotations: {note: x}}
spec:
  type: NodePort
  ports:
  - {port: 80, protocol: TCP}
  - {port: 443, protocol: TCP, nodePort: 30002}
`).Object
	same(t, got, want)
}

func TestTemplateOfAHeadlessService(t *testing.T) {
	got := Template(schema.GroupResource{Resource: "services"}, object(t, "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {clusterIP: None, clusterIPs: [None], ipFamilies: [IPv4]}}"))
	same(t, got, object(t, "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {clusterIP: None, clusterIPs: [None]}}").Object)
}

func TestTemplateOfAJob(t *testing.T) {
	got := Template(schema.GroupResource{Group: "batch", Resource: "jobs"}, object(t, `
apiVersion: batch/v1
kind: Job
metadata: {name: pay, labels: {mine: x}}
spec:
  ttlSecondsAfterFinished: 60
  selector: {matchLabels: {batch.kubernetes.io/controller-uid: u}}
  template:
    metadata: {creationTimestamp: null, labels: {mine: x, controller-uid: u, batch.kubernetes.io/controller-uid: u, job-name: pay, batch.kubernetes.io/job-name: pay}}
    spec: {restartPolicy: Never}
`))
	same(t, got, object(t, "{apiVersion: batch/v1, kind: Job, metadata: {name: pay, labels: {mine: x}}, spec: {template: {metadata: {labels: {mine: x}}, spec: {restartPolicy: Never}}}}").Object)
}

func TestTemplateOfAPodMountsNoTokenOfTheHub(t *testing.T) {
	got := Template(schema.GroupResource{Resource: "pods"}, object(t, `
apiVersion: v1
kind: Pod
metadata: {name: p, ownerReferences: [{kind: ReplicaSet, name: r, uid: u, apiVersion: apps/v1}], finalizers: [x/y]}
spec:
  nodeName: n
  priority: 0
  volumes: [{name: kube-api-access-abcde, projected: {}}, {name: data, emptyDir: {}}]
  containers:
  - {name: c, image: i, volumeMounts: [{name: kube-api-access-abcde, mountPath: /var/run}]}
`))
	same(t, got, object(t, "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {volumes: [{name: data, emptyDir: {}}], containers: [{name: c, image: i}]}}").Object)
}

func TestAggregatedRolesKeepTheirOwnRules(t *testing.T) {
	got := Template(schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}, object(t,
		"{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}, aggregationRule: {}, rules: [{verbs: [get]}]}"))
	if _, there := got["rules"]; there {
		t.Error("the rules that the hub's controller gathered go to members")
	}
}

// The pieces of a Job add up, and none is left without work.
func TestSharesOfAJobAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parallelism := rapid.Int32Range(1, 50).Draw(t, "parallelism")
		completions := rapid.Int64Range(int64(parallelism), 500).Draw(t, "completions")
		job := map[string]any{"spec": map[string]any{"parallelism": int64(parallelism), "completions": completions}}
		total := Total(Completions, job)
		if total != parallelism {
			t.Fatalf("total %d, want %d", total, parallelism)
		}
		var before int32
		var sum int64
		for before < total {
			share := rapid.Int32Range(1, total-before).Draw(t, "share")
			piece := map[string]any{"spec": map[string]any{"parallelism": int64(0), "completions": completions}}
			SetShare(Completions, piece, Share{Replicas: share, Before: before, Total: total, Parallelism: 9})
			spec := piece["spec"].(map[string]any)
			if spec["parallelism"] != int64(9) {
				t.Fatalf("parallelism %v, want 9", spec["parallelism"])
			}
			n := spec["completions"].(int64)
			if n < int64(share) {
				t.Fatalf("%d completions for %d at once", n, share)
			}
			sum += n
			before += share
		}
		if sum != completions {
			t.Fatalf("the pieces have %d completions, the Job %d", sum, completions)
		}
	})
}

func TestShares(t *testing.T) {
	deployments := schema.GroupResource{Group: "apps", Resource: "deployments"}
	d := object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 7}}").Object
	if got := Total(DivisionOf(deployments, d), d); got != 7 {
		t.Errorf("total %d, want 7", got)
	}
	indexed := object(t, "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {completionMode: Indexed, completions: 5}}").Object
	if got := DivisionOf(schema.GroupResource{Group: "batch", Resource: "jobs"}, indexed); got != One {
		t.Errorf("an Indexed Job is divided as %v", got)
	}
	cron := object(t, "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}, spec: {schedule: '* * * * *'}}").Object
	SetShare(OneActive, cron, Share{Before: 1, Total: 1})
	if cron["spec"].(map[string]any)["suspend"] != true {
		t.Error("a CronJob fires in a second cluster")
	}
}

// The right to everything is what others are blamed for.
func TestMemberRulesHaveNoWildcard(t *testing.T) {
	for _, r := range append(MemberRules(), CustomRules("example.org", []string{"widgets"})...) {
		for _, list := range [][]string{r.Verbs, r.APIGroups, r.Resources} {
			for _, s := range list {
				if s == "*" {
					t.Errorf("wildcard in %v", r)
				}
			}
		}
	}
}

func same(t *testing.T, got, want map[string]any) {
	t.Helper()
	g, err := yaml.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	w, err := yaml.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(g) != string(w) {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

// Any object that an API server could store makes a template or none, never a
// panic, and never carries what is the server's.
func FuzzTemplate(f *testing.F) {
	f.Add("", "services", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[null,1,{"port":1}]}}`)
	f.Add("", "pods", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"volumes":[7],"containers":[null,{"volumeMounts":"x"}]}}`)
	f.Add("batch", "jobs", `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a"},"spec":{"selector":1,"template":[]}}`)
	f.Fuzz(func(t *testing.T, group, resource, text string) {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON([]byte(text)) != nil || u.IsList() {
			return
		}
		gr := schema.GroupResource{Group: group, Resource: resource}
		NewTable().Stays(gr, u)
		got := Template(gr, u)
		for _, field := range []string{"uid", "resourceVersion", "managedFields", "ownerReferences", "finalizers"} {
			if _, there, _ := unstructured.NestedFieldNoCopy(got, "metadata", field); there {
				t.Errorf("metadata.%s is propagated", field)
			}
		}
		d := DivisionOf(gr, got)
		SetShare(d, got, Share{Replicas: 1, Total: Total(d, got)})
	})
}
