package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

func codecs() serializer.CodecFactory { return serializer.NewCodecFactory(runtime.NewScheme()) }

// workload is a kind of object, with one number in it that a change changes.
type workload struct {
	resource string
	path     string // of the collection, with the namespace to be filled in
	// body is an object of that name whose number is n; patch sets the number.
	body  func(name string, n int) string
	patch func(n int) string
	// created and changed are the numbers at the hub, arrived and rearrived those in a member.
	created, changed   int
	arrived, rearrived int
	watch              func(context.Context, *kubernetes.Clientset, string, metav1.ListOptions) (watch.Interface, error)
	number             func(runtime.Object) int
	// What Karmada was measured at: times the floor for create, update and delete, tuned / at its defaults.
	karmada [3]string
	// CPU of the hub for 1,000 created: at most, and Karmada's for create, update and delete together; in seconds.
	cpuTarget    float64
	cpuOfKarmada string
}

// deployments is the tutorial's whoami, with one replica for each member.
func deployments(members int) workload {
	return workload{
		resource: "deployments",
		path:     "/apis/apps/v1/namespaces/%s/deployments",
		body: func(name string, n int) string {
			return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":%[1]q},"spec":{"replicas":%[2]d,`+
				`"selector":{"matchLabels":{"name":%[1]q}},"template":{"metadata":{"labels":{"tier":"frontend","type":"web","name":%[1]q}},`+
				`"spec":{"containers":[{"name":"whoami","image":"mmitrofan/whoami:latest","ports":[{"containerPort":80}]}]}}}}`, name, n)
		},
		patch:   func(n int) string { return fmt.Sprintf(`{"spec":{"replicas":%d}}`, n) },
		created: members, changed: 2 * members,
		arrived: 1, rearrived: 2,
		watch: func(ctx context.Context, c *kubernetes.Clientset, namespace string, o metav1.ListOptions) (watch.Interface, error) {
			return c.AppsV1().Deployments(namespace).Watch(ctx, o)
		},
		number: func(o runtime.Object) int {
			if d, ok := o.(*appsv1.Deployment); ok && d.Spec.Replicas != nil {
				return int(*d.Spec.Replicas)
			}
			return -1
		},
		karmada:   [3]string{"24 / 95", "18 / 25", "13 / 48"},
		cpuTarget: 20, cpuOfKarmada: "347 (all three)",
	}
}

// configMaps are as large as a small configuration file.
func configMaps() workload {
	return workload{
		resource: "configmaps",
		path:     "/api/v1/namespaces/%s/configmaps",
		body: func(name string, n int) string {
			return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"number":"%d","traefik.toml":"logLevel = \"INFO\"\n[entryPoints.http]\naddress = \":80\"\n"}}`, name, n)
		},
		patch:   func(n int) string { return fmt.Sprintf(`{"data":{"number":"%d"}}`, n) },
		created: 1, changed: 2,
		arrived: 1, rearrived: 2,
		watch: func(ctx context.Context, c *kubernetes.Clientset, namespace string, o metav1.ListOptions) (watch.Interface, error) {
			return c.CoreV1().ConfigMaps(namespace).Watch(ctx, o)
		},
		number: func(o runtime.Object) int {
			n := -1
			if c, ok := o.(*corev1.ConfigMap); ok {
				_, _ = fmt.Sscan(c.Data["number"], &n) // what is no number is none of the bench's
			}
			return n
		},
		karmada: [3]string{"36", "7", "14"},
	}
}

// call is one write of a phase.
type call func(ctx context.Context, s *server, namespace, name string) error

func (l workload) create(n int) call {
	return func(ctx context.Context, s *server, namespace, name string) error {
		return s.client.Post().AbsPath(fmt.Sprintf(l.path, namespace)).SetHeader("Content-Type", runtime.ContentTypeJSON).
			Body([]byte(l.body(name, n))).Do(ctx).Error()
	}
}

func (l workload) change(n int) call {
	return func(ctx context.Context, s *server, namespace, name string) error {
		return s.client.Patch(types.MergePatchType).AbsPath(fmt.Sprintf(l.path, namespace), name).Body([]byte(l.patch(n))).Do(ctx).Error()
	}
}

func (l workload) remove(ctx context.Context, s *server, namespace, name string) error {
	return s.client.Delete().AbsPath(fmt.Sprintf(l.path, namespace), name).Do(ctx).Error()
}

// names are those of a phase's objects.
func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("whoami-%05d", i)
	}
	return all
}

// write makes a call for each name on each server, by so many clients for each server, and stops at the first errors.
func write(ctx context.Context, servers []*server, namespace string, names []string, clients int, do call) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	for _, s := range servers {
		var next atomic.Int64
		for range clients {
			wait.Go(func() {
				for {
					i := int(next.Add(1)) - 1
					if i >= len(names) || ctx.Err() != nil {
						return
					}
					if err := do(ctx, s, namespace, names[i]); err != nil {
						cancel(fmt.Errorf("writing %s to %s: %w", names[i], s.name, err))
					}
				}
			})
		}
	}
	wait.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return ctx.Err()
}
