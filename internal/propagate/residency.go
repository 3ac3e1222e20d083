package propagate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/hanse-dev/hanse/internal/propagate/census"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/expel"
	"github.com/hanse-dev/hanse/internal/propagate/hub"
)

// PathResidency answers a GET with a census.Report: what the members say they have of what Residencies restrict. It wants the right to
// list residencies, and, for names of objects, the verb audit of them. Query parameter: name, for these Residencies alone.
const PathResidency = "/hanse/residency"

// longestCensus bounds the time that an answer takes. Members that have not answered by then are said to be unknown.
const longestCensus = 12 * time.Second

// serveResidency answers one question at a time: others wait.
func serveResidency(e *Engine, turn chan struct{}, w http.ResponseWriter, r *http.Request) (status int, err error) {
	if r.Method != http.MethodGet {
		return http.StatusMethodNotAllowed, fmt.Errorf("%s takes a GET", PathResidency)
	}
	who, ok := apirequest.UserFrom(r.Context())
	if !ok {
		return http.StatusForbidden, errors.New("nobody is known to ask")
	}
	if status, err := hub.MayListResidencies(r.Context(), e.hub, who); err != nil {
		return status, err
	}
	status, nameless := hub.MayAuditResidencies(r.Context(), e.hub, who)
	if nameless != nil && status != http.StatusForbidden {
		return status, nameless
	}
	ctx, cancel := context.WithTimeout(r.Context(), longestCensus)
	defer cancel()
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return http.StatusTooManyRequests, errors.New("another report is being made. Try: again in a moment")
	}
	report, err := e.Census(ctx, r.URL.Query()["name"])
	if err != nil {
		return http.StatusNotFound, err
	}
	if nameless != nil {
		report = report.WithoutNames()
	}
	w.Header().Set("Content-Type", "application/json")
	return 0, json.NewEncoder(w).Encode(report)
}

// Census asks the members what they have of what Residencies restrict; those of these names, or all. It blocks until they have
// answered, or ctx ends.
func (e *Engine) Census(ctx context.Context, names []string) (*census.Report, error) {
	facts := e.published.Facts()
	var asked []census.Asked
	for _, known := range facts.KnownPolicies {
		if known.InEffect.IsResidency() && (len(names) == 0 || slices.Contains(names, known.Object.GetName())) {
			asked = append(asked, e.asked(facts, known))
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(asked, func(a census.Asked) bool { return a.Name == name }) {
			return nil, fmt.Errorf("there is no Residency %s. Try: kubectl get residencies", name)
		}
	}
	members := map[string]*census.Member{}
	for _, m := range *e.published.members.Load() {
		if way := m.Way(); way != nil {
			members[m.Name()] = &census.Member{Name: m.Name(), Client: way.Client, Served: way.Served, Hub: e.options.HubUID, Propagated: e.listed}
		}
	}
	return census.Take(ctx, asked, members, e.clock.Now()), nil
}

// listed says whether the hub writes a resource in members, or asks what there is of it for other reasons.
func (e *Engine) listed(gr schema.GroupResource) bool {
	if gr.Group == "" && (gr.Resource == "pods" || gr.Resource == expel.Claims) {
		return true
	}
	_, is := e.published.Resource(gr)
	return is
}

// asked is a Residency as it is in effect, with its namespaces and the members.
func (e *Engine) asked(facts *decide.Facts, known decide.KnownPolicy) census.Asked {
	r := known.InEffect
	out := census.Asked{Residency: census.Residency{Name: known.Object.GetName(), Problem: known.Mistake, Namespaces: r.NamespacesIn(facts.Namespaces)}, Since: map[string]time.Time{}}
	inside, why := r.Holds(&e.options.Place)
	switch {
	case why == "":
		out.Hub.Outside = "False"
	case inside:
		out.Hub = census.Hub{Outside: "Unknown", Message: why}
	default:
		out.Hub = census.Hub{Outside: "True", Message: why}
	}
	for _, c := range facts.PolicyClusters() {
		why := r.Excludes(&c)
		one := census.Cluster{Name: c.Name, Allowed: why == "" && r.WhyHeld() == "", Why: why}
		if in := facts.Clusters[c.Name]; in != nil && !in.Ready {
			one.Unknown = "it is out of reach"
		}
		out.Clusters = append(out.Clusters, one)
	}
	violations, _, _ := unstructured.NestedSlice(known.Object.Object, "status", "violations")
	for _, v := range violations {
		of, _ := v.(map[string]any)
		cluster, _ := of["cluster"].(string)
		since, _ := of["since"].(string)
		if at, err := time.Parse(time.RFC3339, since); err == nil {
			out.Since[cluster] = at
		}
	}
	return out
}
