// Package survive says what of a federation would survive the loss of clusters: of each, of each region and provider, of
// each pair, or of some that are named. It is pure. What would be decided is asked of package decide, on a fork of the World;
// this package says what that means for workloads, for quorums, for Services and hostnames, and for PodDisruptionBudgets.
package survive

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/question"
)

// Kinds of scenarios.
const (
	KindCluster  = "Cluster"
	KindRegion   = "Region"
	KindProvider = "Provider"
	KindPair     = "Pair"  // of clusters
	KindGiven    = "Given" // the clusters that were named, all at once
)

const (
	// mostPairs bounds how many pairs are looked at: those in which most runs.
	mostPairs = 1000
	// mostWorkloads bounds the workloads that are listed of one scenario, and fewWorkloads where not all are asked for: then
	// only those that would not survive are.
	mostWorkloads, fewWorkloads = 1000, 20
	// mostNames bounds the Services, hostnames and budgets that are listed of one scenario.
	mostNames = 100
)

// Question is what is asked.
type Question struct {
	// Clusters: the loss of these at once. Empty: of each cluster, region, provider, and with Pairs of each pair of clusters.
	Clusters []string
	Pairs    bool
	// All lists all workloads that run in what is lost, not only those that would not survive.
	All bool
	// Of: only workloads of that name.
	Of string
	// Routes are the GlobalRoutes at the hub.
	Routes []v1alpha1.GlobalRoute
}

// Report is the answer. Its form is stable.
type Report struct {
	// Survives: all of Scenarios would be survived.
	Survives  bool       `json:"survives"`
	Scenarios []Scenario `json:"scenarios"`
	// LeftOut says what was not looked at, and why; empty: nothing.
	LeftOut string `json:"leftOut,omitempty"`
	// Incomplete: time was over before all of it was looked at.
	Incomplete bool `json:"incomplete,omitempty"`
}

// Scenario is what the loss of some clusters would do.
type Scenario struct {
	Kind string `json:"kind"`
	// Name is that of the cluster, region or provider; of several clusters their names with + between.
	Name     string   `json:"name"`
	Clusters []string `json:"clusters"`
	// Also are other names for the loss of the same clusters.
	Also []Name `json:"also,omitempty"`
	// Survives: nothing would be without a place that has one now, no quorum would be lost, and every Service and hostname that
	// is answered now would be.
	Survives bool `json:"survives"`
	// ByHand: the hub would take itself to be the one that is cut off, so that nothing fails over until somebody drains these clusters.
	ByHand bool `json:"byHand,omitempty"`
	// Affected is how many workloads have replicas there. The replicas of these, in sum: Kept run elsewhere, FailedOver would go
	// elsewhere, Unplaced would have no place, although they have one now.
	Affected   int   `json:"affected"`
	Kept       int32 `json:"kept"`
	FailedOver int32 `json:"failedOver"`
	Unplaced   int32 `json:"unplaced"`
	// QuorumLost, Disallowed are how many workloads that is so of.
	QuorumLost int `json:"quorumLost"`
	Disallowed int `json:"disallowed"`
	// UnansweredServices and UnansweredHostnames are how many would have no answer, and have one now.
	UnansweredServices  int `json:"unansweredServices"`
	UnansweredHostnames int `json:"unansweredHostnames"`
	// BrokenBudgets is how many PodDisruptionBudgets the loss would break, also if only until what fails over is ready.
	BrokenBudgets int `json:"brokenBudgets"`

	// Workloads, Services, Hostnames and Budgets are those by name, those first that would not survive; of more than
	// were asked for or fit, the rest is left out.
	Workloads []Workload `json:"workloads,omitempty"`
	Services  []string   `json:"services,omitempty"`
	Hostnames []string   `json:"hostnames,omitempty"`
	Budgets   []Budget   `json:"budgets,omitempty"`
}

// Name is one for a scenario.
type Name struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// Workload is what would become of one. Kept, FailedOver and Unplaced add up to Replicas.
type Workload struct {
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	Replicas   int32  `json:"replicas"`
	Kept       int32  `json:"kept"`
	FailedOver int32  `json:"failedOver"`
	Unplaced   int32  `json:"unplaced"`
	// AlreadyUnplaced of the unplaced have no place now.
	AlreadyUnplaced int32 `json:"alreadyUnplaced,omitempty"`
	// QuorumLost: of a StatefulSet not more than half would remain until the rest has failed over.
	QuorumLost bool `json:"quorumLost,omitempty"`
	// Disallowed: its rules allow none of the clusters that would be left.
	Disallowed bool `json:"disallowed,omitempty"`
	// Stays: its work must not be done twice and waits for its cluster, as that of a Job. That is not counted as unplaced in a Scenario.
	Stays bool `json:"stays,omitempty"`
	// Survives: neither is any of it without a place that has one now, nor its quorum lost.
	Survives bool `json:"survives"`
	// Where is how it would be divided, as aws=3,azure=0.
	Where string `json:"where,omitempty"`
	// Reason is why some have no place.
	Reason string `json:"reason,omitempty"`
	// Try is what would have it survive, in words; empty: it does, or that is not known.
	Try string `json:"try,omitempty"`
}

