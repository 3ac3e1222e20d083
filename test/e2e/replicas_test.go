package e2e

import (
	"context"
	"fmt"
	"maps"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// shares are the replicas of a Deployment in the members that have it.
func (f *fed) shares(ctx context.Context, ns, name string) (map[string]int32, error) {
	out := map[string]int32{}
	for _, m := range f.members {
		d, err := f.in[m.Name].AppsV1().Deployments(ns).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[m.Name] = *d.Spec.Replicas
	}
	return out, nil
}

// divided waits until a Deployment's replicas in the members sum up to total,
// evenly, and returns them.
func (f *fed) divided(t *testing.T, ns, name string, total int32) map[string]int32 {
	t.Helper()
	var got map[string]int32
	eventually(t, soon, func(ctx context.Context) (err error) {
		if got, err = f.shares(ctx, ns, name); err != nil {
			return err
		}
		var sum, least, most int32
		least = total
		for _, m := range f.members {
			n := got[m.Name]
			sum, least, most = sum+n, min(least, n), max(most, n)
		}
		if sum != total || most-least > 1 {
			return fmt.Errorf("%s has %v, want an even division of %d", name, got, total)
		}
		return nil
	})
	return got
}

func (f *fed) scale(t *testing.T, ns, name string, replicas int32) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	eventually(t, soon, func(ctx context.Context) error {
		_, err := f.at.AppsV1().Deployments(ns).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}, "scale")
		return err
	})
}

func moved(before, after map[string]int32) (n int32) {
	all := maps.Clone(before)
	maps.Copy(all, after)
	for cluster := range all {
		d := after[cluster] - before[cluster]
		n += max(d, -d)
	}
	return n
}

func TestReplicasAreDivided(t *testing.T) {
	f := chaos(t)
	ns := f.lastingNamespace(t, "divided")
	make := func(name string, replicas int32) {
		_, err := f.at.AppsV1().Deployments(ns).Create(t.Context(), deployment(metav1.ObjectMeta{Namespace: ns, Name: name}, replicas), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}

	t.Run("scaling moves as few as possible", func(t *testing.T) {
		make("scaled", 9)
		last, shares := int32(9), f.divided(t, ns, "scaled", 9)
		for _, total := range []int32{10, 12, 11, 4, 0, 2, 9} {
			f.scale(t, ns, "scaled", total)
			next := f.divided(t, ns, "scaled", total)
			if n := moved(shares, next); n != max(total-last, last-total) {
				t.Errorf("from %d to %d: %v became %v, %d replicas moved", last, total, shares, next, n)
			}
			last, shares = total, next
		}
	})

	t.Run("the remainder is not always the same cluster's", func(t *testing.T) {
		extra := map[string]int{}
		const count = 24
		for i := range count {
			make(fmt.Sprintf("remainder-%d", i), 4)
		}
		for i := range count {
			for cluster, n := range f.divided(t, ns, fmt.Sprintf("remainder-%d", i), 4) {
				if n == 2 {
					extra[cluster]++
				}
			}
		}
		for _, m := range f.members {
			if extra[m.Name] < 3 || extra[m.Name] > 14 {
				t.Errorf("of %d remainders, the clusters have %v: not fair", count, extra)
			}
		}
	})

	t.Run("a Job's parts add up", func(t *testing.T) {
		parallelism, completions := int32(5), int32(13)
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "job"}, Spec: batchv1.JobSpec{
			Parallelism: &parallelism, Completions: &completions,
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "busybox"}}}},
		}}
		if _, err := f.at.BatchV1().Jobs(ns).Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, soon, func(ctx context.Context) error {
			var p, c int32
			for _, in := range f.in {
				part, err := in.BatchV1().Jobs(ns).Get(ctx, "job", metav1.GetOptions{})
				if err != nil {
					return err
				}
				p, c = p+*part.Spec.Parallelism, c+*part.Spec.Completions
			}
			if p != parallelism || c != completions {
				return fmt.Errorf("the parts have parallelism %d and completions %d, want %d and %d", p, c, parallelism, completions)
			}
			return nil
		})
	})
}

// TestDivisionIsRemembered scales while a member is away and kills the hub: the
// member's replicas, which run as far as anybody knows, stay what they were.
func TestDivisionIsRemembered(t *testing.T) {
	f := chaos(t)
	ctx := t.Context()
	ns := f.lastingNamespace(t, "remembered")
	if _, err := f.at.AppsV1().Deployments(ns).Create(ctx, deployment(metav1.ObjectMeta{Namespace: ns, Name: "d"}, 9), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.divided(t, ns, "d", 9)
	basalt := f.member("basalt")
	if err := basalt.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	f.clusterIs(t, "basalt", v1alpha1.ReasonNetworkUnreachable)
	f.scale(t, ns, "d", 15)
	want := map[string]int32{"amber": 6, "cobalt": 6}
	others := func(ctx context.Context) error {
		for name, n := range want {
			d, err := f.in[name].AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if *d.Spec.Replicas != n {
				return fmt.Errorf("%s has %d replicas, want %d", name, *d.Spec.Replicas, n)
			}
		}
		return nil
	}
	eventually(t, soon, others)
	versions, err := f.in["amber"].versions(ctx, deployments(), ns)
	if err != nil {
		t.Fatal(err)
	}

	f.killHub(t)
	f.clusterIs(t, "amber", v1alpha1.ReasonReachable)
	if err := basalt.Start(ctx); err != nil {
		t.Fatal(err)
	}
	f.clusterIs(t, "basalt", v1alpha1.ReasonReachable)
	f.quiet(t)
	got, err := f.shares(ctx, ns, "d")
	if err != nil {
		t.Fatal(err)
	}
	want["basalt"] = 3
	if !maps.Equal(got, want) {
		t.Errorf("after all came back the shares are %v, want %v", got, want)
	}
	after, err := f.in["amber"].versions(ctx, deployments(), ns)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(after, versions) {
		t.Errorf("amber's was right and was written again: version %v, was %v", after, versions)
	}
}
