package attack

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// annotated is a merge patch that sets an annotation.
func annotated(key, value string) []byte {
	return fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, key, value)
}

// TestTakingOverNeedsARightOfItsOwn: an editor has the hub take over, or overwrite, what a member had before.
func TestTakingOverNeedsARightOfItsOwn(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "takes-over")
	editor := f.person(t, "editor", as("edit", ns))
	owner := f.person(t, "owner", as("edit", ns), in(ns, may("adopt", "configmaps.")))
	for _, how := range []string{v1alpha1.ConflictAdopt, v1alpha1.ConflictOverwrite} {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: how, Annotations: map[string]string{v1alpha1.AnnotationConflict: how}}}
		_, err := editor.CoreV1().ConfigMaps(ns).Create(t.Context(), object, metav1.CreateOptions{})
		refused(t, err, "adopt configmaps "+how+" in namespace "+ns, "hanse.dev/conflict", "rolebindings")
		_, err = owner.CoreV1().ConfigMaps(ns).Create(t.Context(), object, metav1.CreateOptions{})
		must(t, err)
		// What is there may be edited by others; how it takes over may not.
		_, err = editor.CoreV1().ConfigMaps(ns).Patch(t.Context(), how, types.MergePatchType, []byte(`{"data":{"a":"b"}}`), metav1.PatchOptions{})
		must(t, err)
		_, err = editor.CoreV1().ConfigMaps(ns).Patch(t.Context(), how, types.MergePatchType, annotated(v1alpha1.AnnotationConflict, "adopt "), metav1.PatchOptions{})
		refused(t, err, "adopt configmaps")
	}
}

// TestAHostnameNeedsTheRightToMakeARoute: who may write Services and no GlobalRoutes has the hub make one.
func TestAHostnameNeedsTheRightToMakeARoute(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "makes-routes")
	services := may("create,update,patch", "services.")
	deployer, editor := f.person(t, "deployer", in(ns, services)), f.person(t, "editor", as("edit", ns))
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	_, err := deployer.CoreV1().Services(ns).Create(t.Context(), service, metav1.CreateOptions{})
	must(t, err)
	for key, value := range map[string]string{v1alpha1.AnnotationGlobal: "true", "k8gb.io/strategy": "failover", "external-dns.alpha.kubernetes.io/hostname": "www.example.com"} {
		_, err = deployer.CoreV1().Services(ns).Patch(t.Context(), "web", types.MergePatchType, annotated(key, value), metav1.PatchOptions{})
		refused(t, err, "create globalroutes.hanse.dev in namespace "+ns, key)
		_, err = editor.CoreV1().Services(ns).Patch(t.Context(), "web", types.MergePatchType, annotated(key, value), metav1.PatchOptions{})
		must(t, err)
	}
}

// TestAnEarlierPodTemplateIsNotForged: who may write ControllerRevisions makes one that the hub would give to members.
func TestAnEarlierPodTemplateIsNotForged(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "forges-revisions")
	rules := may("create,update,patch", "controllerrevisions.apps")
	forger := f.person(t, "forger", in(ns, rules))
	forged := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: "x", Labels: map[string]string{v1alpha1.LabelRevisionOf: "a-uid"}}, Revision: 1}
	forged.Data.Raw = []byte(`{"spec":{}}`)
	_, err := forger.AppsV1().ControllerRevisions(ns).Create(t.Context(), forged, metav1.CreateOptions{})
	refused(t, err, "update deployments.apps in namespace "+ns, v1alpha1.LabelRevisionOf)
	writer := f.person(t, "writer", in(ns, rules, may("update", "deployments.apps,statefulsets.apps,daemonsets.apps")))
	_, err = writer.AppsV1().ControllerRevisions(ns).Create(t.Context(), forged, metav1.CreateOptions{})
	must(t, err)
	_, err = forger.AppsV1().ControllerRevisions(ns).Patch(t.Context(), "x", types.MergePatchType, annotated(v1alpha1.AnnotationRevision, "7"), metav1.PatchOptions{})
	refused(t, err, "update deployments.apps in namespace "+ns)
}

// TestStatusIsNoWayToSteer: who may write the status of Deployments, as an operator may, divides their replicas by it.
func TestStatusIsNoWayToSteer(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "steers-by-status")
	_, err := f.admin.AppsV1().Deployments(ns).Create(t.Context(), deployment("web"), metav1.CreateOptions{})
	must(t, err)
	operator := f.person(t, "operator", in(ns, may("update,patch", "deployments/status.apps")))
	_, err = operator.AppsV1().Deployments(ns).Patch(t.Context(), "web", types.MergePatchType, annotated(v1alpha1.AnnotationDivision, `{"aws":9}`), metav1.PatchOptions{}, "status")
	refused(t, err, "update deployments.apps web in namespace "+ns)
	editor := f.person(t, "editor", as("edit", ns))
	_, err = editor.AppsV1().Deployments(ns).Patch(t.Context(), "web", types.MergePatchType, annotated("federation.kubernetes.io/deployment-preferences", `{"rebalance":true}`), metav1.PatchOptions{})
	must(t, err)
}

func deployment(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "pause"}}}},
	}}
}

// TestWhatBecomesOfWorkloadsIsForWhoMayDeleteTheCluster: who may update a Cluster has its workloads deleted when an
// administrator lets it leave.
func TestWhatBecomesOfWorkloadsIsForWhoMayDeleteTheCluster(t *testing.T) {
	t.Parallel()
	f := suite
	operator := f.person(t, "operator", everywhere(may("get,update,patch", "clusters.hanse.dev")))
	clusters := operator.dynamic.Resource(v1alpha1.Resource("clusters"))
	for _, key := range []string{v1alpha1.AnnotationOnUnjoin, "hanse.dev/on-unjoin-force"} {
		_, err := clusters.Patch(t.Context(), "azure", types.MergePatchType, annotated(key, "delete"), metav1.PatchOptions{})
		refused(t, err, "delete clusters.hanse.dev azure", key)
	}
	// To close a cluster for what is new is what their right is for.
	_, err := clusters.Patch(t.Context(), "azure", types.MergePatchType, []byte(`{"spec":{"taints":[]}}`), metav1.PatchOptions{})
	must(t, err)
	deleter := f.person(t, "deleter", everywhere(may("get,update,patch,delete", "clusters.hanse.dev")))
	_, err = deleter.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(t.Context(), "azure", types.MergePatchType, annotated(v1alpha1.AnnotationOnUnjoin, "keep"), metav1.PatchOptions{})
	must(t, err)
}

// TestAnEditorMovesNobodysWorkloads: who may edit everything in all namespaces closes or empties a cluster, or has what is held there deleted.
func TestAnEditorMovesNobodysWorkloads(t *testing.T) {
	t.Parallel()
	f := suite
	editor := f.person(t, "editor", as("edit", ""), everywhere(may("get,list", "clusters.hanse.dev")))
	for _, args := range [][]string{{"cordon", "azure"}, {"drain", "azure"}, {"prune", "azure", "--yes"}} {
		if r := f.hanse(t, editor, args...); r.Code == 0 || !strings.Contains(r.Stderr, "patch") {
			t.Errorf("hanse %v: %s", args, r)
		}
	}
	azure, err := f.cluster(t.Context(), "azure")
	must(t, err)
	if azure.Spec.Unschedulable || azure.Spec.Drain {
		t.Errorf("cluster azure: %+v", azure.Spec)
	}
}
