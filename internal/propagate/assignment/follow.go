package assignment

import (
	"fmt"
	"maps"
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// Follow has r take over the numbers that members have set, of which that is seen: the division and its sum are recorded together.
func (r *Recording) Follow(a *Assignment, members []string, seen map[string]*Observed) {
	if !a.FollowsMembers {
		return
	}
	division, taken := a.Decision.Division(), maps.Clone(a.Taken)
	if taken == nil {
		taken = map[string]int32{}
	}
	var said []string
	for _, name := range members {
		o := seen[name]
		if o == nil || o.Own == nil || o.Replicas == nil || *o.Replicas != *o.Own {
			continue
		}
		if share, placed := a.Shares[name]; placed && *o.Own != share.Replicas && !a.hasTaken(name, o) {
			division[name], taken[name] = *o.Own, *o.Own
			said = append(said, fmt.Sprintf("%s has %d", name, *o.Own))
		}
	}
	total, ok := SumOf(division)
	if len(said) == 0 || !ok {
		return
	}
	if waiting := a.Decision.Unplaced; a.Follows && total <= math.MaxInt32-waiting {
		total += waiting // what no cluster has is still asked for
	}
	divided, took := schedule.FormatDivision(division), schedule.FormatDivision(taken)
	r.Division, r.Taken, r.Replicas = &divided, &took, &total
	r.Tell = append(r.Tell, Event{
		Template: a.Template, Type: corev1.EventTypeNormal, Reason: "ReplicasFollowed",
		Message: fmt.Sprintf("%s by its own count; spec.replicas follows, %d", strings.Join(said, ", "), total),
	})
}

// SumOf is the total of a division; ok is false if it is more than the API allows.
func SumOf(division map[string]int32) (total int32, ok bool) {
	var sum int64
	for _, n := range division {
		sum += int64(n)
	}
	return int32(sum), sum <= math.MaxInt32
}

// hasTaken says whether the total has followed what a member set already: the hub has decided otherwise since, which has not
// arrived there.
func (a *Assignment) hasTaken(cluster string, seen *Observed) bool {
	n, known := a.Taken[cluster]
	arrived := seen.Left != nil && seen.Left.Share.Replicas == a.Shares[cluster].Replicas
	return known && n == *seen.Own && !arrived
}
