package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// TestMisbehavingMember makes changes while a member answers with errors, late
// or not at all: the others get them as always, and the member once it is well.
func TestMisbehavingMember(t *testing.T) {
	f := chaos(t)
	proxy := f.member("cobalt").Proxy
	for _, c := range []struct {
		name  string
		fault federation.Fault
		heals bool // or is the member to get everything in spite of the fault?
	}{
		{"429", federation.Fault{Status: http.StatusTooManyRequests}, true},
		{"500", federation.Fault{Status: http.StatusInternalServerError}, true},
		{"reset", federation.Fault{Reset: true}, true},
		{"slow", federation.Fault{Delay: 5 * time.Second}, false},
		{"every third 503", federation.Fault{Status: http.StatusServiceUnavailable, Share: 33}, false},
		{"every third reset", federation.Fault{Reset: true, Share: 33}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := fleetOf{fed: f, ns: f.lastingNamespace(t, fmt.Sprintf("faulty-%d", time.Now().UnixMilli()))}
			o.each(t, 0, 20, o.make, nil)
			eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
			before := f.memberVersions(t, o.ns)
			t.Cleanup(proxy.Heal)
			proxy.Break(c.fault)
			o.each(t, 20, 40, o.make, nil)
			o.each(t, 5, 10, o.change, nil)
			o.each(t, 0, 5, o.remove, nil)
			began := time.Now()
			// Less than two answers of the slow member: nobody waits for it.
			eventually(t, 9*time.Second, func(ctx context.Context) error { return f.converged(ctx, o.ns, "amber", "basalt") })
			t.Logf("the others had it after %s", time.Since(began).Round(time.Millisecond))
			if c.heals {
				if err := f.converged(t.Context(), o.ns, "cobalt"); err == nil {
					t.Error("the member has everything in spite of the fault: the test proves nothing")
				}
				eventually(t, soon, func(ctx context.Context) error {
					return f.condition(ctx, "cobalt", v1alpha1.ConditionReady, metav1.ConditionFalse)
				})
				proxy.Heal()
			}
			eventually(t, 2*soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
			for k := range before {
				if name := k[len(k)-len("o0000"):]; name < "o0010" {
					delete(before, k)
				}
			}
			f.unwritten(t, o.ns, before)
			proxy.Heal()
			f.clusterIs(t, "cobalt", v1alpha1.ReasonReachable)
		})
	}
}

// TestCredentialRevoked takes the hub's service account, and then its rights,
// away from it in a member.
func TestCredentialRevoked(t *testing.T) {
	f := chaos(t)
	ctx, cobalt := t.Context(), f.in["cobalt"]
	t.Cleanup(func() {
		if t.Failed() { // the next tests want the member back
			_ = f.hub.Join(context.Background(), f.member("cobalt"))
		}
	})
	o := fleetOf{fed: f, ns: f.lastingNamespace(t, "revoked")}
	o.each(t, 0, 10, o.make, nil)
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
	before := f.memberVersions(t, o.ns)

	if err := cobalt.CoreV1().ServiceAccounts(v1alpha1.SystemNamespace).Delete(ctx, v1alpha1.ServiceAccount, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.clusterIs(t, "cobalt", v1alpha1.ReasonAuthenticationFailed)
	c, err := f.cluster(ctx, "cobalt")
	if err != nil || c.Status.Phase != v1alpha1.ClusterDenied {
		t.Errorf("the cluster's phase is %q (%v), want %s", c.Status.Phase, err, v1alpha1.ClusterDenied)
	}
	o.each(t, 10, 20, o.make, nil)
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns, "amber", "basalt") })
	if err := f.hub.Join(ctx, f.member("cobalt")); err != nil { // as the condition's message says
		t.Fatal(err)
	}
	f.clusterIs(t, "cobalt", v1alpha1.ReasonReachable)
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })

	bindings := cobalt.RbacV1().ClusterRoleBindings()
	binding, err := bindings.Get(ctx, v1alpha1.ServiceAccount, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := bindings.Delete(ctx, v1alpha1.ServiceAccount, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.clusterIs(t, "cobalt", v1alpha1.ReasonPermissionDenied)
	o.each(t, 20, 30, o.make, nil)
	binding.ResourceVersion, binding.UID = "", types.UID("")
	if _, err := bindings.Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.clusterIs(t, "cobalt", v1alpha1.ReasonReachable)
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
	f.unwritten(t, o.ns, before)
}
