package steer

import (
	"fmt"
	"strings"

	"github.com/hanse-dev/hanse/internal/dns/geo"
)

// Choice is clusters that are answered together.
type Choice struct {
	// Weight is how often, against the other Choices. It is 1 if there is only one.
	Weight uint32
	// Clusters are indexes into Host.Clusters; never empty.
	Clusters []int
}

// Choose returns what somebody at a place is answered: one Choice, or with
// Weighted perhaps several, among which one is drawn by weight. None: the name
// exists, and has no addresses.
//
// It depends on Serving, Policy, Rules, Order, Default, WhenAllDown and, of Clusters, on
// Name, Up, Weight and whether there is an address at all; on nothing else.
func Choose(h *Host, p geo.Place) []Choice {
	choices, _ := decide(h.at(p), p)
	return choices
}

// Why says in a sentence why Choose chooses as it does.
func Why(h *Host, p geo.Place) string {
	at := h.at(p)
	_, why := decide(at, p)
	return why.in(at) + h.besides(p)
}

// why is how a decision came about, as far as it costs nothing to note.
type why struct {
	step   step
	rule   int // index into Host.Rules; -1: none fits
	passed int // clusters that would have come first, but are down
}

type step uint8

const (
	byRule step = iota
	byDefault
	byOrder
	byWeight
	everything
	allDown
)

func decide(h *Host, p geo.Place) ([]Choice, why) {
	up := h.usable(func(c *Cluster) bool { return c.Up })
	if len(up) == 0 {
		return h.whenAllDown(), why{step: allDown, rule: -1}
	}
	switch h.Policy {
	case Weighted:
		return h.weighted(up), why{step: byWeight, rule: -1}
	case Failover:
		if c, passed, ok := h.first(h.Order); ok {
			return one(c), why{step: byOrder, rule: -1, passed: passed}
		}
	case Geography, Latency:
		rule := h.Rule(p)
		passed := 0
		if rule >= 0 {
			c, n, ok := h.first(h.Rules[rule].Clusters)
			if ok {
				return one(c), why{step: byRule, rule: rule, passed: n}
			}
			passed = n
		}
		if c, n, ok := h.first(h.Default); ok {
			return one(c), why{step: byDefault, rule: rule, passed: passed + n}
		}
	}
	return []Choice{{Weight: 1, Clusters: up}}, why{step: everything, rule: -1}
}

// Rule is the index of the most specific Rule for a place, -1 if there is none.
func (h *Host) Rule(p geo.Place) int {
	best, rank := -1, 0
	for i := range h.Rules {
		if r := fit(h.Rules[i].From, p); r > rank {
			best, rank = i, r
		}
	}
	return best
}

// fit is how closely from describes p, 0 if p is not there. Nobody is known to be
// at the zero Place, so that only a Rule of the zero Place fits it.
func fit(from, p geo.Place) int {
	switch {
	case from.Subdivision != "":
		return rankIf(from.Subdivision == p.Subdivision, 4)
	case from.Country != "":
		return rankIf(from.Country == p.Country, 3)
	case from.Continent != "":
		return rankIf(from.Continent == p.Continent, 2)
	}
	return 1
}

func rankIf(fits bool, rank int) int {
	if fits {
		return rank
	}
	return 0
}

func one(cluster int) []Choice { return []Choice{{Weight: 1, Clusters: []int{cluster}}} }

// usable are the indexes of the clusters that want says and that have an address.
func (h *Host) usable(want func(*Cluster) bool) []int {
	var all []int
	for i := range h.Clusters {
		if c := &h.Clusters[i]; c.Reachable() && want(c) {
			all = append(all, i)
		}
	}
	return all
}

// Reachable says whether there is an address at all.
func (c *Cluster) Reachable() bool { return len(c.Addresses) > 0 || c.Hostname != "" }

// first is the first of the named clusters that is up, and how many before it are
// not.
func (h *Host) first(names []string) (cluster, passed int, ok bool) {
	for n, name := range names {
		for i := range h.Clusters {
			if c := &h.Clusters[i]; c.Name == name && c.Up && c.Reachable() {
				return i, n, true
			}
		}
	}
	return 0, len(names), false
}

func (h *Host) weighted(up []int) []Choice {
	var choices []Choice
	for _, i := range up {
		if w := h.Clusters[i].Weight; w > 0 {
			choices = append(choices, Choice{Weight: w, Clusters: []int{i}})
		}
	}
	if choices != nil {
		return choices
	}
	for _, i := range up { // those of weight 0 stand in for all the others
		choices = append(choices, Choice{Weight: 1, Clusters: []int{i}})
	}
	return choices
}

func (h *Host) whenAllDown() []Choice {
	any := h.usable(func(*Cluster) bool { return true })
	if h.WhenAllDown == AnswerDefault {
		named := map[string]bool{}
		for _, name := range h.Default {
			named[name] = true
		}
		any = h.usable(func(c *Cluster) bool { return named[c.Name] })
	}
	if len(any) == 0 || h.WhenAllDown == AnswerNothing {
		return nil
	}
	return []Choice{{Weight: 1, Clusters: any}}
}

func (w why) in(h *Host) string {
	var s string
	switch w.step {
	case byRule:
		s = h.Rules[w.rule].describe(h.Policy)
	case byDefault:
		s = "no rule fits: the default"
		if w.rule >= 0 {
			s = "no cluster of the rule is up: the default"
		}
	case byOrder:
		s = "first in order"
	case byWeight:
		s = "drawn by weight"
	case everything:
		s = "all clusters that are up"
		if h.Policy == Geography || h.Policy == Latency {
			s = "no rule and no default: " + s
		}
	case allDown:
		switch h.WhenAllDown {
		case AnswerNothing:
			return "no cluster is up: nothing"
		case AnswerDefault:
			return "no cluster is up: the default anyway"
		}
		return "no cluster is up: all of them anyway"
	}
	if w.passed > 0 && w.step != byDefault {
		s += fmt.Sprintf(" of those that are up (%d before it is not)", w.passed)
		if w.passed > 1 {
			s = strings.Replace(s, "is not)", "are not)", 1)
		}
	}
	return s
}

// describe says what the rule is, as "nearest to FR".
func (r Rule) describe(p Policy) string {
	verb := "preferred for"
	if p == Latency {
		verb = "least latency from"
	}
	return verb + " " + Name(r.From)
}

// Name is the most specific code of a place, or "everywhere".
func Name(p geo.Place) string {
	for _, s := range []string{p.Subdivision, p.Country, p.Continent} {
		if s != "" {
			return s
		}
	}
	return "everywhere"
}

// Shares is each cluster's part of the answers, by index into Host.Clusters: of
// all places, where place i counts share[i]. Clusters that are answered together
// share evenly. The sum is that of share, or 0 if nothing is answered.
func Shares(h *Host, places []geo.Place, share []float64) []float64 {
	parts := make([]float64, len(h.Clusters))
	for i, p := range places {
		if share[i] == 0 {
			continue
		}
		choices := Choose(h, p)
		total := 0.0
		for _, c := range choices {
			total += float64(c.Weight)
		}
		for _, c := range choices {
			part := share[i] * float64(c.Weight) / total / float64(len(c.Clusters))
			for _, cluster := range c.Clusters {
				parts[cluster] += part
			}
		}
	}
	return parts
}
