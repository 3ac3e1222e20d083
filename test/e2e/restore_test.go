package e2e

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// TestHubRestored restores a hub from a copy of its data that knows nothing of
// what came later, and then joins the member to a fresh hub: neither deletes
// anything by itself.
func TestHubRestored(t *testing.T) {
	f := own(t, "restored", federation.MemberSpec{Name: "agate"})
	ctx, agate := t.Context(), f.in["agate"]
	o := fleetOf{fed: f, ns: f.lastingNamespace(t, "restored")}
	o.each(t, 0, 10, o.make, nil)
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })

	snapshot := f.hub.Dir + "/snapshot"
	must(t, f.hub.Stop(ctx))
	must(t, os.CopyFS(snapshot, os.DirFS(f.hub.DataDir())))
	must(t, f.hub.Start(ctx))
	o.each(t, 10, 40, o.make, nil)
	o.each(t, 0, 5, o.change, nil)
	o.each(t, 5, 8, o.remove, nil)
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
	before := f.memberVersions(t, o.ns)
	lost := f.version(t)

	must(t, f.hub.Stop(ctx))
	must(t, os.RemoveAll(f.hub.DataDir()))
	must(t, os.Rename(snapshot, f.hub.DataDir()))
	must(t, f.hub.Start(ctx))
	f.expired(t, lost)
	f.holds(t, "agate", 30)
	for k := range before {
		if name := k[len(k)-len("o0000"):]; name < "o0005" {
			delete(before, k) // as the restored hub knows them: put back
		}
	}
	f.unwritten(t, o.ns, before)
	f.told(t, o.ns, "Restored", 8) // what was changed or removed since
	f.told(t, metav1.NamespaceDefault, "HubRestored", 1)
	if n := len(f.memberVersions(t, o.ns)); n != 40 {
		t.Fatalf("the member has %d objects, want all 40", n)
	}
	// What the hub knows goes on as always.
	o.each(t, 9, 10, o.remove, nil)
	eventually(t, soon, func(context.Context) error {
		if n := len(f.memberVersions(t, o.ns)); n != 39 {
			return fmt.Errorf("the member has %d objects, want 39", n)
		}
		return nil
	})
	list := f.hanse(t, "prune", "agate", "--dry-run", "--kubeconfig", f.hub.Kubeconfig())
	if n := strings.Count(list.Stdout, "this hub put it there, but its database is from an earlier time"); list.Code != 0 || n != 30 {
		t.Errorf("%d are listed, want 30: %s", n, list)
	}
	result := f.hanse(t, "prune", "agate", "--kubeconfig", f.hub.Kubeconfig())
	if result.Code != 1 || !strings.Contains(result.Stderr, "30") || !strings.Contains(result.Stderr, "Try: --yes") {
		t.Errorf("prune with nobody to ask: %s", result)
	}
	if result := f.hanse(t, "prune", "agate", "--yes", "--kubeconfig", f.hub.Kubeconfig()); result.Code != 0 {
		t.Fatalf("prune: %s", result)
	}
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
	eventually(t, soon, func(ctx context.Context) error {
		return f.condition(ctx, "agate", v1alpha1.ConditionDeletionsHeld, metav1.ConditionFalse)
	})

	t.Run("a fresh hub", func(t *testing.T) {
		before := f.memberVersions(t, o.ns)
		must(t, f.hub.Kill(ctx))
		fresh, err := f.home.NewHub(ctx, "fresh")
		must(t, err)
		t.Cleanup(func() { _ = fresh.Kill(context.Background()) })
		if err := fresh.Join(ctx, f.members[0]); err == nil || !strings.Contains(err.Error(), "--take-over") {
			t.Errorf("a member of another hub is joined without --take-over: %v", err)
		}
		must(t, fresh.Join(ctx, f.members[0], "--take-over"))
		second := &fed{name: "fresh", home: f.home, hub: fresh, members: f.members}
		must(t, second.connect())
		// Only its own objects concern a fresh hub, and it makes one.
		_, err = second.at.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "fresh"}}, metav1.CreateOptions{})
		must(t, err)
		eventually(t, soon, func(ctx context.Context) error {
			_, err := agate.CoreV1().Namespaces().Get(ctx, "fresh", metav1.GetOptions{})
			return err
		})
		second.holds(t, "agate", len(before)+1) // and the namespace
		list := second.hanse(t, "prune", "agate", "--dry-run", "--kubeconfig", fresh.Kubeconfig())
		if n := strings.Count(list.Stdout, "another hub put it there"); list.Code != 0 || n != len(before)+1 {
			t.Errorf("%d are listed, want %d: %s", n, len(before)+1, list)
		}
		if err := same("what the member has", f.memberVersions(t, o.ns), before); err != nil {
			t.Error(err)
		}
	})
}

// version is the resourceVersion of a list at the hub.
func (f *fed) version(t *testing.T) uint64 {
	t.Helper()
	list, err := f.at.CoreV1().ConfigMaps(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	version, err := strconv.ParseUint(list.ResourceVersion, 10, 64)
	must(t, err)
	return version
}

// expired fails unless the hub's versions are above one, and who watches with it
// is told that it is too old: both what is served from a cache and what is not.
func (f *fed) expired(t *testing.T, version uint64) {
	t.Helper()
	if now := f.version(t); now <= version {
		t.Errorf("the hub's version is %d, it was %d before", now, version)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	opts := metav1.ListOptions{ResourceVersion: fmt.Sprint(version)}
	configMaps, err := f.at.CoreV1().ConfigMaps(metav1.NamespaceDefault).Watch(ctx, opts)
	must(t, err)
	defer configMaps.Stop()
	events, err := f.at.CoreV1().Events(metav1.NamespaceDefault).Watch(ctx, opts)
	must(t, err)
	defer events.Stop()
	for what, w := range map[string]watch.Interface{"ConfigMaps": configMaps, "Events": events} {
		select {
		case event := <-w.ResultChan():
			if err := apierrors.FromObject(event.Object); !apierrors.IsResourceExpired(err) {
				t.Errorf("a watch of %s from a version that is lost is told %s %v, want 410", what, event.Type, err)
			}
		case <-ctx.Done():
			t.Errorf("a watch of %s from a version that is lost is told nothing", what)
		}
	}
}

// told waits until there are events for a reason about that many objects.
func (f *fed) told(t *testing.T, ns, reason string, want int) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		events, err := f.at.CoreV1().Events(ns).List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason})
		if err != nil {
			return err
		}
		about := map[string]bool{}
		for i := range events.Items {
			about[events.Items[i].InvolvedObject.Name] = true
		}
		if len(about) != want {
			return fmt.Errorf("events %s about %d objects, want %d", reason, len(about), want)
		}
		return nil
	})
}

// holds waits until the hub says that it holds back that many deletions.
func (f *fed) holds(t *testing.T, cluster string, held int) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		if err := f.condition(ctx, cluster, v1alpha1.ConditionDeletionsHeld, metav1.ConditionTrue); err != nil {
			return err
		}
		c, err := f.cluster(ctx, cluster)
		if err == nil && int(c.Status.Held) != held {
			err = fmt.Errorf("%d deletions are held back, want %d", c.Status.Held, held)
		}
		return err
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
