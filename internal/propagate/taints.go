package propagate

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// taint names a taint of a cluster.
type taint struct {
	cluster, key, value string
	effect              corev1.TaintEffect
}

// keepTaints remembers since when there are the taints that do not say it
// themselves. losses.mu is held.
func (l *losses) keepTaints(clusters map[string]*cluster, now time.Time) {
	there := map[taint]time.Time{}
	for _, c := range clusters {
		for _, t := range c.taints {
			if t.TimeAdded != nil {
				continue
			}
			key := taint{c.name, t.Key, t.Value, t.Effect}
			if there[key] = now; !l.taints[key].IsZero() {
				there[key] = l.taints[key]
			}
		}
	}
	l.taints = there
}

// taintsOf is a cluster's taints, each with the time from which tolerationSeconds
// count.
func (l *losses) taintsOf(c *cluster) []corev1.Taint {
	if len(c.taints) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]corev1.Taint, len(c.taints))
	for i, t := range c.taints {
		if since := l.taints[taint{c.name, t.Key, t.Value, t.Effect}]; t.TimeAdded == nil && !since.IsZero() {
			t.TimeAdded = &metav1.Time{Time: since}
		}
		out[i] = t
	}
	return out
}

// tolerations is which templates have tolerated a taint until now.
type tolerations struct {
	templates map[Key]bool
	again     time.Time // when to look again; zero: there is nothing to tolerate
}

// tolerationInterval is how often it is looked whether tolerations have ended, while
// there are taints of which that is said in seconds.
const tolerationInterval = time.Second

// toleratedUntil finds the templates whose tolerationSeconds for a taint have ended
// since it was called last. Engine.mu is held. It costs nothing without taints.
func (e *Engine) toleratedUntil(now time.Time) tolerations {
	out := tolerations{templates: map[Key]bool{}}
	since := e.losses.tolerated
	for _, c := range e.clusters {
		for _, one := range e.losses.taintsOf(c) {
			if one.Effect != corev1.TaintEffectNoExecute || one.TimeAdded == nil {
				continue
			}
			out.again = now.Add(tolerationInterval)
			for _, r := range e.resources {
				for _, t := range r.templates {
					if t.shares[c.name].replicas > 0 && t.toleratedUntil(&one, since, now) {
						out.templates[t.key] = true
					}
				}
			}
		}
	}
	e.losses.tolerated = now
	return out
}

// toleratedUntil says whether one of the tolerations that apply to t tolerated a
// taint until a time that is after since, and not after now.
func (t *template) toleratedUntil(one *corev1.Taint, since, now time.Time) bool {
	ended := func(all []corev1.Toleration) bool {
		for i := range all {
			if s := all[i].TolerationSeconds; s != nil && all[i].ToleratesTaint(klog.Logger{}, one, false) {
				end := one.TimeAdded.Add(time.Duration(*s) * time.Second)
				if end.After(since) && !end.After(now) {
					return true
				}
			}
		}
		return false
	}
	return ended(t.policy.Tolerations) || t.constraints != nil && ended(t.constraints.Spec.Tolerations)
}
