package dns

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/grant"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// Reasons of events.
const (
	eventUnreadable = "DNSUnreadable" // on Clusters
	eventReadable   = "DNSReadable"
	eventCrashed    = "DNSFailed"
	eventNotGlobal  = "NotGlobal" // on what seems to ask for a GlobalRoute
	eventHostBack   = "HostFree"  // on GlobalRoutes
)

// announcer says by events what has changed.
type announcer struct {
	events record.EventRecorder
	// cluster is the UID of a Cluster.
	cluster func(name string) types.UID
}

// sayCluster says something on a Cluster.
func (a *announcer) sayCluster(name, kind, reason, message string) {
	a.events.Event(&corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion().String(), Kind: "Cluster", Name: name, UID: a.cluster(name),
	}, kind, reason, message)
}

// announce says on a route what has changed for its clients.
func (a *announcer) announce(r *v1alpha1.GlobalRoute, before, now *route.Resolved) {
	about := routeReference(r)
	if now.Refused != "" && (before == nil || before.Refused != now.Refused) {
		a.events.Event(about, corev1.EventTypeWarning, reasonInvalid, now.Refused)
	}
	if now.Unread != "" && (before == nil || before.Unread != now.Unread) {
		a.events.Event(about, corev1.EventTypeWarning, reasonInvalid, now.Unread)
	}
	if now.Unknown != "" && (before == nil || before.Unknown != now.Unknown) {
		a.events.Event(about, corev1.EventTypeWarning, reasonUnknownCluster, now.Unknown)
	}
	if before == nil {
		return
	}
	for _, c := range now.Clusters {
		came, went := moved(before, now, c.Name)
		if len(came) > 0 {
			a.events.Event(about, corev1.EventTypeNormal, "ClusterUp", fmt.Sprintf("%s answers for %s%s", c.Name, strings.Join(came, ", "), whyUp(c)))
		}
		if len(went) > 0 && !guessed(before, c.Name) {
			a.events.Event(about, corev1.EventTypeWarning, "ClusterDown", fmt.Sprintf("%s no longer answers for %s: %s",
				c.Name, strings.Join(went, ", "), reasonOf(c)))
		}
	}
}

// guessed says whether a cluster was in answers only because nothing was known of it: the first that is learned is no fall.
func guessed(r *route.Resolved, cluster string) bool {
	at := slices.IndexFunc(r.Clusters, func(c route.ClusterState) bool { return c.Name == cluster })
	return at >= 0 && r.Clusters[at].Inside.State == v1alpha1.HealthUnknown && r.Clusters[at].Outside.State == v1alpha1.HealthUnknown
}

func routeReference(r *v1alpha1.GlobalRoute) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion().String(), Kind: "GlobalRoute",
		Namespace: r.Namespace, Name: r.Name, UID: r.UID, ResourceVersion: r.ResourceVersion,
	}
}

// announceHosts says on a route which of its hosts it does not have, and which it has
// got back; before and now are why not. started: the hub has just been, and the status
// has what was said before.
func (a *announcer) announceHosts(r *v1alpha1.GlobalRoute, res *route.Resolved, before, now map[string]grant.Refusal, started bool) {
	for _, host := range slices.Sorted(maps.Keys(now)) {
		if before[host] == now[host] || started && saidRefused(r, now[host]) {
			continue
		}
		a.events.Event(routeReference(r), corev1.EventTypeWarning, now[host].Reason, now[host].Message)
	}
	for _, host := range slices.Sorted(maps.Keys(before)) {
		has := slices.ContainsFunc(res.Hosts, func(h steer.Host) bool { return h.Name == host })
		if now[host].Reason == "" && has {
			a.events.Event(routeReference(r), corev1.EventTypeNormal, eventHostBack, strings.TrimSuffix(host, ".")+" belongs to this GlobalRoute now")
		}
	}
}

func saidRefused(r *v1alpha1.GlobalRoute, why grant.Refusal) bool {
	return slices.ContainsFunc(r.Status.Hosts, func(h v1alpha1.RouteHost) bool { return h.Message == why.Message })
}

// announceRefused says on a DNSZone, once, that another one has its domain; before is what was said so last time, nil if
// there was none.
func (a *announcer) announceRefused(z *v1alpha1.DNSZone, why string, before map[string]bool) {
	said := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionReady)
	if before[z.Name] || before == nil && said != nil && said.Reason == reasonDomainTaken {
		return
	}
	about := &corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion().String(), Kind: "DNSZone", Name: z.Name, UID: z.UID}
	a.events.Event(about, corev1.EventTypeWarning, reasonDomainTaken, why)
}

// moved are the hosts whose answers a cluster has come into, or gone out of.
func moved(before, now *route.Resolved, cluster string) (came, went []string) {
	wasUp := map[string]bool{}
	for i := range before.Hosts {
		for _, c := range before.Hosts[i].Clusters {
			if c.Name == cluster {
				wasUp[before.Hosts[i].Name] = c.Up
			}
		}
	}
	for i := range now.Hosts {
		name := now.Hosts[i].Name
		for _, c := range now.Hosts[i].Clusters {
			was, known := wasUp[name]
			switch {
			case c.Name != cluster || !known || was == c.Up:
			case c.Up:
				came = append(came, strings.TrimSuffix(name, "."))
			default:
				went = append(went, strings.TrimSuffix(name, "."))
			}
		}
	}
	return came, went
}

// reasonOf says why a cluster is not in the answers.
func reasonOf(c route.ClusterState) string {
	var why []string
	if c.Inside.State == v1alpha1.HealthDown {
		why = append(why, "inside: "+c.Inside.Message)
	}
	if c.Outside.State == v1alpha1.HealthDown {
		why = append(why, "outside: "+c.Outside.Message)
	}
	if len(why) == 0 {
		return "it has no address"
	}
	return strings.Join(why, "; ")
}

// whyUp is what both sides say of a cluster that has come into the answers of some
// host; empty if a side says that it is down, because that is about another host of
// the route.
func whyUp(c route.ClusterState) string {
	if c.Inside.State == v1alpha1.HealthDown || c.Outside.State == v1alpha1.HealthDown {
		return ""
	}
	return fmt.Sprintf(": inside %s, outside %s", say(c.Inside), say(c.Outside))
}

func say(h route.Health) string {
	switch {
	case h.Message == "":
		return strings.ToLower(h.State)
	case h.State == v1alpha1.HealthUnknown:
		return h.Message
	}
	return strings.ToLower(h.State) + " (" + h.Message + ")"
}
