package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// promptly is how soon something about a member has to be said, or done once it is well.
const promptly = 10 * time.Second

// TestWhatCannotBeReadInAMember has one resource refused, and then discovery as the hub
// starts.
func TestWhatCannotBeReadInAMember(t *testing.T) {
	t.Parallel()
	f := own(t, "unread", federation.MemberSpec{Name: "partly", Proxied: true})
	proxy, in := f.member("partly").Proxy, f.in["partly"]
	ns := f.namespace(t, "unread")
	f.create(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm, namespace: unread}\ndata: {a: b}")
	eventually(t, soon, func(ctx context.Context) error { return f.synced(ctx, ns, "configmaps.cm") })

	proxy.Break(federation.Fault{Status: http.StatusForbidden, Path: "/api/v1/configmaps", Reads: true})
	proxy.Cut()
	if err := in.CoreV1().ConfigMaps(ns).Delete(t.Context(), "cm", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, promptly, func(ctx context.Context) error { return f.unread(ctx, "configmaps: ") })
	p, err := f.placement(t.Context(), ns, "configmaps.cm")
	if err != nil || p.Clusters[0].State != v1alpha1.StateUnknown {
		t.Errorf("its placement: %v %+v", err, p)
	}
	proxy.Heal()
	eventually(t, promptly, func(ctx context.Context) error {
		if _, err := in.CoreV1().ConfigMaps(ns).Get(ctx, "cm", metav1.GetOptions{}); err != nil {
			return err
		}
		return f.condition(ctx, "partly", v1alpha1.ConditionSynced, metav1.ConditionTrue)
	})

	// Discovery fails while the hub starts.
	if err := f.hub.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.Break(federation.Fault{Status: http.StatusServiceUnavailable, Path: "/apis"})
	if err := f.hub.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.connect(); err != nil {
		t.Fatal(err)
	}
	f.create(t, "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: ds, namespace: unread}\n"+
		"spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: pause}]}}}")
	eventually(t, soon, func(ctx context.Context) error { return f.unread(ctx, "discovered") })
	proxy.Heal()
	eventually(t, promptly, func(ctx context.Context) error {
		_, err := in.AppsV1().DaemonSets(ns).Get(ctx, "ds", metav1.GetOptions{})
		return err
	})
	eventually(t, promptly, func(ctx context.Context) error {
		return f.condition(ctx, "partly", v1alpha1.ConditionSynced, metav1.ConditionTrue)
	})
}

// unread says whether the condition of the member names what cannot be read.
func (f *fed) unread(ctx context.Context, what string) error {
	c, err := f.cluster(ctx, "partly")
	if err != nil {
		return err
	}
	synced := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionSynced)
	if synced == nil || synced.Status != metav1.ConditionFalse || synced.Reason != v1alpha1.ReasonUnreadable || !strings.Contains(synced.Message, what) {
		return fmt.Errorf("its condition is %+v", synced)
	}
	return nil
}
