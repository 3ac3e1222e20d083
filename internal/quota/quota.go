// Package quota divides a ResourceQuota, which at the hub is the total over all clusters, into the quotas of single clusters, by
// what is used there. It is pure: the same input gives the same division, and nothing is read or written.
//
// The parts never add up to more than the total, also not while they change: what is to be more somewhere is first taken away
// elsewhere, and given when that is confirmed. A cluster that has used most of its part is given what others do not use, step by
// step; they keep some, so that it does not go back and forth.
package quota

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Divided says whether a resource of a quota is divided: what pods take, which run in clusters. Objects of all other kinds are
// made at the hub, whose own admission counts each once, in however many clusters it is: of them each cluster may have all.
func Divided(name string) bool {
	switch name {
	case "cpu", "memory", "ephemeral-storage", "pods", "count/pods", "persistentvolumeclaims", "count/persistentvolumeclaims", "count/replicasets.apps":
		return true
	}
	return strings.HasPrefix(name, "requests.") || strings.HasPrefix(name, "limits.") || strings.HasPrefix(name, "hugepages-") ||
		strings.Contains(name, ".storageclass.storage.k8s.io/")
}

// Amount of a resource: thousandths of a CPU, and of all else units as it is counted in.
type Amount = int64

// most is more than there is of anything, and so little that sums of it do not overflow.
const most = Amount(1) << 52

// Read is the amounts of resources that are divided, of a list such as spec.hard; others, and what makes no sense, are left out.
func Read(list map[string]any) map[string]Amount {
	out := map[string]Amount{}
	for name, v := range list {
		s, ok := v.(string)
		if !ok || !Divided(name) {
			continue
		}
		if q, err := resource.ParseQuantity(s); err == nil {
			out[name] = amount(name, q)
		}
	}
	return out
}

func amount(name string, q resource.Quantity) Amount {
	unit := Amount(1)
	if inCPUs(name) {
		unit = 1000
	}
	switch {
	case q.Sign() < 0:
		return 0
	case q.Cmp(*resource.NewQuantity(most/unit, resource.DecimalSI)) >= 0:
		return most
	case unit > 1:
		return q.MilliValue()
	}
	return q.Value()
}

// Write is an amount as the API has it.
func Write(name string, n Amount) string {
	if inCPUs(name) {
		return resource.NewMilliQuantity(n, resource.DecimalSI).String()
	}
	format := resource.DecimalSI
	if strings.HasSuffix(name, "memory") || strings.HasSuffix(name, "storage") {
		format = resource.BinarySI
	}
	return resource.NewQuantity(n, format).String()
}

func inCPUs(name string) bool {
	return name == "cpu" || name == "requests.cpu" || name == "limits.cpu"
}

// Part is one cluster's of a quota.
type Part struct {
	// Hard is what it is to have, by resource.
	Hard map[string]Amount `json:"hard"`
	// Had is what it may still have where that is more, until it is confirmed that it has Hard.
	Had map[string]Amount `json:"had,omitempty"`
}

// Format is parts as the value of the annotation hanse.dev/bounds: a JSON object by name of the cluster.
func Format(parts map[string]Part) string {
	if parts == nil {
		parts = map[string]Part{}
	}
	b, err := json.Marshal(parts) // numbers cannot fail
	if err != nil {
		return "{}"
	}
	return string(b)
}

// Parse reads what Format wrote. The error says what is wrong with the value.
func Parse(value string) (map[string]Part, error) {
	parts := map[string]Part{}
	if err := json.Unmarshal([]byte(value), &parts); err != nil {
		return nil, fmt.Errorf(`annotation %s is not of the form {"aws":{"hard":{"pods":3}}}: %w. Try: remove the annotation`, v1alpha1.AnnotationBounds, err)
	}
	for name, p := range parts {
		for _, all := range []map[string]Amount{p.Hard, p.Had} {
			for resource, n := range all {
				if name == "" || !Divided(resource) || n < 0 || n > most {
					return nil, fmt.Errorf("annotation %s: cluster %q has %d of %s. Try: remove the annotation", v1alpha1.AnnotationBounds, name, n, resource)
				}
			}
		}
	}
	return parts, nil
}

// Same says whether parts are the same.
func Same(a, b map[string]Part) bool {
	return (a == nil) == (b == nil) && maps.EqualFunc(a, b, func(x, y Part) bool { return maps.Equal(x.Hard, y.Hard) && maps.Equal(x.Had, y.Had) })
}

// Cluster is what is known of one cluster.
type Cluster struct {
	Name string
	Part Part
	// Shown is the bounds that the cluster says are in force there, now that it was told of its part; Used what it says is used; nil:
	// that is not known.
	Shown, Used map[string]Amount
	// Permitted clusters are to have a part; Runs: the hub has something run there.
	Permitted, Runs bool
	// Away clusters cannot be written to: they have what they have. What a lost one had is the others', as its replicas are.
	Away, Lost bool
}

// Divide says which part each cluster is to have now of the totals, by name. Every cluster that is permitted has one.
func Divide(totals map[string]Amount, clusters []Cluster) map[string]Part {
	clusters = slices.SortedFunc(slices.Values(clusters), func(a, b Cluster) int { return strings.Compare(a.Name, b.Name) })
	out := map[string]Part{}
	for _, c := range clusters {
		if c.Permitted || len(c.Part.Hard)+len(c.Part.Had) > 0 {
			out[c.Name] = Part{Hard: map[string]Amount{}}
		}
	}
	for name, total := range totals {
		divide(name, total, clusters, out)
	}
	for name, p := range out {
		if !slices.ContainsFunc(clusters, func(c Cluster) bool { return c.Name == name && c.Permitted }) && p.nothing() {
			delete(out, name)
		}
	}
	return out
}

// nothing says whether a cluster with that part has, and may have, none of anything.
func (p *Part) nothing() bool {
	for _, n := range p.Hard {
		if n > 0 {
			return false
		}
	}
	return len(p.Had) == 0
}
