// Package scaling works out what hanse scale writes: from what a person asks
// for and what is there, the total, its division, and the preferences to keep,
// or a sentence that says why it cannot be. It is pure.
package scaling

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// Request is what a person asks for. Numbers are not below zero.
type Request struct {
	Counts   map[string]int32 // by cluster
	Replicas *int32           // in all
	Min      map[string]int64 // by cluster, schedule.Others for all that are not named
	Max      map[string]*int64
	Weight   map[string]int64
	Even     bool // forget what was asked for before, and divide again
}

// State is how the object is divided now.
type State struct {
	Object      string // as messages call it: deployment/web
	Total       int32
	Division    map[string]int32
	Preferences *schedule.Preferences // nil: none
	Clusters    map[string]bool       // all there are, and whether they are ready
}

// Change is what is to be written.
type Change struct {
	Total    int32
	Division map[string]int32
	// Preferences is nil where none are to be kept.
	Preferences *schedule.Preferences
	// Decision is the hub's, of the total: why each cluster gets what it gets, and how
	// many replicas are left without a place.
	Decision schedule.Decision
	// Notes is what a person should know, in sentences.
	Notes []string
}

// Decide is the decision that the hub would make of a total, how it is divided
// now, and preferences, which may be nil. The error is that of asking the hub.
type Decide func(total int32, current map[string]int32, p *schedule.Preferences) (schedule.Decision, error)

