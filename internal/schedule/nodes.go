package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// nodeRules is what a template asks of nodes, cut down to labels of clusters.
type nodeRules struct {
	required    nodeaffinity.RequiredNodeAffinity
	asked       bool // required says anything
	preferred   *nodeaffinity.PreferredSchedulingTerms
	volumeZones []string
	text        string // required, for people
	ignored     []string
	// keys is the labels that any of this looks at, and memo the verdict by
	// their values: many sites have the same.
	keys    []*topology
	memo    map[uint64]verdict
	scratch *corev1.Node // upstream's matcher wants a node
}

// verdict is what the rules say of a site: why it cannot run the pods, or "",
// and how much they would like to be there.
type verdict struct {
	why   string
	score int64
}

// newNodeRules errs on terms that do not parse.
func newNodeRules(w *Workload, x *sites) (*nodeRules, error) {
	r := &nodeRules{volumeZones: w.VolumeZones}
	if len(w.VolumeZones) > 0 {
		r.looksAt(x, corev1.LabelTopologyZone)
	}
	spec := &w.Template.Spec
	if spec.NodeName != "" {
		r.ignored = append(r.ignored, "nodeName")
	}
	if len(spec.NodeSelector) == 0 && (spec.Affinity == nil || spec.Affinity.NodeAffinity == nil) {
		return r, nil
	}
	selector := map[string]string{}
	var said []string
	for _, key := range slices.Sorted(maps.Keys(spec.NodeSelector)) {
		if !x.above(key) {
			r.ignored = append(r.ignored, key)
			continue
		}
		r.looksAt(x, key)
		selector[key] = spec.NodeSelector[key]
		said = append(said, key+"="+spec.NodeSelector[key])
	}
	if len(said) > 0 {
		r.text = "does not match the nodeSelector " + strings.Join(said, ",")
	}
	affinity := &corev1.Affinity{}
	if spec.Affinity != nil && spec.Affinity.NodeAffinity != nil {
		na := spec.Affinity.NodeAffinity
		if required := na.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
			if _, err := nodeaffinity.NewNodeSelector(required); err != nil {
				return r, fmt.Errorf("node affinity: %w", err)
			}
			cut, text := r.cut(required, x)
			affinity.NodeAffinity = &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: cut}
			if text != "" {
				said = append(said, text)
				r.text = strings.TrimPrefix(r.text+"; does not match the node affinity "+text, "; ")
			}
		}
		var err error
		if r.preferred, err = r.cutPreferred(na.PreferredDuringSchedulingIgnoredDuringExecution, x); err != nil {
			return r, fmt.Errorf("preferred node affinity: %w", err)
		}
	}
	r.asked = len(said) > 0
	r.required = nodeaffinity.NewRequiredNodeAffinity(selector, affinity)
	return r, nil
}

// cut leaves the expressions out that are about single nodes. A term that asks
// for nothing else matches every cluster, and with it the whole: nil.
func (r *nodeRules) cut(s *corev1.NodeSelector, x *sites) (*corev1.NodeSelector, string) {
	var out corev1.NodeSelector
	var said []string
	all := false
	for _, term := range s.NodeSelectorTerms {
		kept := r.cutTerm(term, x)
		if len(kept.MatchExpressions) == 0 && len(term.MatchExpressions)+len(term.MatchFields) > 0 {
			all = true
			continue
		}
		out.NodeSelectorTerms = append(out.NodeSelectorTerms, kept)
		said = append(said, termString(kept))
	}
	if all {
		return nil, ""
	}
	return &out, strings.Join(said, " or ")
}

func (r *nodeRules) cutTerm(term corev1.NodeSelectorTerm, x *sites) corev1.NodeSelectorTerm {
	var kept corev1.NodeSelectorTerm
	for _, e := range term.MatchExpressions {
		if x.above(e.Key) {
			r.looksAt(x, e.Key)
			kept.MatchExpressions = append(kept.MatchExpressions, e)
		} else {
			r.ignored = append(r.ignored, e.Key)
		}
	}
	for _, f := range term.MatchFields {
		r.ignored = append(r.ignored, f.Key)
	}
	return kept
}

