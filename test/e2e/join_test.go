package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// TestTwoJoinsAtOnce joins one cluster under two names at once, several times:
// one wins, and the other leaves nothing at the hub and breaks nothing.
func TestTwoJoinsAtOnce(t *testing.T) {
	f := own(t, "twice", federation.MemberSpec{Name: "agate", Nodes: 1}) // with controllers: what unjoin leaves to the garbage collector goes
	ctx := t.Context()
	name := "agate"
	for round := range 2 {
		if result := f.hanse(t, "unjoin", name, "--kubeconfig", f.hub.Kubeconfig()); result.Code != 0 {
			t.Fatalf("unjoin: %s", result)
		}
		names := []string{fmt.Sprint("one", round), fmt.Sprint("two", round)}
		results := make([]federation.Result, len(names))
		var wg sync.WaitGroup
		for i, name := range names {
			wg.Go(func() {
				results[i] = f.hanse(t, "join", name, "--kubeconfig", f.member("agate").Kubeconfig(), "--hub-kubeconfig", f.hub.Kubeconfig(), "--timeout", "3m")
			})
		}
		wg.Wait()
		list, err := f.at.dynamic.Resource(v1alpha1.Resource("clusters")).List(ctx, metav1.ListOptions{})
		must(t, err)
		if len(list.Items) != 1 || (results[0].Code == 0) == (results[1].Code == 0) {
			t.Fatalf("%d Clusters after\n%s\n%s", len(list.Items), results[0], results[1])
		}
		name = list.Items[0].GetName()
		for i, result := range results {
			if won := names[i] == name; won != (result.Code == 0) || !won && !strings.Contains(result.Stderr, "is a member already, as "+name) {
				t.Errorf("%s is there, but join %s: %s", name, names[i], result)
			}
		}
		secrets, err := f.at.CoreV1().Secrets(v1alpha1.SystemNamespace).List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.LabelClusterName})
		must(t, err)
		if len(secrets.Items) != 1 {
			t.Errorf("%d credentials are at the hub", len(secrets.Items))
		}
		ns := fmt.Sprint("round-", round)
		_, err = f.at.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
		must(t, err)
		eventually(t, soon, func(ctx context.Context) error {
			_, err := f.in["agate"].CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
			return err
		})
	}
}
