package constraints

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// NodeAffinity is what a template asks of nodes, cut down to labels of clusters.
type NodeAffinity struct {
	required    nodeaffinity.RequiredNodeAffinity
	asked       bool // required says anything
	preferred   *nodeaffinity.PreferredSchedulingTerms
	volumeZones []string
	text        string // required, for people
	ignored     []string
	sites       *Sites
	// keys is the labels that any of this looks at, and memo the verdict by
	// their values: many sites have the same.
	keys    []*Topology
	memo    map[uint64]Verdict
	scratch *corev1.Node // upstream's matcher wants a node
}

// Verdict is what is said of a site: why it cannot run the pods, or "", and how much
// they would like to be there.
type Verdict struct {
	Why   string
	Score int64
}

// NewNodeAffinity reads the nodeSelector and node affinity of a template whose bound
// volumes are in some zones; empty: in any. It errs on terms that do not parse.
func NewNodeAffinity(template *corev1.PodTemplateSpec, volumeZones []string, x *Sites) (*NodeAffinity, error) {
	r := &NodeAffinity{volumeZones: volumeZones, sites: x}
	if len(volumeZones) > 0 {
		r.looksAt(x, corev1.LabelTopologyZone)
	}
	spec := &template.Spec
	if spec.NodeName != "" {
		r.ignored = append(r.ignored, "nodeName")
	}
	if len(spec.NodeSelector) == 0 && (spec.Affinity == nil || spec.Affinity.NodeAffinity == nil) {
		return r, nil
	}
	selector := map[string]string{}
	var said []string
	for _, key := range slices.Sorted(maps.Keys(spec.NodeSelector)) {
		if !x.Above(key) {
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
func (r *NodeAffinity) cut(s *corev1.NodeSelector, x *Sites) (*corev1.NodeSelector, string) {
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

func (r *NodeAffinity) cutTerm(term corev1.NodeSelectorTerm, x *Sites) corev1.NodeSelectorTerm {
	var kept corev1.NodeSelectorTerm
	for _, e := range term.MatchExpressions {
		if x.Above(e.Key) {
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

func (r *NodeAffinity) cutPreferred(terms []corev1.PreferredSchedulingTerm, x *Sites) (*nodeaffinity.PreferredSchedulingTerms, error) {
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

func (r *NodeAffinity) looksAt(x *Sites, key string) {
	t := x.Topology(key)
	if !slices.ContainsFunc(r.keys, func(o *Topology) bool { return o.Key == key }) {
		r.keys = append(r.keys, t)
	}
}

// Ignored is what is asked of single nodes: labels, and nodeName.
func (r *NodeAffinity) Ignored() []string { return r.ignored }

// Any reports whether anything is asked at all.
func (r *NodeAffinity) Any() bool { return r.asked || r.preferred != nil || len(r.volumeZones) > 0 }

// Verdict is what is said of a site. It may not be called by several goroutines at once.
func (r *NodeAffinity) Verdict(site int32) Verdict {
	if !r.Any() {
		return Verdict{}
	}
	values, combinations := uint64(0), uint64(1)
	for _, t := range r.keys {
		n := uint64(len(t.Values) + 1)
		if combinations > 1<<32 {
			return r.judge(r.sites.Labels[site])
		}
		values, combinations = values*n+uint64(t.Of[site]+1), combinations*n
	}
	v, known := r.memo[values]
	if !known {
		v = r.judge(r.sites.Labels[site])
		if r.memo == nil {
			r.memo = map[uint64]Verdict{}
		}
		r.memo[values] = v
	}
	return v
}

func (r *NodeAffinity) judge(labels map[string]string) (v Verdict) {
	if r.scratch == nil {
		r.scratch = &corev1.Node{}
	}
	r.scratch.Labels = labels
	if r.asked {
		if ok, err := r.required.Match(r.scratch); err != nil || !ok {
			v.Why = r.text
		}
	}
	if v.Why == "" && len(r.volumeZones) > 0 && !slices.Contains(r.volumeZones, labels[corev1.LabelTopologyZone]) {
		v.Why = "its volumes are in zone " + strings.Join(r.volumeZones, ", ")
	}
	if r.preferred != nil {
		v.Score = r.preferred.Score(r.scratch)
	}
	return v
}
