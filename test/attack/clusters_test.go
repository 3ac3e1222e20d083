package attack

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// TestWhoMayUpdateAClusterDoesNotGetItsToken: they have the Cluster lead to a server of their own, or make another Cluster
// that does and has the same credential.
func TestWhoMayUpdateAClusterDoesNotGetItsToken(t *testing.T) {
	f := suite // not beside others: a cluster is away meanwhile
	var tokens atomic.Int32
	thief := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			tokens.Add(1)
		}
	}))
	t.Cleanup(thief.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: thief.Certificate().Raw})
	azure, err := f.cluster(t.Context(), "azure")
	must(t, err)
	away, err := json.Marshal(map[string]any{"spec": map[string]any{"endpoint": thief.URL, "caBundle": ca}})
	must(t, err)
	back, err := json.Marshal(map[string]any{"spec": map[string]any{"endpoint": azure.Spec.Endpoint, "caBundle": azure.Spec.CABundle}})
	must(t, err)

	operator := f.person(t, "operator", everywhere(may("create,get,update,patch", "clusters.hanse.dev")))
	clusters := operator.dynamic.Resource(v1alpha1.Resource("clusters"))
	_, err = clusters.Patch(t.Context(), "azure", types.MergePatchType, away, metav1.PatchOptions{})
	refused(t, err, "update secrets "+azure.Spec.CredentialSecret+" in namespace "+v1alpha1.SystemNamespace, "spec.endpoint, spec.caBundle", "hanse join")
	other := fmt.Sprintf("apiVersion: hanse.dev/v1alpha1\nkind: Cluster\nmetadata: {name: thief}\nspec: {endpoint: %q, credentialSecret: %s, uid: mine}", thief.URL, azure.Spec.CredentialSecret)
	refused(t, operator.create(t, other), "create secrets in namespace "+v1alpha1.SystemNamespace)

	// Whoever gets past that, by another database or an earlier version of the hub, gets no token either: here the
	// administrator, whom admission lets.
	t.Cleanup(func() {
		_, err := f.admin.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(context.Background(), "azure", types.MergePatchType, back, metav1.PatchOptions{})
		if err != nil {
			t.Error(err)
		}
	})
	_, err = f.admin.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(t.Context(), "azure", types.MergePatchType, away, metav1.PatchOptions{})
	must(t, err)
	eventually(t, func(ctx context.Context) error {
		c, err := f.cluster(ctx, "azure")
		if err != nil {
			return err
		}
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Reason != v1alpha1.ReasonCredentialForOther || !strings.Contains(ready.Message, thief.URL) {
			return fmt.Errorf("cluster azure: %+v", ready)
		}
		return nil
	})
	_, err = f.admin.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(t.Context(), "azure", types.MergePatchType, back, metav1.PatchOptions{})
	must(t, err)
	eventually(t, func(ctx context.Context) error {
		c, err := f.cluster(ctx, "azure")
		if err == nil && !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
			err = fmt.Errorf("cluster azure is not back: %+v", c.Status.Conditions)
		}
		return err
	})
	if n := tokens.Load(); n > 0 {
		t.Errorf("the hub sent %d tokens", n)
	}
}
