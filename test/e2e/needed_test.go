package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// secretIsIn says in which members a Secret is to be.
func (f *fed) secretIsIn(ctx context.Context, ns, name string, in map[string]bool) error {
	var wrong []error
	for member, wanted := range in {
		_, err := f.in[member].CoreV1().Secrets(ns).Get(ctx, name, metav1.GetOptions{})
		if is := err == nil; is != wanted || err != nil && !apierrors.IsNotFound(err) {
			wrong = append(wrong, fmt.Errorf("Secret %s is in %s: %t (%w)", name, member, is, err))
		}
	}
	return errors.Join(wrong...)
}

// TestNeeded has Secrets follow what names them: there before its pods, gone after them; and one that stays at the hub is never
// in a member.
func TestNeeded(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "needed")
	_, err := f.at.CoreV1().Namespaces().Patch(t.Context(), ns, types.MergePatchType, []byte(`{"metadata":{"labels":{"hanse.dev/propagation":"Needed"}}}`), metav1.PatchOptions{})
	must(t, err)
	in := func(aws, azure bool) map[string]bool { return map[string]bool{"aws": aws, "azure": azure} }
	f.create(t, `
apiVersion: v1
kind: Secret
metadata: {name: password, namespace: needed}
stringData: {password: hunter2}
---
apiVersion: v1
kind: Secret
metadata: {name: unused, namespace: needed}
stringData: {password: hunter2}
---
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: kept, namespace: needed}
spec: {select: {names: [kept]}, propagation: None}
`)
	// The order in which things are there, as a member tells of it.
	began, err := f.in["aws"].CoreV1().Secrets(ns).List(t.Context(), metav1.ListOptions{})
	for apierrors.IsNotFound(err) {
		began, err = f.in["aws"].CoreV1().Secrets(ns).List(t.Context(), metav1.ListOptions{})
	}
	must(t, err)
	seen, err := f.in["aws"].CoreV1().Secrets(ns).Watch(t.Context(), metav1.ListOptions{ResourceVersion: began.ResourceVersion})
	must(t, err)
	defer seen.Stop()
	pods, err := f.in["aws"].AppsV1().Deployments(ns).Watch(t.Context(), metav1.ListOptions{ResourceVersion: began.ResourceVersion})
	must(t, err)
	defer pods.Stop()
	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: app, namespace: needed}
spec: {select: {names: [app]}, clusters: {names: [aws]}}
`+strings.Replace(web(ns, "app", "", 2), `args: [serve]`, `args: [serve], env: [{name: P, valueFrom: {secretKeyRef: {name: password, key: password}}}]`, 1)+`
---
apiVersion: v1
kind: Secret
metadata: {name: kept, namespace: needed}
stringData: {password: hunter2}
`)
	eventually(t, soon, func(ctx context.Context) error {
		return errors.Join(f.sharesAre(ctx, ns, "app", map[string]int32{"aws": 2}), f.secretIsIn(ctx, ns, "password", in(true, false)))
	})
	secret, err := f.in["aws"].CoreV1().Secrets(ns).Get(t.Context(), "password", metav1.GetOptions{})
	must(t, err)
	made := (<-pods.ResultChan()).Object.(metav1.Object)
	if revision(t, secret.ResourceVersion) > revision(t, made.GetResourceVersion()) {
		t.Errorf("the Secret was made at %s, the Deployment that names it at %s", secret.ResourceVersion, made.GetResourceVersion())
	}
	f.why(t, ns, "secret/password", "it is where something names it: propagation is Needed by Namespace needed", "named by deployments.apps needed/app", "nothing that goes there names it")
	f.why(t, ns, "secret/kept", "it stays at the hub: propagation is None by PlacementPolicy needed/kept")

	// It moves with what names it, and leaves last.
	_, err = f.policies(ns).Patch(t.Context(), "app", types.MergePatchType, []byte(`{"spec":{"clusters":{"names":["azure"]}}}`), metav1.PatchOptions{})
	must(t, err)
	eventually(t, soon, func(ctx context.Context) error {
		err := errors.Join(f.sharesAre(ctx, ns, "app", map[string]int32{"aws": 0, "azure": 2}), f.secretIsIn(ctx, ns, "password", in(false, true)))
		if gone := f.secretIsIn(ctx, ns, "password", map[string]bool{"aws": false}); gone == nil {
			d, err := f.in["aws"].AppsV1().Deployments(ns).Get(ctx, "app", metav1.GetOptions{})
			if err == nil && d.Status.Replicas > 0 {
				t.Fatalf("the Secret has left aws, where %d pods run that use it", d.Status.Replicas)
			}
		}
		return err
	})
	must(t, f.at.AppsV1().Deployments(ns).Delete(t.Context(), "app", metav1.DeleteOptions{}))
	eventually(t, soon, func(ctx context.Context) error {
		return errors.Join(f.secretIsIn(ctx, ns, "password", in(false, false)), f.secretIsIn(ctx, ns, "unused", in(false, false)), f.secretIsIn(ctx, ns, "kept", in(false, false)))
	})
	seen.Stop()
	for e := range seen.ResultChan() {
		if s, ok := e.Object.(metav1.Object); ok && e.Type == watch.Added && s.GetName() != "password" {
			t.Errorf("Secret %s was in aws", s.GetName())
		}
	}
}

// why is what hanse why says of an object, with some words.
func (f *fed) why(t *testing.T, ns, object string, words ...string) {
	t.Helper()
	eventually(t, soon, func(context.Context) error {
		said := f.hanse(t, "why", object, "-n", ns, "--kubeconfig", f.hub.Kubeconfig())
		for _, word := range words {
			if !strings.Contains(said.Stdout, word) {
				return fmt.Errorf("hanse why %s does not say %q: %s%s", object, word, said.Stdout, said.Stderr)
			}
		}
		return nil
	})
}

func revision(t *testing.T, version string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(version, 10, 64)
	must(t, err)
	return n
}
