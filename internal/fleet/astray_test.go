package fleet

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/fleet/join"
)

// thief is a server that would take any token.
type thief struct {
	*fakeAPI
	asked atomic.Int32
}

func newThief(t *testing.T) *thief {
	th := &thief{fakeAPI: newFakeAPI(t, "member-uid")}
	th.setIntercept(func(*http.Request) int { th.asked.Add(1); return 0 })
	return th
}

// patchCluster changes the spec of the Cluster as somebody who may.
func (f *federation) patchCluster(t *testing.T, spec map[string]any) {
	t.Helper()
	clusters, err := access.NewClusterClient(f.hub.config())
	if err != nil {
		t.Fatal(err)
	}
	generation := f.hub.get(clusterPath)["metadata"].(map[string]any)["generation"].(float64) + 1 // as an API server does
	patch, err := json.Marshal(map[string]any{"spec": spec, "metadata": map[string]any{"generation": generation}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clusters.Patch(t.Context(), "aws", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (f *federation) awaitAstray(t *testing.T, word string) {
	t.Helper()
	f.eventually(t, "said that the credential is for another way", func() bool {
		status, reason, message := f.condition(v1alpha1.ConditionReady)
		return status == string(metav1.ConditionFalse) && reason == v1alpha1.ReasonCredentialForOther && strings.Contains(message, word) &&
			strings.Contains(message, "hanse join aws --kubeconfig FILE") && !f.prop.isEngaged("aws")
	})
}

// TestATokenIsNotSentElsewhere: who may change a Cluster has it lead to a server of their own.
func TestATokenIsNotSentElsewhere(t *testing.T) {
	t.Parallel()
	f, to := newFederation(t), newThief(t)
	f.join(t)
	f.eventually(t, "engaged", func() bool { return f.prop.isEngaged("aws") })
	f.patchCluster(t, map[string]any{"endpoint": to.URL, "caBundle": append(pemOf(to.Certificate()), 10)})
	f.awaitAstray(t, "endpoint is "+to.URL)
	f.patchCluster(t, map[string]any{"endpoint": f.member.URL})
	f.awaitAstray(t, "caBundle is another")
	f.patchCluster(t, map[string]any{"caBundle": pemOf(f.member.Certificate()), "tlsServerName": "example.com"})
	f.awaitAstray(t, `tlsServerName is "example.com"`)
	f.patchCluster(t, map[string]any{"tlsServerName": nil})
	f.eventually(t, "engaged again", func() bool { return f.prop.isEngaged("aws") })
	if n := to.asked.Load(); n > 0 {
		t.Errorf("the hub asked the other server %d times", n)
	}
}

// TestACredentialThatSaysNotWhatItIsForIsNotSent is about Secrets of earlier versions, and of somebody's making.
func TestACredentialThatSaysNotWhatItIsForIsNotSent(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.patchHub(t, `{"data":{"endpoint":null}}`)
	f.awaitAstray(t, "endpoint is "+f.member.URL)
	if _, err := join.Run(t.Context(), clock.RealClock{}, f.options()); err != nil {
		t.Fatal(err)
	}
	f.eventually(t, "engaged again", func() bool { return f.prop.isEngaged("aws") })
}
