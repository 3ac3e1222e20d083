package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// TestWhatTheHubDoesNotUnderstandIsRefused: an editor writes a policy whose meaning the hub would guess, or leave out.
func TestWhatTheHubDoesNotUnderstandIsRefused(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "not-understood")
	editor := f.person(t, "editor", as("edit", ns))
	for _, spec := range []string{
		"{failover: {after: 1d}}", "{failover: {after: '1 w'}}", "{failover: {unschedulableAfter: -1m}}", "{rollout: {by: Region, wait: -1s}}",
		"{rollout: {by: Region, progressDeadline: 1 day}}",
	} {
		refused(t, editor.create(t, policyIn(ns, spec)), "spec.")
	}
	must(t, editor.create(t, policyIn(ns, "{failover: {after: 1m30s}}")))
	operator := f.person(t, "operator", everywhere(may("get,update,patch", "clusters.hanse.dev")))
	_, err := operator.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(t.Context(), "azure", types.MergePatchType,
		[]byte(`{"spec":{"taints":[{"key":"a","effect":"PreferNoSchedule","timeAdded":"2026-01-01t00:00:00z"}]}}`), metav1.PatchOptions{})
	refused(t, err, "spec.taints[0].timeAdded")
}

// TestTheLastGoodSpecIsNotForged: who may write everything of a policy, its status too, says what was in effect before.
func TestTheLastGoodSpecIsNotForged(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "forges-status")
	owner := f.person(t, "owner", in(ns, may("*", "placementpolicies.hanse.dev,placementpolicies/status.hanse.dev")))
	must(t, owner.create(t, policyIn(ns, "{clusters: {names: [aws]}}")))
	policies := owner.dynamic.Resource(v1alpha1.Resource("placementpolicies")).Namespace(ns)
	_, err := policies.Patch(t.Context(), "p", types.MergePatchType, []byte(`{"status":{"inEffect":{"generation":1,"spec":{}}}}`), metav1.PatchOptions{}, "status")
	refused(t, err, "status.inEffect", "nobody else may write it")
	_, err = policies.Patch(t.Context(), "p", types.MergePatchType, []byte(`{"status":{"objects":7}}`), metav1.PatchOptions{}, "status")
	must(t, err)
}

// database is the hub's own.
func database(t *testing.T, f *fed) *clientv3.Client {
	t.Helper()
	db, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + filepath.Join(f.hub.DataDir(), "run", "etcd.sock")}, DialTimeout: 10 * time.Second})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestAPolicyThatIsStoredAndNotUnderstoodHolds: an earlier version of the hub let one in that was to keep Secrets in one
// cluster, and another was edited so. Neither lets them go everywhere, nor does a restart.
func TestAPolicyThatIsStoredAndNotUnderstoodHolds(t *testing.T) {
	f := suite // not beside others: the hub restarts
	never, edited := f.namespace(t, "never-understood"), f.namespace(t, "edited-since")
	db := database(t, f)
	// As the version that knew no better stored it.
	store := func(ns string, change func(spec map[string]any)) {
		t.Helper()
		key := "/registry/hanse.dev/placementpolicies/" + ns + "/p"
		got, err := db.Get(t.Context(), key)
		must(t, err)
		if len(got.Kvs) != 1 {
			t.Fatalf("%s is not in the database", key)
		}
		var stored map[string]any
		must(t, json.Unmarshal(got.Kvs[0].Value, &stored))
		change(stored["spec"].(map[string]any))
		metadata := stored["metadata"].(map[string]any)
		metadata["generation"] = metadata["generation"].(float64) + 1
		changed, err := json.Marshal(stored)
		must(t, err)
		_, err = db.Put(t.Context(), key, string(changed))
		must(t, err)
	}
	unread := func(spec map[string]any) { spec["failover"] = map[string]any{"after": "1d"} }
	editor := f.person(t, "editor", as("edit", never), as("edit", edited))
	must(t, editor.create(t, policyIn(edited, "{clusters: {names: [aws]}}")))
	f.policyAccepted(t, edited, metav1.ConditionTrue, "")
	store(edited, unread)
	f.policyAccepted(t, edited, metav1.ConditionFalse, "stays in effect as it was before")

	must(t, f.hub.Stop(t.Context())) // while no hub is there that could understand it first
	must(t, f.hub.Start(t.Context()))
	must(t, f.connect())
	db = database(t, f)
	must(t, f.admin.create(t, policyIn(never, "{clusters: {names: [nowhere]}}")))
	f.policyAccepted(t, never, metav1.ConditionFalse, "selects none")
	got, err := db.Get(t.Context(), "/registry/hanse.dev/placementpolicies/"+never+"/p")
	must(t, err)
	_, err = db.Delete(t.Context(), "/registry/hanse.dev/placementpolicies/"+never+"/p")
	must(t, err)
	_, err = db.Put(t.Context(), "/registry/hanse.dev/placementpolicies/"+never+"/p", strings.NewReplacer(
		`{"names":["nowhere"]}`, `{"names":["aws"]},"failover":{"after":"1d"}`, `"uid":"`, `"uid":"0`).Replace(string(got.Kvs[0].Value)))
	must(t, err)
	f.policyAccepted(t, never, metav1.ConditionFalse, "nothing new of what it selects is placed")

	for _, ns := range []string{never, edited} {
		_, err := f.admin.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "key"}, StringData: map[string]string{"a": "b"}}, metav1.CreateOptions{})
		must(t, err)
	}
	f.reaches(t, "aws", edited, "key")
	// By now they would be in azure, too.
	f.passes(t, "azure")
	for member, namespaces := range map[string][]string{"aws": {never}, "azure": {never, edited}} {
		for _, ns := range namespaces {
			if _, err := f.in[member].CoreV1().Secrets(ns).Get(t.Context(), "key", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("the Secret of %s is in %s: %v", ns, member, err)
			}
		}
	}
}

// policyAccepted waits until the condition of the policy p has that status and says that.
func (f *fed) policyAccepted(t *testing.T, ns string, status metav1.ConditionStatus, words string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		u, err := f.admin.dynamic.Resource(v1alpha1.Resource("placementpolicies")).Namespace(ns).Get(ctx, "p", metav1.GetOptions{})
		if err != nil {
			return err
		}
		var p struct {
			Status v1alpha1.PlacementPolicyStatus
		}
		raw, err := u.MarshalJSON()
		if err == nil {
			err = json.Unmarshal(raw, &p)
		}
		if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionAccepted); err == nil && (c == nil || c.Status != status || !strings.Contains(c.Message, words)) {
			err = fmt.Errorf("policy of %s: %+v", ns, c)
		}
		return err
	})
}

// reaches waits until a Secret is in a member.
func (f *fed) reaches(t *testing.T, member, ns, name string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		_, err := f.in[member].CoreV1().Secrets(ns).Get(ctx, name, metav1.GetOptions{})
		return err
	})
}

// passes waits until a Secret that is created now has reached a member: what was to go there before has done so.
func (f *fed) passes(t *testing.T, member string) {
	t.Helper()
	name := "passes-" + fmt.Sprint(time.Now().UnixNano())
	_, err := f.admin.CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		_ = f.admin.CoreV1().Secrets("default").Delete(context.Background(), name, metav1.DeleteOptions{})
	})
	f.reaches(t, member, "default", name)
}