// Budget is a PodDisruptionBudget that the loss would break: of Pods that it selects, fewer than Wants would remain.
type Budget struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Wants     int32  `json:"wants"`
	// Remain run in the clusters that would be left, After do once what fails over is ready.
	Remain int32 `json:"remain"`
	After  int32 `json:"after"`
}

// Ask answers. It looks at one scenario after the other until ctx ends; what it did not come to is in LeftOut then. The error
// is about a cluster that there is not.
func Ask(ctx context.Context, l *question.Losses, q Question) (*Report, error) {
	for _, name := range q.Clusters {
		if l.Clusters()[name] == nil {
			return nil, fmt.Errorf("there is no cluster %s, only %s. Try: hanse clusters", name, strings.Join(slices.Sorted(maps.Keys(l.Clusters())), ", "))
		}
	}
	scenarios, leftOut := scenariosOf(l, q)
	r := &Report{Survives: true, Scenarios: []Scenario{}, LeftOut: leftOut}
	f := newFederation(l, q.Routes)
	for i := range scenarios {
		s := &scenarios[i]
		if err := f.lose(ctx, s, q); err != nil {
			more := fmt.Sprintf("time was over with %d of %d scenarios to go", len(scenarios)-i, len(scenarios))
			r.Incomplete = true
			r.LeftOut = strings.TrimPrefix(r.LeftOut+"; "+more, "; ")
			return r, nil
		}
		r.Survives = r.Survives && s.Survives
		r.Scenarios = append(r.Scenarios, *s)
	}
	return r, nil
}

// scenariosOf are what is to be looked at, in that order: clusters, regions and providers by name, then pairs, those first in which
// most runs.
func scenariosOf(l *question.Losses, q Question) (all []Scenario, leftOut string) {
	names := slices.Sorted(maps.Keys(l.Clusters()))
	if len(q.Clusters) > 0 {
		given := slices.Compact(slices.Sorted(slices.Values(q.Clusters)))
		return []Scenario{{Kind: KindGiven, Name: strings.Join(given, "+"), Clusters: given}}, ""
	}
	regions, providers := map[string][]string{}, map[string][]string{}
	for _, name := range names {
		all = append(all, Scenario{Kind: KindCluster, Name: name, Clusters: []string{name}})
		facts := l.Clusters()[name].Facts
		if facts.Region != "" {
			regions[facts.Region] = append(regions[facts.Region], name)
		}
		if facts.Provider != "" {
			providers[facts.Provider] = append(providers[facts.Provider], name)
		}
	}
	all = addGroups(all, KindRegion, regions)
	all = addGroups(all, KindProvider, providers)
	if !q.Pairs || len(names) < 3 {
		return all, ""
	}
	pairs := pairsOf(l, names)
	if more := len(pairs) - mostPairs; more > 0 {
		leftOut = fmt.Sprintf("%d of %d pairs, those in which least runs", more, len(pairs))
		pairs = pairs[:mostPairs]
	}
	return append(all, pairs...), leftOut
}

// addGroups adds the losses of groups of clusters. One of the same clusters as another is that under another name.
func addGroups(all []Scenario, kind string, groups map[string][]string) []Scenario {
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		at := slices.IndexFunc(all, func(s Scenario) bool { return slices.Equal(s.Clusters, groups[name]) })
		if at >= 0 {
			all[at].Also = append(all[at].Also, Name{kind, name})
			continue
		}
		all = append(all, Scenario{Kind: kind, Name: name, Clusters: groups[name]})
	}
	return all
}

func pairsOf(l *question.Losses, names []string) []Scenario {
	runs := map[string]int32{}
	for _, name := range names {
		runs[name] = l.RunIn(name)
	}
	var pairs []Scenario
	for i, a := range names {
		for _, b := range names[i+1:] {
			pairs = append(pairs, Scenario{Kind: KindPair, Name: a + "+" + b, Clusters: []string{a, b}})
		}
	}
	slices.SortStableFunc(pairs, func(a, b Scenario) int {
		return cmp.Compare(runs[b.Clusters[0]]+runs[b.Clusters[1]], runs[a.Clusters[0]]+runs[a.Clusters[1]])
	})
	return pairs
}

// Names are all names of the scenario.
func (s *Scenario) Names() []Name { return append([]Name{{s.Kind, s.Name}}, s.Also...) }

// Anonymous is the report without the names of objects, for those who may not see all of them, and why.
func (r *Report) Anonymous(why string) *Report {
	out := *r
	out.LeftOut = strings.TrimPrefix(r.LeftOut+"; the names of objects: "+why, "; ")
	out.Scenarios = slices.Clone(r.Scenarios)
	for i := range out.Scenarios {
		s := &out.Scenarios[i]
		s.Workloads, s.Services, s.Hostnames, s.Budgets = nil, nil, nil, nil
	}
	return &out
}
