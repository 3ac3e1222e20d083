package propagate

import (
	"context"
	"time"

	"github.com/hanse-dev/hanse/internal/attribution"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/record"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// written hears of what members are written, for the metrics and the flight recorder.
type written struct {
	engine *Engine
	flight *record.Recorder // nil: nothing is recorded
}

// Wrote is told of each request that changes something in a member.
func (w written) Wrote(ctx context.Context, cluster string, key template.Key, verb string, err error, took time.Duration) {
	if m := w.engine.options.Metrics; m != nil {
		m.Wrote(cluster, verb, err, took)
	}
	if w.flight != nil {
		w.flight.Wrote(cluster, key, verb, attribution.AuditID(ctx), err)
	}
}

// Confirmed is told when a member has taken over what was changed at the hub.
func (w written) Confirmed(cluster string, wanted *decide.Wanted) {
	if m := w.engine.options.Metrics; m != nil {
		if at := w.engine.published.since(wanted.Key); !at.IsZero() {
			m.Confirmed(cluster, w.engine.clock.Since(at))
		}
	}
}
