package constraints

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// Taints is what a cluster's taints mean for pods with these tolerations.
type Taints struct {
	NoExecute, NoSchedule *corev1.Taint // the first that is not tolerated
	PreferNoSchedule      int64         // how many
}

// ReadTaints reads them for pods with some tolerations, and more that a policy adds. now is
// compared with what is tolerated for some time only; zero: that has no end.
func ReadTaints(all []corev1.Taint, tolerations, more []corev1.Toleration, now time.Time) Taints {
	var t Taints
	for i := range all {
		taint := &all[i]
		if tolerated(taint, tolerations, now) || tolerated(taint, more, now) {
			continue
		}
		switch {
		case taint.Effect == corev1.TaintEffectNoExecute && t.NoExecute == nil:
			t.NoExecute = taint
		case taint.Effect == corev1.TaintEffectNoSchedule && t.NoSchedule == nil:
			t.NoSchedule = taint
		case taint.Effect == corev1.TaintEffectPreferNoSchedule:
			t.PreferNoSchedule++
		}
	}
	return t
}

func tolerated(taint *corev1.Taint, tolerations []corev1.Toleration, now time.Time) bool {
	for i := range tolerations {
		t := &tolerations[i]
		if !t.ToleratesTaint(klog.Logger{}, taint, false) {
			continue
		}
		if taint.Effect == corev1.TaintEffectNoExecute && t.TolerationSeconds != nil && taint.TimeAdded != nil && !now.IsZero() &&
			!now.Before(taint.TimeAdded.Add(time.Duration(*t.TolerationSeconds)*time.Second)) {
			continue
		}
		return true
	}
	return false
}

// TaintString is a taint as kubectl writes it: key=value:Effect.
func TaintString(t *corev1.Taint) string {
	if t.Value == "" {
		return t.Key + ":" + string(t.Effect)
	}
	return t.Key + "=" + t.Value + ":" + string(t.Effect)
}
