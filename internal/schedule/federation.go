package schedule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Annotations of Federation v1.
const (
	AnnotationDeploymentPreferences = "federation.kubernetes.io/deployment-preferences"
	AnnotationReplicaSetPreferences = "federation.kubernetes.io/replica-set-preferences"
	AnnotationJobPreferences        = "federation.kubernetes.io/job-preferences"
	AnnotationClusterSelector       = "federation.alpha.kubernetes.io/cluster-selector"
	// LabelControlPlane in a cluster selector matches no cluster: the object
	// stays at the hub.
	LabelControlPlane = "federation.kubernetes.io/federation-control-plane"
)

// Preferences is the value of a …-preferences annotation of Federation v1.
type Preferences struct {
	// Rebalance lets what runs be moved to come nearer to the weights.
	Rebalance bool `json:"rebalance,omitempty"`
	// Clusters is by name; Others stands for those that are not named. A
	// cluster that is neither gets nothing.
	Clusters map[string]ClusterPreferences `json:"clusters,omitempty"`
}

// ClusterPreferences is what one cluster is to have.
type ClusterPreferences struct {
	MinReplicas int64  `json:"minReplicas,omitempty"`
	MaxReplicas *int64 `json:"maxReplicas,omitempty"` // nil: no limit
	Weight      int64  `json:"weight,omitempty"`
}

// ParsePreferences reads a …-preferences annotation. As in Federation v1 the
// names of fields are case-insensitive and unknown ones are ignored. What v1
// computed nonsense from (numbers below zero, a minimum above the maximum) is
// an error here.
func ParsePreferences(value string) (*Preferences, error) {
	var p Preferences
	var mistaken *json.UnmarshalTypeError
	if err := json.Unmarshal([]byte(value), &p); errors.As(err, &mistaken) {
		return nil, fmt.Errorf("%s is a %s, not a %s", cmp.Or(mistaken.Field, "the value"), mistaken.Value, kindName(mistaken.Type.Kind()))
	} else if err != nil {
		return nil, fmt.Errorf(`not of the form {"rebalance":true,"clusters":{"aws":{"minReplicas":1,"maxReplicas":5,"weight":2},"*":{"weight":1}}}: %w`, err)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Clusters)) {
		c := p.Clusters[name]
		switch {
		case c.MinReplicas < 0 || c.Weight < 0 || c.MaxReplicas != nil && *c.MaxReplicas < 0:
			return nil, fmt.Errorf("cluster %q has a number below zero", name)
		case c.MinReplicas > unlimited || c.Weight > unlimited || c.MaxReplicas != nil && *c.MaxReplicas > unlimited:
			return nil, fmt.Errorf("cluster %q has a number above %d", name, unlimited)
		case c.MaxReplicas != nil && c.MinReplicas > *c.MaxReplicas:
			return nil, fmt.Errorf("cluster %q has the minimum %d and the maximum %d", name, c.MinReplicas, *c.MaxReplicas)
		}
	}
	return &p, nil
}

func kindName(k reflect.Kind) string {
	switch k {
	case reflect.Int64:
		return "whole number"
	case reflect.Bool:
		return "boolean"
	}
	return "JSON object"
}

// ReadFederation takes Federation v1's annotations of an object over into w.
// preferences is the name of that of its kind, or Hanse's own of the same form, or
// empty. Preferences that do not parse are as none: evenly, what runs stays. A selector that does not
// parse holds everything.
func (w *Workload) ReadFederation(annotations map[string]string, preferences string) {
	if value, ok := annotations[preferences]; ok && preferences != "" {
		p, err := ParsePreferences(value)
		if err != nil {
			w.Warning = "annotation " + preferences + ": " + err.Error()
			p = &Preferences{Clusters: map[string]ClusterPreferences{Others: {Weight: 1}}}
		}
		w.Preferences, w.ByRemainder = p, preferences == v1alpha1.AnnotationPreferences
	}
	if value, ok := annotations[AnnotationClusterSelector]; ok {
		s, err := ParseClusterSelector(value)
		if err != nil {
			w.Problem = err.Error()
		}
		w.Selector = s
	}
}

// ClusterSelector is the value of a cluster-selector annotation.
type ClusterSelector struct {
	selector labels.Selector
	hub      bool // it asks for the control plane's cluster, which is no member
}

// ParseClusterSelector reads a cluster-selector annotation: requirements that
// all have to hold for a Cluster's labels. As in Federation v1 one that cannot
// be understood makes the whole an error, because nobody knows what was meant;
// the object is then to be left alone everywhere.
func ParseClusterSelector(value string) (*ClusterSelector, error) {
	var requirements []struct {
		Key      string   `json:"key"`
		Operator string   `json:"operator"`
		Values   []string `json:"values,omitempty"`
	}
	fail := func(err error) (*ClusterSelector, error) {
		return nil, fmt.Errorf(`annotation %s: %w. Try: [{"key":"pci","operator":"In","values":["true"]}]`, AnnotationClusterSelector, err)
	}
	if err := json.Unmarshal([]byte(value), &requirements); err != nil {
		return fail(err)
	}
	s := &ClusterSelector{selector: labels.NewSelector()}
	for _, r := range requirements {
		operator, ok := selectorOperator(r.Operator)
		if !ok {
			return fail(fmt.Errorf("there is no operator %q", r.Operator))
		}
		requirement, err := labels.NewRequirement(r.Key, operator, r.Values)
		if err != nil {
			return fail(fmt.Errorf("key %q: %w", r.Key, err))
		}
		s.selector = s.selector.Add(*requirement)
		s.hub = s.hub || r.Key == LabelControlPlane && slices.Contains(r.Values, "true") &&
			(operator == selection.In || operator == selection.Equals || operator == selection.DoubleEquals)
	}
	return s, nil
}

func selectorOperator(name string) (selection.Operator, bool) {
	switch name {
	case "In", "in":
		return selection.In, true
	case "NotIn", "notin":
		return selection.NotIn, true
	case "Exists", "exists":
		return selection.Exists, true
	case "DoesNotExist", "!":
		return selection.DoesNotExist, true
	case "=":
		return selection.Equals, true
	case "==":
		return selection.DoubleEquals, true
	case "!=":
		return selection.NotEquals, true
	case "Gt", "gt", ">":
		return selection.GreaterThan, true
	case "Lt", "lt", "<":
		return selection.LessThan, true
	}
	return "", false
}

// Matches reports whether a cluster with these labels is selected.
func (s *ClusterSelector) Matches(clusterLabels map[string]string) bool {
	return s.selector.Matches(labels.Set(clusterLabels))
}

// String is the selector as kubectl writes it.
func (s *ClusterSelector) String() string { return strings.TrimSpace(s.selector.String()) }