// Apply works out the change. The error is for the person who asks.
func (r *Request) Apply(now State, decide Decide) (Change, error) {
	if err := r.check(now); err != nil {
		return Change{}, err
	}
	change := Change{Total: now.Total, Preferences: r.preferences(now.Preferences)}
	if r.Replicas != nil {
		change.Total = *r.Replicas
	}
	if err := r.checkPreferences(change.Preferences); err != nil {
		return Change{}, err
	}
	var err error
	switch {
	case len(r.Counts) > 0:
		err = r.counted(&change, now, decide)
	default:
		err = r.divided(&change, now, decide)
	}
	if err != nil {
		return Change{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(now.Clusters)) {
		if !now.Clusters[name] && change.Division[name] != now.Division[name] {
			change.Notes = append(change.Notes, fmt.Sprintf("cluster %s is not ready: it is scaled when it is back", name))
		}
	}
	return change, nil
}

// check is what can be said of the request alone.
func (r *Request) check(now State) error {
	limits := len(r.Min)+len(r.Max)+len(r.Weight) > 0
	switch {
	case len(r.Counts) == 0 && r.Replicas == nil && !limits && !r.Even:
		return fmt.Errorf("no replicas are given for %s. Try: hanse scale %s aws=2 azure=1, or --replicas=3", now.Object, now.Object)
	case len(r.Counts) > 0 && r.Replicas != nil:
		return fmt.Errorf("the total is the sum of the clusters' counts. Try: --replicas=%d alone, or the counts alone", *r.Replicas)
	case r.Even && (limits || len(r.Counts) > 0):
		return fmt.Errorf("--even removes counts, minima, maxima and weights. Try: --even first, then the others")
	}
	for _, names := range [][]string{keys(r.Counts), keys(r.Min), keys(r.Max), keys(r.Weight)} {
		for _, name := range names {
			if _, there := now.Clusters[name]; !there && name != schedule.Others {
				return fmt.Errorf("there is no cluster %s. Try: %s", name, orJoin(now.Clusters))
			}
		}
	}
	if _, others := r.Counts[schedule.Others]; others {
		return fmt.Errorf("a count is for one cluster. Try: %s", orJoin(now.Clusters))
	}
	return nil
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func orJoin(clusters map[string]bool) string {
	if len(clusters) == 0 {
		return "hanse join NAME"
	}
	return "one of " + strings.Join(slices.Sorted(maps.Keys(clusters)), ", ")
}

// counted is the change to counts by cluster: those that are not named keep
// theirs, and the sum is the total. The hub keeps to a division that is recorded, so
// that it is asked twice: whether its rules allow the counts, and whether there is
// room for what is added.
func (r *Request) counted(change *Change, now State, decide Decide) error {
	change.Division = maps.Clone(now.Division)
	if change.Division == nil {
		change.Division = map[string]int32{}
	}
	maps.Copy(change.Division, r.Counts)
	var sum int64
	for name, n := range change.Division {
		sum += int64(n)
		if err := within(change.Preferences, name, n); err != nil {
			return err
		}
	}
	if sum > math.MaxInt32 {
		return fmt.Errorf("the counts add up to %d, more than an object can have. Try: less than %d", sum, math.MaxInt32)
	}
	change.Total = int32(sum)
	d, err := decide(change.Total, change.Division, change.Preferences)
	if err != nil {
		return err
	}
	got := d.Division()
	for _, name := range append(keys(r.Counts), keys(change.Division)...) { // what is asked for is to blame first
		if want := change.Division[name]; got[name] != want {
			return fmt.Errorf("cluster %s cannot have %s of %s%s. Try: hanse why %s", name, replicas(want), now.Object, because(d, name), now.Object)
		}
	}
	if err := r.withRoom(change, now, decide); err != nil {
		return err
	}
	for i, s := range d.Shares {
		if n, asked := r.Counts[s.Cluster]; asked && n != now.Division[s.Cluster] {
			d.Shares[i].Reason = "asked for"
		}
	}
	change.Decision = d
	if missing := int64(now.Total) - sumOf(now.Division); missing > 0 {
		change.Notes = append(change.Notes, fmt.Sprintf("%s that fit nowhere: no longer asked for", replicas(missing)))
	}
	return nil
}

// withRoom asks the hub whether there is room for counts that add to what runs: it
// decides, held to them by limits. A cluster that is not ready is not asked about: it
// follows when it is back.
func (r *Request) withRoom(change *Change, now State, decide Decide) error {
	limits := &schedule.Preferences{Clusters: map[string]schedule.ClusterPreferences{}}
	added, total := false, int64(0)
	for name, n := range change.Division {
		if !now.Clusters[name] {
			n = now.Division[name]
		}
		added, total = added || n > now.Division[name], total+int64(n)
		most := int64(n)
		limits.Clusters[name] = schedule.ClusterPreferences{MinReplicas: most, MaxReplicas: &most, Weight: 1}
	}
	if !added {
		return nil
	}
	d, err := decide(int32(min(total, math.MaxInt32)), now.Division, limits)
	if err != nil {
		return err
	}
	for _, name := range keys(r.Counts) {
		want, fits := change.Division[name], d.Division()[name]
		if now.Clusters[name] && fits < want {
			return fmt.Errorf("cluster %s has room for %d of %s of %s%s. Try: hanse scale %s %s=%d", name, fits, replicas(want), now.Object, itself(d, name), now.Object, name, fits)
		}
	}
	return nil
}

// divided is the change where the hub's rules say what each cluster gets.
func (r *Request) divided(change *Change, now State, decide Decide) error {
	current, preferences := now.Division, change.Preferences
	if r.Even {
		current = map[string]int32{}
		for name, n := range now.Division {
			if !now.Clusters[name] {
				current[name] = n // it runs that many, as far as anybody knows
			}
		}
	}
	if len(r.Weight) > 0 { // asked for now: what runs moves, this once
		once := schedule.Preferences{Clusters: map[string]schedule.ClusterPreferences{schedule.Others: {Weight: 1}}}
		if preferences != nil { // nil: the weights are those of an even division
			once = *preferences
		}
		once.Rebalance = true
		preferences = &once
	}
	if need := minima(preferences); need > int64(change.Total) {
		return fmt.Errorf("the minima add up to %d, and %s has %s. Try: --replicas=%d", need, now.Object, replicas(change.Total), need)
	}
	d, err := decide(change.Total, current, preferences)
	if err != nil {
		return err
	}
	change.Division, change.Decision = d.Division(), d
	for _, name := range keys(r.Min) {
		if least := r.Min[name]; name != schedule.Others && int64(change.Division[name]) < least {
			return fmt.Errorf("cluster %s cannot have its minimum of %s of %s%s. Try: hanse why %s", name, replicas(least), now.Object, because(d, name), now.Object)
		}
	}
	if d.Unplaced > 0 {
		if len(r.Max) > 0 {
			return fmt.Errorf("the maxima leave no place for %d of %s of %s. Try: higher ones, or --replicas=%d", d.Unplaced, replicas(change.Total), now.Object, change.Total-d.Unplaced)
		}
		change.Notes = append(change.Notes, cmp.Or(d.Reason, fmt.Sprintf("%d of %s fit nowhere", d.Unplaced, replicas(change.Total))))
	}
	return nil
}

// replicas is n with its noun.
func replicas[N ~int32 | ~int64](n N) string { return english.Plural(int(n), "replica", "") }

func sumOf(division map[string]int32) (sum int64) {
	for _, n := range division {
		sum += int64(n)
	}
	return sum
}

// because is the reason that a decision gives for a cluster, as the rest of a
// sentence: what rules the cluster out, else what is unusual about the whole.
func because(d schedule.Decision, cluster string) string {
	for _, r := range d.Rejected {
		if r.Cluster == cluster {
			return ": " + r.Reason
		}
	}
	if whole := cmp.Or(d.Problem, d.Reason); whole != "" {
		return ": " + whole
	}
	for _, s := range d.Shares {
		if s.Cluster == cluster && s.Reason != "" && s.Reason != schedule.AsBefore {
			return ": " + s.Reason
		}
	}
	return ""
}

// itself is what about a cluster alone keeps replicas away from it, as the rest of a
// sentence: not what limits say, which were ours.
func itself(d schedule.Decision, cluster string) string {
	for _, r := range d.Rejected {
		if r.Cluster == cluster {
			return ": " + r.Reason
		}
	}
	for _, s := range d.Shares {
		if s.Cluster == cluster && s.Passing {
			return ": " + s.Reason
		}
	}
	return ""
}
