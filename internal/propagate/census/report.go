package census

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Report is what members have in namespaces that Residencies restrict, as they said when they were asked.
type Report struct {
	// At is when they were asked.
	At time.Time `json:"at"`
	// Clean: nothing is where it may not be, as far as is known. Complete: all is known.
	Clean       bool        `json:"clean"`
	Complete    bool        `json:"complete"`
	Residencies []Residency `json:"residencies"`
}

// Residency is one of them, as it is in effect.
type Residency struct {
	Name string `json:"name"`
	// Problem is why it is not in effect as it is written; empty: it is.
	Problem    string   `json:"problem,omitempty"`
	Namespaces []string `json:"namespaces"`
	// Hub is what is known of whether the hub, which stores all, is where the objects may be.
	Hub Hub `json:"hub"`
	// Clusters are all members, by name.
	Clusters []Cluster `json:"clusters"`
}

// Hub says whether the hub is outside: True, False or Unknown.
type Hub struct {
	Outside string `json:"outside"`
	Message string `json:"message,omitempty"`
}

// Cluster is what a member has of what a Residency restricts.
type Cluster struct {
	Name string `json:"name"`
	// Allowed: the objects may be there. Why is why not.
	Allowed bool   `json:"allowed"`
	Why     string `json:"why,omitempty"`
	// Unknown is why nobody knows what is there; empty: it was asked.
	Unknown string `json:"unknown,omitempty"`
	// Objects is how many are there that came from the hub, or are in a Namespace that did, and Kinds of which kinds.
	Objects int            `json:"objects"`
	Kinds   map[string]int `json:"kinds,omitempty"`
	// Unlisted are resources that only the member's own make, and that the hub's account there may not list.
	Unlisted []string `json:"unlisted,omitempty"`
	// Others is how many objects others have there in a namespace of that name.
	Others int `json:"others,omitempty"`
	// Violations is how many of Objects may not be there, since when, as far as the hub noted it. The first of them are in Found.
	Violations int        `json:"violations"`
	Since      *time.Time `json:"since,omitempty"`
	Found      []Found    `json:"found,omitempty"`
}

// mostNamed is how many violations of a cluster are named.
const mostNamed = 1000

// atOnce is how many members are asked at the same time.
const atOnce = 16

// Asked is a Residency of which members are to be asked.
type Asked struct {
	Residency
	// Since is when the hub first saw objects in a cluster that may not be there.
	Since map[string]time.Time
}

// Take asks members what they have. unknown says of those that cannot be asked why. It blocks until all have answered, or ctx ends.
func Take(ctx context.Context, asked []Asked, members map[string]*Member, now time.Time) *Report {
	r := &Report{At: now.UTC(), Clean: true, Complete: true, Residencies: []Residency{}}
	for i := range asked {
		r.Residencies = append(r.Residencies, asked[i].Residency)
	}
	var wg sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for i := range r.Residencies {
		for j := range r.Residencies[i].Clusters {
			c := &r.Residencies[i].Clusters[j]
			m := members[c.Name]
			if m == nil {
				c.Unknown = cmp.Or(c.Unknown, "there is no session with it")
				continue
			}
			wg.Go(func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				c.ask(ctx, m, r.Residencies[i].Namespaces)
			})
		}
	}
	wg.Wait()
	for i := range r.Residencies {
		r.conclude(&r.Residencies[i], asked[i].Since)
	}
	return r
}

func (c *Cluster) ask(ctx context.Context, m *Member, namespaces []string) {
	for _, namespace := range namespaces {
		l, err := m.List(ctx, namespace)
		if err != nil {
			c.Unknown = err.Error()
			return
		}
		for _, gr := range l.Unlisted {
			if !slices.Contains(c.Unlisted, gr) {
				c.Unlisted = append(c.Unlisted, gr)
			}
		}
		for _, f := range l.Found {
			if !l.Ours && !f.Marked {
				c.Others++
				continue
			}
			c.add(f)
		}
	}
	slices.SortFunc(c.Found, func(a, b Found) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Name, b.Name))
	})
}

func (c *Cluster) add(f Found) {
	if c.Kinds == nil {
		c.Kinds = map[string]int{}
	}
	c.Objects++
	c.Kinds[f.Kind]++
	if c.Allowed {
		return
	}
	if c.Violations++; len(c.Found) < mostNamed {
		c.Found = append(c.Found, f)
	}
}

// conclude says what follows of what a Residency's members said.
func (r *Report) conclude(of *Residency, since map[string]time.Time) {
	if of.Hub.Outside == "True" {
		r.Clean = false
	}
	if of.Problem != "" {
		r.Complete = false
	}
	for i := range of.Clusters {
		c := &of.Clusters[i]
		if c.Unknown != "" {
			r.Complete = false
		}
		if c.Violations == 0 {
			continue
		}
		r.Clean = false
		at, noted := since[c.Name]
		if !noted { // the hub has not noted it yet
			at = r.At
		}
		c.Since = &at
	}
}

// WithoutNames is r for somebody who may not see what objects are called.
func (r *Report) WithoutNames() *Report {
	out := *r
	out.Residencies = slices.Clone(r.Residencies)
	for i := range out.Residencies {
		out.Residencies[i].Clusters = slices.Clone(out.Residencies[i].Clusters)
		for j := range out.Residencies[i].Clusters {
			out.Residencies[i].Clusters[j].Found = nil
		}
	}
	return &out
}
