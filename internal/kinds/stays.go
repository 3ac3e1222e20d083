package kinds

import (
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Row is one line of the table of what stays at the hub.
type Row struct {
	// Group and Resource name what the row is about; Resource "*" is all of
	// the group's, and Group "*" with Resource "*" everything.
	Group, Resource string
	// Which says which objects of it, in words; "all" where it is all.
	Which string
	// Reason says why.
	Reason string

	match func(*unstructured.Unstructured) bool // nil: all
}

const all = "all"

// StaysAtHub is the table of what is not propagated. The first row that
// matches an object gives the reason.
func StaysAtHub() []Row {
	return []Row{
		{"*", "*", "in namespace " + v1alpha1.SystemNamespace, "belongs to the hub itself: credentials of members, leases", inNamespace(v1alpha1.SystemNamespace)},
		{"*", "*", "labelled federation.kubernetes.io/federation-control-plane=true", "the user says so", labelled("federation.kubernetes.io/federation-control-plane", "true")},
		{"hanse.dev", "*", all, "describes the federation, not a workload in it", nil},
		{"", "namespaces", "kube-system, kube-public, kube-node-lease, " + v1alpha1.SystemNamespace, "every cluster has its own; what users put into them is propagated", named("kube-system", "kube-public", "kube-node-lease", v1alpha1.SystemNamespace)},
		{"", "nodes", all, "machines belong to a member", nil},
		{"", "events", all, "says what happened at the hub", nil},
		{"events.k8s.io", "events", all, "says what happened at the hub", nil},
		{"coordination.k8s.io", "*", all, "leases elect leaders and prove life within one cluster", nil},
		{"", "secrets", "of type kubernetes.io/service-account-token", "a token is good for the API server that signed it only", typed("kubernetes.io/service-account-token")},
		{"", "secrets", "of type bootstrap.kubernetes.io/token", "lets nodes join one cluster", typed("bootstrap.kubernetes.io/token")},
		{"", "secrets", "of type helm.sh/release.v1", "Helm's record of what was installed at the hub", typed("helm.sh/release.v1")},
		{"", "configmaps", "kube-root-ca.crt", "every cluster publishes its own CA", named("kube-root-ca.crt")},
		{"", "configmaps", "of the API server in kube-system", "written by the hub's API server for itself", inNamespaceNamed("kube-system", "extension-apiserver-authentication", "kube-apiserver-legacy-service-account-token-tracking")},
		{"", "serviceaccounts", "default", "every namespace of a cluster gets its own", named("default")},
		{"", "serviceaccounts", "of controllers in kube-system", "identities of the hub's own controllers", controllerAccount},
		{"", "services", "default/kubernetes", "the address of the hub's API server", inNamespaceNamed("default", "kubernetes")},
		{"", "endpoints", "default/kubernetes", "the address of the hub's API server", inNamespaceNamed("default", "kubernetes")},
		{"discovery.k8s.io", "endpointslices", "default/kubernetes", "the address of the hub's API server", inNamespaceNamed("default", "kubernetes")},
		{"", "endpoints", "labelled " + labelEndpoints + "=" + endpointController, "made from a Service by every cluster's own controller", labelled(labelEndpoints, endpointController)},
		{"discovery.k8s.io", "endpointslices", "labelled " + discoveryv1.LabelManagedBy + "=" + sliceController, "made from a Service by every cluster's own controller", labelled(discoveryv1.LabelManagedBy, sliceController)},
		{"discovery.k8s.io", "endpointslices", "labelled " + discoveryv1.LabelManagedBy + "=" + mirrorController, "made from Endpoints by every cluster's own controller", labelled(discoveryv1.LabelManagedBy, mirrorController)},
		{"rbac.authorization.k8s.io", "*", "labelled kubernetes.io/bootstrapping=rbac-defaults", "every API server makes its own defaults", labelled("kubernetes.io/bootstrapping", "rbac-defaults")},
		{"rbac.authorization.k8s.io", "*", "named hanse:…", "rights at the hub itself", prefixed("hanse:")},
		{"scheduling.k8s.io", "priorityclasses", "system-…", "every API server makes its own", prefixed("system-")},
		{"flowcontrol.apiserver.k8s.io", "*", all, "tunes one API server for the load that it has", nil},
		{"apiregistration.k8s.io", "*", all, "what one API server serves", nil},
		{"certificates.k8s.io", "certificatesigningrequests", all, "a certificate is signed by one cluster's CA", nil},
		{"networking.k8s.io", "ipaddresses", all, "allocated by one API server for its Services", nil},
		{"networking.k8s.io", "servicecidrs", all, "the address range of one cluster", nil},
		{"storage.k8s.io", "csinodes", all, "drivers on a member's nodes", nil},
		{"storage.k8s.io", "volumeattachments", all, "volumes on a member's nodes", nil},
		{"storage.k8s.io", "csistoragecapacities", all, "what a member's storage has free", nil},
		{"resource.k8s.io", "resourceslices", all, "devices of a member's nodes", nil},
		{"internal.apiserver.k8s.io", "*", all, "bookkeeping of one API server", nil},
		{"storagemigration.k8s.io", "*", all, "rewrites one etcd", nil},
		{"apps", "controllerrevisions", all, "history of the hub's workloads; a member's controllers keep their own", nil},
		{"apiextensions.k8s.io", "customresourcedefinitions", "of group hanse.dev", "describes the federation, not a workload in it", suffixed(".hanse.dev")},
	}
}

// Table answers whether an object stays at the hub.
type Table struct{ rows []Row }

// NewTable is the table of StaysAtHub.
func NewTable() Table { return Table{rows: StaysAtHub()} }

// ResourceStays says whether every object of a resource stays, and why.
func (t Table) ResourceStays(gr schema.GroupResource) (reason string, stays bool) {
	for _, r := range t.rows {
		if r.match == nil && r.covers(gr) {
			return r.Reason, true
		}
	}
	return "", false
}

// Stays says whether an object stays at the hub, and why.
func (t Table) Stays(gr schema.GroupResource, obj *unstructured.Unstructured) (reason string, stays bool) {
	for _, r := range t.rows {
		if r.covers(gr) && (r.match == nil || r.match(obj)) {
			return r.Reason, true
		}
	}
	return "", false
}

func (r Row) covers(gr schema.GroupResource) bool {
	return (r.Group == "*" || r.Group == gr.Group) && (r.Resource == "*" || r.Resource == gr.Resource)
}

func inNamespace(ns string) func(*unstructured.Unstructured) bool {
	return func(o *unstructured.Unstructured) bool { return o.GetNamespace() == ns }
}

func named(names ...string) func(*unstructured.Unstructured) bool {
	return func(o *unstructured.Unstructured) bool { return contains(names, o.GetName()) }
}

func inNamespaceNamed(ns string, names ...string) func(*unstructured.Unstructured) bool {
	return func(o *unstructured.Unstructured) bool { return o.GetNamespace() == ns && contains(names, o.GetName()) }
}

func prefixed(prefix string) func(*unstructured.Unstructured) bool {
	return func(o *unstructured.Unstructured) bool { return strings.HasPrefix(o.GetName(), prefix) }
}

func suffixed(suffix string) func(*unstructured.Unstructured) bool {
	return func(o *unstructured.Unstructured) bool { return strings.HasSuffix(o.GetName(), suffix) }
}

func labelled(key, value string) func(*unstructured.Unstructured) bool {
	return func(o *unstructured.Unstructured) bool {
		return o.GetLabels()[key] == value || o.GetAnnotations()[key] == value
	}
}

func typed(typ string) func(*unstructured.Unstructured) bool {
	return func(o *unstructured.Unstructured) bool {
		got, _, _ := unstructured.NestedString(o.Object, "type")
		return got == typ
	}
}

// controllerAccount matches the accounts under which kube-controller-manager's
// loops run with --use-service-account-credentials.
func controllerAccount(o *unstructured.Unstructured) bool {
	return o.GetNamespace() == "kube-system" && strings.HasSuffix(o.GetName(), "-controller")
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}
