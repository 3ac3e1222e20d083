package decide

import (
	"fmt"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/autoscale"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

const (
	// lookDelay is how long it takes at least from what members show to what is recorded because of it where many things change in
	// a row: bounds of autoscalers, and totals.
	lookDelay = 50 * time.Millisecond
	// followInterval is how often an object's total is recorded at most while it follows its members.
	followInterval = time.Second
)

// targetKnown says whether the target of an autoscaler is at the hub, and whether that is known.
func (w *World) targetKnown(s *template.Scaler) (there, known bool) {
	r := w.resources[s.Of.GR]
	if r == nil || !r.synced {
		return false, false
	}
	return w.at(s.Of) != nil, true
}

// bounded is the decision about an autoscaler: where it has bounds, if its target is divided.
func (w *World) bounded(a *Assignment, d schedule.Decision) schedule.Decision {
	s := a.Scaler
	there, known := w.targetKnown(s)
	switch {
	case s.Bounds != nil && s.Divide:
	case !s.Divide, known && !there:
		d.Reason = fmt.Sprintf("%s is not divided by the hub: each cluster has the autoscaler with the whole bounds", s.Target)
		return d
	default:
		d.Reason = fmt.Sprintf("its bounds are being divided over the clusters that have %s", s.Target)
		return d
	}
	var shares []schedule.Share
	for _, sh := range d.Shares {
		b := s.Bounds[sh.Cluster]
		if b.Max == 0 {
			d.Rejected = append(d.Rejected, schedule.Rejection{Cluster: sh.Cluster, Reason: fmt.Sprintf("has no replicas of %s to scale", s.Target)})
			continue
		}
		sh.Reason = fmt.Sprintf("%d to %d of %d to %d replicas", b.Min, b.Max, s.Least, s.Most)
		shares = append(shares, sh)
	}
	d.Shares = shares
	return d
}

// scale has the bounds of an autoscaler divided, if need be: of a, or of the one that a is the target of. An autoscaler whose target is
// divided waits for that.
func (w *World) scale(o *object, a *Assignment) {
	if a.Scaler == nil {
		if by, scaled := w.scalers[a.Key]; scaled {
			w.alarms.Set(w.now.Add(lookDelay), agenda.Alarm{Key: by})
			w.alarms.Set(w.now.Add(lookDelay), agenda.Alarm{Key: a.Key})
		}
		return
	}
	if !a.Scaler.Divide {
		return
	}
	there, known := w.targetKnown(a.Scaler)
	a.Undecided = a.Scaler.Bounds == nil && (there || !known)
	w.scalers[a.Scaler.Of] = a.Key
	w.alarms.Set(w.now.Add(lookDelay), agenda.Alarm{Key: a.Key})
}

// boundsSoon has the bounds of every autoscaler, and every quota, divided, if need be.
func (w *World) boundsSoon() {
	for _, gr := range []schema.GroupResource{template.Autoscalers().GroupResource(), template.Quotas()} {
		if r := w.resources[gr]; r != nil {
			for _, o := range r.objects {
				if o.a != nil {
					w.alarms.Set(w.now.Add(lookDelay), agenda.Alarm{Key: o.key})
				}
			}
		}
	}
}

// scalerOf is the autoscaler at the hub that has key as its target, nil if there is none.
func (w *World) scalerOf(key template.Key) *template.Scaler {
	by, ok := w.scalers[key]
	if !ok {
		return nil
	}
	if a := w.at(by); a != nil && a.Scaler != nil && a.Scaler.Of == key {
		return a.Scaler
	}
	return nil
}

// lateRecording is what of an autoscaler, or of what one scales, or of a total, is to be recorded now; nil: nothing.
func (w *World) lateRecording(o *object, a *Assignment) *Recording {
	var r Recording
	switch {
	case a.Revision < o.outdated:
	case a.Scaler != nil:
		w.divideBounds(a, &r)
	case a.Quota != nil:
		w.divideQuota(o, a, &r)
	case a.Division == replicas && !a.Undecided:
		if s := w.scalerOf(a.Key); s != nil && s.Divide && a.Total > 0 && a.Total < s.Least {
			// They are then divided as ever; each cluster's autoscaler alone would raise those that it has, in few clusters.
			least := s.Least
			r.Replicas = &least
			break
		}
		r.Follow(a, w.names, o.seen)
	}
	if r.Empty() {
		return nil
	}
	return &r
}

// divideBounds works out the bounds that the clusters' autoscalers are to have now.
func (w *World) divideBounds(a *Assignment, r *Recording) {
	s := a.Scaler
	target := w.at(s.Of)
	if !s.Divide || target == nil || target.Undecided {
		return // it is looked at again with it
	}
	if target.Total > 0 && target.Total < s.Least {
		w.alarms.Set(w.now.Add(lookDelay), agenda.Alarm{Key: s.Of})
		return
	}
	bounds := w.newBounds(a, target)
	if s.Bounds != nil && maps.Equal(bounds, s.Bounds) {
		if of := w.stored(s.Of); w.scaledBefore(of) {
			w.deliver(w.own(s.Of))
		}
		return
	}
	value := autoscale.Format(bounds)
	r.Bounds = &value
}

// scaledBefore says whether some member's autoscaler has scaled the target, and nobody has looked at that as what the total is to
// follow: the hub has just started, and read the target first.
func (w *World) scaledBefore(target *object) bool {
	for name, seen := range target.seen {
		share, placed := target.a.Shares[name]
		if placed && seen.Own == nil && seen.Replicas != nil && *seen.Replicas != share.Replicas {
			return true
		}
	}
	return false
}

// newBounds works out the bounds from what the members say.
func (w *World) newBounds(a, target *Assignment) map[string]autoscale.Bounds {
	permitted := w.permitted(a)
	var clusters []autoscale.Cluster
	for _, name := range w.names {
		c := w.scaledCluster(a, name)
		if permitted[name] {
			c.Replicas = target.Shares[name].Replicas
		}
		if c.Away && c.Replicas == 0 {
			continue // lost: what it had is the others'
		}
		clusters = append(clusters, c)
	}
	bounds := autoscale.Divide(a.Scaler.Least, a.Scaler.Most, clusters)
	allowed := w.allowed(target, bounds)
	limited := false
	for i := range clusters {
		if n := allowed[clusters[i].Name]; n > 0 && n < bounds[clusters[i].Name].Max {
			clusters[i].Limit, limited = n, true
		}
	}
	if limited {
		bounds = autoscale.Divide(a.Scaler.Least, a.Scaler.Most, clusters)
	}
	return bounds
}

// scaledCluster is what is known of an autoscaler in one member, but for how many replicas there are to scale.
func (w *World) scaledCluster(a *Assignment, cluster string) autoscale.Cluster {
	seen := w.stored(a.Key).seen[cluster]
	c := autoscale.Cluster{Name: cluster, Bounds: a.Scaler.Bounds[cluster], Away: !w.reached(cluster)}
	c.Confirmed = a.Synced(cluster, seen)
	if c.Bounds.Max == 0 {
		c.Confirmed = !seen.Exists()
	}
	current, desired := seen.Count("currentReplicas"), seen.Count("desiredReplicas")
	c.Uses = max(current, desired)
	c.Wants = c.Bounds.Max > 0 && desired >= c.Bounds.Max && seen.WantsMore()
	return c
}

// permitted are the clusters that an autoscaler may be in, by its own rules.
func (w *World) permitted(a *Assignment) map[string]bool {
	whole, t := *a, *a.Template
	t.Scaler = nil
	whole.Template = &t
	in := map[string]bool{}
	for _, s := range w.asking(w.now).decide(&whole, nil).Shares {
		in[s.Cluster] = true
	}
	return in
}

// allowed is how many replicas the rules for the target let each cluster have if all its autoscalers went to their maxima.
func (w *World) allowed(target *Assignment, bounds map[string]autoscale.Bounds) map[string]int32 {
	most, total := map[string]int32{}, int32(0)
	for name, b := range bounds {
		most[name] = b.Max
		total += b.Max
	}
	return w.asking(w.now).decide(target.Asked(total, most), nil).Division()
}

// follows says whether the object's total is the sum of what its members set: because the object says so, or because their
// autoscalers are the hub's.
func (w *World) follows(a *Assignment) bool {
	if a.Follows {
		return true
	}
	s := w.scalerOf(a.Key)
	return s != nil && len(s.Bounds) > 0
}

// followSoon has the total of an object follow its members before long.
func (w *World) followSoon(o *object) {
	at := w.now.Add(lookDelay)
	if again := o.followed.Add(followInterval); !o.followed.IsZero() && again.After(at) {
		at = again
	}
	w.alarms.Set(at, agenda.Alarm{Key: o.key})
}

// hasOwn says whether some member has set the number of replicas itself.
func (o *object) hasOwn() bool {
	for _, seen := range o.seen {
		if seen.Own != nil {
			return true
		}
	}
	return false
}

// Accepts says whether the rules for an object let a cluster have n replicas.
func (w *World) Accepts(now time.Time, key template.Key, cluster string, n int32) bool {
	a := w.at(key)
	if a == nil {
		return false
	}
	if s := w.scalerOf(key); s != nil && s.Bounds != nil && n > max(s.Bounds[cluster].Max, s.Bounds[cluster].Had) {
		return false
	}
	division := a.Decision.Division()
	if division == nil {
		return false
	}
	division[cluster] = n
	total, ok := assignment.SumOf(division)
	if !ok {
		return false
	}
	return w.asking(now).decide(a.Asked(total, division), nil).Division()[cluster] == n
}