func (r *nodeRules) cutPreferred(terms []corev1.PreferredSchedulingTerm, x *sites) (*nodeaffinity.PreferredSchedulingTerms, error) {
	var out []corev1.PreferredSchedulingTerm
	for _, t := range terms {
		if kept := r.cutTerm(t.Preference, x); len(kept.MatchExpressions) > 0 {
			out = append(out, corev1.PreferredSchedulingTerm{Weight: t.Weight, Preference: kept})
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return nodeaffinity.NewPreferredSchedulingTerms(out)
}

func termString(t corev1.NodeSelectorTerm) string {
	if len(t.MatchExpressions) == 0 {
		return "that matches nothing"
	}
	var parts []string
	for _, e := range t.MatchExpressions {
		part := e.Key + " " + string(e.Operator)
		if len(e.Values) > 0 {
			part += " [" + strings.Join(e.Values, " ") + "]"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " and ")
}

func (r *nodeRules) looksAt(x *sites, key string) {
	t := x.topology(key)
	if !slices.ContainsFunc(r.keys, func(o *topology) bool { return o.key == key }) {
		r.keys = append(r.keys, t)
	}
}

// any reports whether anything is asked at all.
func (r *nodeRules) any() bool { return r.asked || r.preferred != nil || len(r.volumeZones) > 0 }

// verdict is what the rules say of a site with these labels.
func (r *nodeRules) verdict(site int32, labels map[string]string) verdict {
	if !r.any() {
		return verdict{}
	}
	values, combinations := uint64(0), uint64(1)
	for _, t := range r.keys {
		n := uint64(len(t.values) + 1)
		if combinations > 1<<32 {
			return r.judge(labels)
		}
		values, combinations = values*n+uint64(t.of[site]+1), combinations*n
	}
	v, known := r.memo[values]
	if !known {
		v = r.judge(labels)
		if r.memo == nil {
			r.memo = map[uint64]verdict{}
		}
		r.memo[values] = v
	}
	return v
}

func (r *nodeRules) judge(labels map[string]string) (v verdict) {
	if r.scratch == nil {
		r.scratch = &corev1.Node{}
	}
	r.scratch.Labels = labels
	if r.asked {
		if ok, err := r.required.Match(r.scratch); err != nil || !ok {
			v.why = r.text
		}
	}
	if v.why == "" && len(r.volumeZones) > 0 && !slices.Contains(r.volumeZones, labels[corev1.LabelTopologyZone]) {
		v.why = "its volumes are in zone " + strings.Join(r.volumeZones, ", ")
	}
	if r.preferred != nil {
		v.score = r.preferred.Score(r.scratch)
	}
	return v
}

// taints is what a cluster's taints mean for pods with these tolerations.
type taints struct {
	noExecute, noSchedule *corev1.Taint // the first that is not tolerated
	preferNot             int64
}

func readTaints(all []corev1.Taint, tolerations, more []corev1.Toleration, now time.Time) taints {
	var t taints
	for i := range all {
		taint := &all[i]
		if tolerated(taint, tolerations, now) || tolerated(taint, more, now) {
			continue
		}
		switch {
		case taint.Effect == corev1.TaintEffectNoExecute && t.noExecute == nil:
			t.noExecute = taint
		case taint.Effect == corev1.TaintEffectNoSchedule && t.noSchedule == nil:
			t.noSchedule = taint
		case taint.Effect == corev1.TaintEffectPreferNoSchedule:
			t.preferNot++
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

func taintString(t *corev1.Taint) string {
	if t.Value == "" {
		return t.Key + ":" + string(t.Effect)
	}
	return t.Key + "=" + t.Value + ":" + string(t.Effect)
}
