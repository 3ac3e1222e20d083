package app

import (
	"context"
	"io"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	"k8s.io/utils/ptr"

	"github.com/hanse-dev/hanse/internal/controlplane"
	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/internal/propagate/survive"
)

// newMetrics makes the hub's metrics and registers them where the API server's own are, so that its /metrics serves
// both. Panics of upstream's goroutines, which are recovered there, are counted too; upstream's list of who is told is
// global, so this is called once in a process.
func newMetrics() (*metrics.Metrics, error) {
	m, err := metrics.New(legacyregistry.Registerer())
	if err != nil {
		return nil, err
	}
	utilruntime.PanicHandlers = append(utilruntime.PanicHandlers, func(context.Context, any) { m.Hub.Panicked("upstream") })
	return m, nil
}

// observed is the context of the hub's own parts: what they log goes to log, and their panics are counted.
func observed(ctx context.Context, m *metrics.Metrics, log io.Writer) context.Context {
	logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(log)))
	return guard.WithCounter(klog.NewContext(ctx, logger), m.Hub.Panicked)
}

// measure has the parts of the hub measured.
func (f *federation) measure(m *metrics.Metrics, hub *controlplane.ControlPlane) {
	f.fleet.Measure(m.Fleet)
	m.DNS.Source(f.dns.Metrics)
	m.Certificates.Source(func() map[string]metrics.Certificate { return certificates(hub) })
	m.Objects.Source(f.objects)
	m.Losses.Source(f.losses)
}

// losses is what propagation found out last about the loss of clusters.
func (f *federation) losses() (all []metrics.Loss) {
	kinds := map[string]string{
		survive.KindCluster: metrics.LossOfCluster, survive.KindRegion: metrics.LossOfRegion, survive.KindProvider: metrics.LossOfProvider,
	}
	for _, figure := range f.engine.Survival() {
		all = append(all, metrics.Loss{
			Kind: kinds[figure.Kind], Name: figure.Name.Name,
			UnplacedReplicas: figure.Unplaced, UnansweredNames: figure.Unanswered, QuorumsLost: figure.QuorumLost,
		})
	}
	return all
}

// certificates are the hub's own, as far as they can be read.
func certificates(hub *controlplane.ControlPlane) map[string]metrics.Certificate {
	out := map[string]metrics.Certificate{}
	for _, c := range hub.Certificates().Certificates {
		out[c.Name] = metrics.Certificate{Expires: c.Expires, Renews: ptr.Deref(c.Renews, time.Time{})}
	}
	return out
}

// objects is what propagation reports of each member.
func (f *federation) objects() metrics.ObjectsSnapshot {
	unplaced := f.engine.Unplaced()
	s := metrics.ObjectsSnapshot{Clusters: map[string]metrics.ClusterObjects{}, UnplacedReplicas: &unplaced}
	for _, name := range f.fleet.Members() {
		r := f.engine.Report(name)
		s.Clusters[name] = metrics.ClusterObjects{
			States: map[string]int{
				metrics.Pending: r.Pending, metrics.Failing: r.Failing,
				metrics.Synced: max(0, f.engine.Placed(name)-r.Pending-r.Failing),
			},
			Held:       r.Held,
			Unreadable: r.Unread != "",
			FailedOver: r.FailedOver != nil && r.FailedOver.Status == metav1.ConditionTrue,
		}
	}
	return s
}
