package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/test/federation"
)

// written are the hub's writes of an object in a member, as its audit log has them: the verb and the hub's user whose write led to
// it, or nobody. What follows each other and is the same is there once.
func written(m *federation.Member, resource, ns, name string) (all []string, err error) {
	data, err := os.ReadFile(m.AuditLog())
	if err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var event struct {
			Verb, UserAgent string
			ObjectRef       struct{ Resource, Namespace, Name string }
		}
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue // it is being written
		}
		ref := event.ObjectRef
		if !strings.HasPrefix(event.UserAgent, "hanse") || strings.HasPrefix(event.UserAgent, "hanse-test") || ref.Resource != resource || ref.Namespace != ns || ref.Name != name {
			continue
		}
		who := "nobody"
		if _, after, ok := strings.Cut(event.UserAgent, "(hub-user="); ok {
			who, _, _ = strings.Cut(after, ";")
		}
		all = append(all, event.Verb+" "+who)
	}
	return slices.Compact(all), nil
}

// TestMembersAreToldWhoWrote reads members' audit logs: who made, changed, scaled and deleted an object is in the User-Agent of what
// the hub writes for it, and nobody is where the hub acts of its own accord.
func TestMembersAreToldWhoWrote(t *testing.T) {
	f := own(t, "audited", federation.MemberSpec{Name: "oak", Audit: true}, federation.MemberSpec{Name: "pine", Audit: true})
	ctx := t.Context()
	const ns = "audited"
	by := map[string]*clients{}
	for _, who := range []string{"maker", "changer", "scaler", "divider", "remover"} {
		by[who] = f.as(t, who, "cluster-admin")
	}
	f.namespace(t, ns)
	is := func(member string, want ...string) {
		t.Helper()
		eventually(t, soon, func(context.Context) error {
			got, err := written(f.member(member), "deployments", ns, "web")
			if err == nil && !slices.Equal(got, want) {
				err = fmt.Errorf("%s was written by %q, want %q", member, got, want)
			}
			return err
		})
	}
	_, err := by["maker"].AppsV1().Deployments(ns).Create(ctx, deployment(metav1.ObjectMeta{Namespace: ns, Name: "web"}, 4), metav1.CreateOptions{})
	must(t, err)
	f.have(t, ns, "web", 4, map[string]int32{"oak": 2, "pine": 2})
	oak, pine := []string{"create maker-cluster-admin"}, []string{"create maker-cluster-admin"}
	is("oak", oak...)

	_, err = by["changer"].AppsV1().Deployments(ns).Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"minReadySeconds":1}}`), metav1.PatchOptions{})
	must(t, err)
	oak, pine = append(oak, "patch changer-cluster-admin"), append(pine, "patch changer-cluster-admin")
	is("oak", oak...)

	_, err = by["scaler"].AppsV1().Deployments(ns).UpdateScale(ctx, "web", &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"}, Spec: autoscalingv1.ScaleSpec{Replicas: 6},
	}, metav1.UpdateOptions{})
	must(t, err)
	f.have(t, ns, "web", 6, map[string]int32{"oak": 3, "pine": 3})
	oak, pine = append(oak, "patch scaler-cluster-admin"), append(pine, "patch scaler-cluster-admin")
	is("oak", oak...)

	// Drift is put back, which nobody at the hub has led to.
	f.scaleThere(t, "oak", ns, "web", 9)
	oak = append(oak, "patch nobody")
	is("oak", oak...)

	_, err = by["divider"].AppsV1().Deployments(ns).Patch(ctx, "web", types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"hanse.dev/preferences":"{\"rebalance\":true,\"clusters\":{\"oak\":{\"weight\":2},\"pine\":{\"weight\":1}}}"}}}`), metav1.PatchOptions{})
	must(t, err)
	f.have(t, ns, "web", 6, map[string]int32{"oak": 4, "pine": 2})
	oak, pine = append(oak, "patch divider-cluster-admin"), append(pine, "patch divider-cluster-admin")
	is("oak", oak...)
	is("pine", pine...)

	// What a cluster is given because another is drained, nobody who wrote the object has led to.
	_, err = f.home.Run(ctx, "drain", "oak", "--timeout=10s", "--kubeconfig", f.hub.Kubeconfig())
	must(t, err)
	pine = append(pine, "patch nobody")
	is("pine", pine...)

	must(t, by["remover"].AppsV1().Deployments(ns).Delete(ctx, "web", metav1.DeleteOptions{}))
	is("pine", append(pine, "delete remover-cluster-admin")...)
}
