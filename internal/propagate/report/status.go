package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/internal/aggregate"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// membersPatience is how long after its start the hub waits with what it says of a workload for members
// that answered before, and have not been read yet.
const membersPatience = 10 * time.Second

// Outcome is what is to be done about the status of an object at the hub.
type Outcome struct {
	// Patch is a merge patch of its status; nil: it is as it should be.
	Patch map[string]any
	// Blamed is the clusters of which the words make a fault, with what to say of it; nil: none.
	Blamed map[string]string
	// RetryAfter is when to ask again, because not all that is needed is known yet; 0: no need.
	RetryAfter time.Duration
}

// Status merges what the members, which are given by name, say of an object. began is when the run of the hub began. It
// depends on nothing else, and with its outcome written has nothing more to write.
func Status(a *decide.Assignment, facts *decide.Facts, members []Member, began, now time.Time) (Outcome, error) {
	if rest := awaitsMembers(a, facts, members, began, now); rest > 0 {
		return Outcome{RetryAfter: rest}, nil
	}
	said := statusesOf(a, facts, members)
	merged, blamed, err := merged(a, said)
	if err != nil {
		return Outcome{Blamed: blamed}, fmt.Errorf("merge the statuses of %s: %w", a.Key, err)
	}
	merged = withPlaced(a, withReached(a, merged, said, now), now)
	if merged == nil {
		return Outcome{Blamed: blamed}, nil
	}
	before, _ := a.Object.Object["status"].(map[string]any)
	turnNow(before, merged, now)
	patch, _ := fieldmerge.Patch(map[string]any{"of": before}, map[string]any{"of": merged})
	of, _ := patch["of"].(map[string]any)
	return Outcome{Patch: of, Blamed: blamed}, nil
}

// awaitsMembers is for how long at most a status waits: a hub that has just started would take what it has not
// read for what there is not.
func awaitsMembers(a *decide.Assignment, facts *decide.Facts, members []Member, began, now time.Time) time.Duration {
	rest := membersPatience - now.Sub(began)
	if rest <= 0 {
		return 0
	}
	for _, m := range members {
		c := facts.Clusters[m.Name()]
		if _, placed := a.Shares[m.Name()]; placed && c != nil && c.Ready && !m.Heard(a.Key.GR) {
			return rest // or until it is read
		}
	}
	return 0
}

// merged is the status out of what the members say.
func merged(a *decide.Assignment, all []aggregate.MemberStatus) (out map[string]any, blamed map[string]string, err error) {
	blamed, err = leaveOut(all, func(some []aggregate.MemberStatus) {
		out = aggregate.Status(a.GVK.GroupKind(), a.Object.Object, some)
	})
	return out, blamed, err
}

// leaveOut merges what members say, without those of which the words make a fault, which are blamed.
func leaveOut(all []aggregate.MemberStatus, merge func([]aggregate.MemberStatus)) (blamed map[string]string, err error) {
	try := func(some []aggregate.MemberStatus) error {
		return guard.Run(func() error {
			merge(some)
			return nil
		})
	}
	if err = try(all); err == nil {
		return nil, nil
	}
	blamed = map[string]string{}
	for i := range all {
		if alone := try(all[i : i+1]); alone != nil {
			blamed[all[i].Cluster] = fmt.Sprintf("the status that cluster %s reports cannot be processed: %v", all[i].Cluster, alone)
			all[i].Status = nil
		}
	}
	return blamed, try(all)
}

// turnNow lets conditions that turn out other than they were told before have done so now, where members know
// of nothing later: it is the cluster that went away or came back.
func turnNow(before, merged map[string]any, now time.Time) {
	list, _ := merged["conditions"].([]any)
	told, _ := before["conditions"].([]any)
	for _, e := range list {
		c, _ := e.(map[string]any)
		at := slices.IndexFunc(told, func(e any) bool {
			was, ok := e.(map[string]any)
			return ok && was["type"] == c["type"]
		})
		if at < 0 || c["lastTransitionTime"] == nil {
			continue
		}
		was := told[at].(map[string]any)
		then, _ := was["lastTransitionTime"].(string)
		since, _ := c["lastTransitionTime"].(string)
		if was["status"] != c["status"] && since <= then { // RFC 3339 in UTC, both
			c["lastTransitionTime"] = now.UTC().Format(time.RFC3339)
		}
	}
}

// statusesOf is what the members where an object is placed say of it.
func statusesOf(a *decide.Assignment, facts *decide.Facts, members []Member) []aggregate.MemberStatus {
	var out []aggregate.MemberStatus
	for _, m := range members {
		o := m.Observed(a.Key)
		if _, placed := a.Shares[m.Name()]; placed || o.From(a.UID) {
			out = append(out, statusOf(a, facts, m, o))
		}
	}
	return out
}

func statusOf(a *decide.Assignment, facts *decide.Facts, m Member, o *decide.Observed) aggregate.MemberStatus {
	s := aggregate.MemberStatus{
		Cluster:   m.Name(),
		Synced:    a.Synced(m.Name(), o) && m.Unread(a.Key.GR) == nil,
		Reachable: m.Heard(a.Key.GR),
		Lost:      !m.Reachable() && facts.Clusters[m.Name()] != nil && facts.Dead(m.Name(), a.Policy),
	}
	if o != nil {
		s.Generation, s.ObservedGeneration, s.Spec, s.Status = o.Generation, o.ObservedGeneration, o.Spec, o.Status
	}
	if o != nil && o.Replicas != nil { // an autoscaler's, perhaps
		s.Spec = template.With(s.Spec, "replicas", int64(*o.Replicas))
	}
	if a.Division != kinds.Everywhere {
		n := a.Runs(m.Name())
		s.Replicas = &n
	}
	return s
}
