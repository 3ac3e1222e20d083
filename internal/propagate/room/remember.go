package room

import (
	"maps"
	"time"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Remembered is all that a Room knows but for its views, as plain data. Keys are as Key.String says.
type Remembered struct {
	Asked      map[string]time.Time
	Reserved   map[string]map[string]RememberedReservation // by cluster and key
	Short      []string
	Demanding  []string
	Watching   bool
	Volumes    bool
	News, Rest time.Time
	Patience   time.Time
	Anyway     time.Time
}

// RememberedReservation is what a workload was given.
type RememberedReservation struct {
	Replicas int32
	Until    time.Time
}

// Remember is what r knows.
func (r *Room) Remember() Remembered {
	out := Remembered{
		Asked: maps.Clone(r.asked), Reserved: map[string]map[string]RememberedReservation{},
		Short: template.KeyNames(r.short), Demanding: template.KeyNames(r.demanding), Watching: r.watching, Volumes: r.watchingVolumes,
		News: r.news, Rest: r.rest, Patience: r.patience, Anyway: r.anyway,
	}
	for name := range r.accounts {
		all := map[string]RememberedReservation{}
		for key, one := range r.accountOf(name) {
			all[key.String()] = RememberedReservation{one.replicas, one.until}
		}
		out.Reserved[name] = all
	}
	return out
}

// RestoreViews has r know what was measured.
func (r *Room) RestoreViews(views map[string]*capacity.View) { maps.Copy(r.views, views) }

// Restore has r know what in says. demand is what the pods of a workload demand, nil if there is no such workload, or if that is nothing.
func (r *Room) Restore(in Remembered, demand func(key template.Key) *template.Demand) {
	if r.asked = maps.Clone(in.Asked); r.asked == nil {
		r.asked = map[string]time.Time{}
	}
	r.short, r.demanding = template.KeySet(in.Short), template.KeySet(in.Demanding)
	r.watching, r.watchingVolumes = in.Watching, in.Volumes
	r.news, r.rest, r.patience, r.anyway = in.News, in.Rest, in.Patience, in.Anyway
	for cluster, all := range in.Reserved {
		for name, one := range all {
			key, _ := template.ParseKey(name)
			if d := demand(key); d != nil {
				r.ownAccount(cluster)[key] = reservation{d, one.Replicas, one.Until}
			}
		}
	}
}

// RememberedCeiling is how many replicas a cluster turned out to be able to run.
type RememberedCeiling struct {
	Most  int32
	Until time.Time
}

// Remember is what c knows, by the key of a workload and by cluster.
func (c *Ceilings) Remember() map[string]map[string]RememberedCeiling {
	out := map[string]map[string]RememberedCeiling{}
	for key, of := range c.of {
		all := map[string]RememberedCeiling{}
		for name, one := range of {
			all[name] = RememberedCeiling{one.most, one.until}
		}
		out[key.String()] = all
	}
	return out
}

// Restore has c know what in says.
func (c *Ceilings) Restore(in map[string]map[string]RememberedCeiling) {
	for name, of := range in {
		all := map[string]ceiling{}
		for cluster, one := range of {
			all[cluster] = ceiling{one.Most, one.Until}
		}
		if key, ok := template.ParseKey(name); ok {
			c.of[key] = all
		}
	}
}
