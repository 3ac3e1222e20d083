package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// neededRounds is how often each of both is measured: the machine may be busy with something else in between.
const neededRounds = 2

// needed measures what it costs that ConfigMaps follow the Deployments that name them, instead of being in all clusters: both go
// to all of them, so that as much is written.
func (b *bench) needed(ctx context.Context, w *world) error {
	best := map[string]time.Duration{}
	for range neededRounds {
		for _, how := range []string{"Everywhere", "Needed"} {
			took, err := b.naming(ctx, w, how)
			if err != nil {
				return fmt.Errorf("propagation %s: %w", how, err)
			}
			if before, measured := best[how]; !measured || took < before {
				best[how] = took
			}
		}
	}
	b.report.add(row{
		Group: "needed", Name: fmt.Sprintf("CPU of the hub for %d Deployments and ConfigMaps that follow them, to what it is without", b.objects),
		Value: best["Needed"].Seconds() / best["Everywhere"].Seconds(), Unit: "×", Target: 1.1,
	})
	return nil
}

// naming is the CPU of the hub for ConfigMaps and Deployments that name them.
func (b *bench) naming(ctx context.Context, w *world, how string) (time.Duration, error) {
	namespace, err := b.prepare(ctx, w)
	if err != nil {
		return 0, err
	}
	label := fmt.Appendf(nil, `{"metadata":{"labels":{"hanse.dev/propagation":%q}}}`, how)
	if err := w.hub.client.Patch(types.MergePatchType).AbsPath("/api/v1/namespaces", namespace.hub).SetHeader("Content-Type", string(types.MergePatchType)).Body(label).Do(ctx).Error(); err != nil {
		return 0, err
	}
	named, naming := configMaps(), deployments(len(w.members))
	plain := naming.body
	naming.body = func(name string, n int) string {
		return strings.Replace(plain(name, n), `"name":"whoami","image"`, fmt.Sprintf(`"name":"whoami","envFrom":[{"configMapRef":{"name":%q}}],"image"`, name), 1)
	}
	var arrivals []observers
	for _, l := range []workload{named, naming} {
		o, err := observeAll(ctx, w.members, l, namespace.hub)
		if err != nil {
			return 0, err
		}
		defer o.close()
		o.expect(b.objects, l.arrived)
		arrivals = append(arrivals, o)
	}
	before, _, err := quiet(ctx, w.hubPID())
	if err != nil {
		return 0, err
	}
	for _, l := range []workload{named, naming} {
		if err := write(ctx, []*server{w.hub}, namespace.hub, names(b.objects), b.clients, l.create(l.created)); err != nil {
			return 0, err
		}
	}
	for _, o := range arrivals {
		if _, err := o.await(ctx); err != nil {
			return 0, err
		}
	}
	after, _, err := quiet(ctx, w.hubPID())
	if err != nil {
		return 0, err
	}
	return after - before, w.hub.client.Delete().AbsPath("/api/v1/namespaces", namespace.hub).Do(ctx).Error()
}
