package propagate

import (
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// carryOut has an effect carried out by whoever it concerns. The loop alone calls it; it does not block.
func (e *Engine) carryOut(effect decide.Effect) {
	r := e.running.Load()
	switch effect := effect.(type) {
	case decide.Publish:
		e.survival.note()
		e.publish(effect.Key, effect.Assignment)
	case decide.PublishFacts:
		e.survival.note()
		e.publishFacts(effect.Facts)
	case decide.Deliver:
		e.deliver(effect.Keys)
	case decide.Record:
		r.recorder.Record(effect.Key)
	case decide.Status:
		r.recorder.Status(effect.Key, effect.After)
	case decide.KeepRevision:
		e.revisions.Keep(effect.Template)
	case decide.ReadRevisions:
		e.revisions.Read(effect.Template)
	case decide.Changed:
		e.changes.notify(effect.Keys...)
	case decide.Tell:
		e.events.Tell(effect.Event)
	case decide.CountPolicies:
		e.policies.Count()
	case decide.Watch:
		e.measurer.Want()
		if effect.Volumes {
			e.measurer.WantVolumes()
		}
	case decide.Fault:
		guard.Count(r.ctx, "propagation")
		klog.FromContext(r.ctx).Error(effect.Err, "An object cannot be placed", "key", effect.Key.String(), "stack", string(guard.Stack(effect.Err)))
	}
}

// publish makes known what was decided. A member that is not to have the object any more is told, as Deliver goes by
// what is published.
func (e *Engine) publish(key template.Key, a *decide.Assignment) {
	before := e.published.publish(key, a, e.clock.Now())
	if a == nil {
		r := e.running.Load()
		r.recorder.Forget(key)
		e.revisions.Forget(key)
	}
	if before == nil {
		return
	}
	for cluster := range before.Shares {
		if isIn(a, cluster) {
			continue
		}
		if m := e.published.member(cluster); m != nil {
			m.Enqueue(key)
		}
	}
}

// deliver has the members look at objects that they are to have, or know. What is active in one cluster is in all.
func (e *Engine) deliver(keys []template.Key) {
	for _, key := range keys {
		a := e.published.Assignment(key)
		for _, m := range *e.published.members.Load() {
			if isIn(a, m.Name()) || a != nil && a.Division == kinds.OneActive || m.Knows(key) {
				m.Enqueue(key)
			}
		}
	}
}
