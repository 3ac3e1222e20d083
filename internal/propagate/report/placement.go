package report

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/aggregate"
	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Placement is that of an object, under that name. The members are given by name.
func Placement(a *decide.Assignment, facts *decide.Facts, members []Member, name string, now time.Time) v1alpha1.Placement {
	key := a.Key
	p := v1alpha1.Placement{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: "Placement"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: PlacementNamespace(key), UID: a.UID,
			CreationTimestamp: metav1.NewTime(a.Created), Labels: a.Object.GetLabels(), Generation: a.Object.GetGeneration(),
		},
		Object: v1alpha1.ObjectReference{
			APIVersion: a.GVK.GroupVersion().String(), Kind: a.GVK.Kind, Namespace: key.Namespace, Name: key.Name, UID: a.UID,
		},
	}
	fillClusters(&p, a, facts, members)
	err := guard.Run(func() error {
		fillRollout(&p, a, facts, members, now)
		return nil
	})
	if err != nil {
		p.Rollout, p.Summary.Message = nil, cmp.Or(p.Summary.Message, err.Error())
	}
	return p
}

// PlacementNamespace is where the Placement of an object is.
func PlacementNamespace(key template.Key) string {
	if key.Namespace == "" {
		return v1alpha1.SystemNamespace
	}
	return key.Namespace
}

func fillClusters(p *v1alpha1.Placement, a *decide.Assignment, facts *decide.Facts, members []Member) {
	var names []string
	var ready, want int64
	counted, waits := false, ""
	p.Summary.Synced = metav1.ConditionTrue
	for _, m := range members {
		c, wanted, there := placementIn(a, facts, m)
		if !there {
			continue
		}
		if c.ReadyReplicas != nil {
			counted = true
			ready, want = ready+int64(*c.ReadyReplicas), want+int64(wanted)
		}
		if c.State != v1alpha1.StateSynced {
			p.Summary.Synced = metav1.ConditionFalse
		}
		if p.Summary.Message == "" {
			p.Summary.Message = c.LastError
		}
		if waits == "" && c.Message != "" {
			waits = c.Name + ": " + c.Message
		}
		names = append(names, clusterName(c))
		p.Clusters = append(p.Clusters, c)
	}
	p.Summary.Clusters = strings.Join(names, ",")
	if counted {
		p.Summary.Ready = fmt.Sprintf("%d/%d", ready, want)
	}
	if a.Decision.Unplaced > 0 {
		waits = cmp.Or(a.Decision.Reason, waits) // which will not pass by itself
	}
	p.Summary.Message = cmp.Or(p.Summary.Message, waits, a.Decision.Reason)
	how := facts.Propagation(a)
	meant := how.Problem == "" && how.How != v1alpha1.PropagateEverywhere // that it is nowhere
	if len(p.Clusters) == 0 && !meant || a.Decision.Unplaced > 0 {
		p.Summary.Synced = metav1.ConditionFalse
	}
	p.Policy = policyMatch(a, facts)
	reasonsFor(p, &a.Decision)
}

func clusterName(c v1alpha1.ClusterPlacement) string {
	if c.Replicas == nil {
		return c.Name
	}
	return fmt.Sprintf("%s=%d", c.Name, *c.Replicas)
}

// placementIn is the line of an object in a member for its Placement, and how much of it is wanted to be ready there. there is
// false where there is none.
func placementIn(a *decide.Assignment, facts *decide.Facts, m Member) (line v1alpha1.ClusterPlacement, want int32, there bool) {
	err := guard.Run(func() error {
		o := m.Observed(a.Key)
		if _, placed := a.Shares[m.Name()]; !placed && !o.Exists() {
			return nil
		}
		line, there = clusterPlacement(a, facts, m, known(o)), true
		if n, w, ok := aggregate.Ready(a.GVK.GroupKind(), statusOf(a, facts, m, o)); ok {
			line.ReadyReplicas, want = &n, w
		}
		return nil
	})
	if err != nil {
		return v1alpha1.ClusterPlacement{Name: m.Name(), State: v1alpha1.StateError, LastError: err.Error()}, 0, true
	}
	return line, want, there
}

// known is o, for who asks for its fields without asking whether there are any.
func known(o *decide.Observed) *decide.Observed {
	if o == nil {
		return &decide.Observed{}
	}
	return o
}

func clusterPlacement(a *decide.Assignment, facts *decide.Facts, m Member, o *decide.Observed) v1alpha1.ClusterPlacement {
	c := v1alpha1.ClusterPlacement{Name: m.Name(), State: stateOf(a, m, o)}
	if a.Division != kinds.Everywhere && a.Division != kinds.OneActive {
		n := a.Runs(m.Name())
		c.Replicas = &n
	}
	switch {
	case o.Fault != nil:
		c.LastError = o.Fault.Message
		c.Since = &metav1.Time{Time: o.FaultSince}
	case o.Withheld != "":
		c.LastError = fmt.Sprintf("it should not be here, but is held: %s. Try: hanse prune %s", WithheldMessage(o.Withheld), m.Name())
		c.Since = &metav1.Time{Time: o.WithheldSince}
	}
	c.Message = stateMessage(a, facts, m, o, c.State)
	return c
}

// policyMatch is the policy that applies, nil if none does.
func policyMatch(a *decide.Assignment, facts *decide.Facts) *v1alpha1.PolicyMatch {
	m := facts.Policies.Match(facts.PolicyObject(a.Template))
	if m.Policy == nil && len(m.Enforced) == 0 {
		return nil
	}
	out := &v1alpha1.PolicyMatch{Reason: m.Reason}
	if m.Policy != nil {
		out.Name = m.Policy.String()
	} else {
		out.Name = facts.Policies.For(facts.PolicyObject(a.Template)).String()
	}
	for _, o := range m.Overruled {
		out.Overruled = append(out.Overruled, o.Reason)
	}
	return out
}

// reasonsFor adds why the clusters were chosen or not.
func reasonsFor(p *v1alpha1.Placement, d *schedule.Decision) {
	why := map[string]string{}
	for _, s := range d.Shares {
		why[s.Cluster] = s.Reason
	}
	for i := range p.Clusters {
		p.Clusters[i].Reason = why[p.Clusters[i].Name]
	}
	for _, r := range d.Rejected {
		p.Rejected = append(p.Rejected, v1alpha1.ClusterRejection{Name: r.Cluster, Reason: r.Reason})
	}
	p.Unplaced = d.Unplaced
}
