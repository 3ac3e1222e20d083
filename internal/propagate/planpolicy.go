package propagate

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/policy"
)

const (
	// plannedObjects bounds how many of the hub's objects a plan of a policy decides
	// about: meanwhile nothing is taken in.
	plannedObjects = 200
	// namedMoves is how many of those that would be moved it names.
	namedMoves = 5
)

// Effect says in sentences what a policy selects and does, and of the objects that the
// Planner knows of, to how many it would apply and what would become of them. It is empty
// for what is no policy. The policies to go by have been heeded.
func (p *Planner) Effect(obj *unstructured.Unstructured) string {
	if !isPolicy(obj) {
		return ""
	}
	read, err := readHeld(obj)
	if err != nil {
		return "" // NewPlanner has said so
	}
	s := read.Summary()
	said := []string{fmt.Sprintf("selects %s; divides by strategy %s; clusters: %s", wordOr(s.Selects, "everything"), s.Strategy, wordOr(s.Clusters, "all"))}
	if problem := read.Problem(p.engine.facts()); problem != "" {
		said = append(said, problem)
	}
	return strings.Join(append(said, p.effectAtHub(read)...), ". ")
}

// effectAtHub is what would become of the hub's objects; nothing, without a hub.
func (p *Planner) effectAtHub(read *policy.Policy) []string {
	if len(p.engine.resources) == 0 {
		return nil
	}
	var selected []*template
	for _, r := range p.engine.resources {
		for _, t := range r.templates {
			if match := p.engine.policies.index.Match(p.engine.policyObject(t)); match.Policy != nil && match.Policy.String() == read.String() {
				selected = append(selected, t)
			}
		}
	}
	if len(selected) == 0 {
		return []string{"It would apply to no object that is at the hub now"}
	}
	slices.SortFunc(selected, func(a, b *template) int { return strings.Compare(a.key.String(), b.key.String()) })
	said := []string{fmt.Sprintf("It would apply to %s at the hub", objects(len(selected)))}
	var moves []string
	for _, t := range selected[:min(len(selected), plannedObjects)] {
		if d, _ := p.Plan(t.obj, t.decision.Division()); d.String() != t.decision.String() {
			moves = append(moves, fmt.Sprintf("%s: %s, now %s", t.key, wordOr(d.String(), "nowhere"), wordOr(t.decision.String(), "nowhere")))
		}
	}
	switch n := len(moves); {
	case n == 0:
		said = append(said, "All of it stays as it is")
	case n > namedMoves:
		said = append(said, fmt.Sprintf("It changes %s: %s and %d more", objects(n), strings.Join(moves[:namedMoves], "; "), n-namedMoves))
	default:
		said = append(said, fmt.Sprintf("It changes %s: %s", objects(n), strings.Join(moves, "; ")))
	}
	if more := len(selected) - plannedObjects; more > 0 {
		said = append(said, fmt.Sprintf("%s more were not looked at", objects(more)))
	}
	return said
}

func objects(n int) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}

func wordOr(word, otherwise string) string {
	if word == "" {
		return otherwise
	}
	return word
}
