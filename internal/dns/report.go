package dns

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/external"
	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/grant"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// report hands the statuses of what has changed to their writer.
func (b *publisher) report(p publication, v verdict, zones map[string]zoneReport) {
	before := b.lost
	b.lost = v.lost
	all := p.all || !reflect.DeepEqual(v.lost, before)
	for key, r := range p.routes {
		res := p.resolved[key]
		if res != nil {
			b.announcer.announceHosts(r, res, before[key], v.lost[key], before == nil)
		}
		if res == nil || !all && !p.changed[key] {
			continue
		}
		b.statuses.Route(r, routeStatus(r, res, v, b.externalReports(v, res), p.db))
	}
	bound, broken, geoErr := b.listener.state()
	refused := map[string]bool{}
	for _, z := range p.zones {
		if zones[z.Name].refused != "" {
			refused[z.Name] = true
			b.announcer.announceRefused(z, zones[z.Name].refused, b.refused)
		}
		if report, ok := zones[z.Name]; ok {
			report.listeners, report.broken, report.geo, report.off = bound, broken, geoErr, b.off
			b.statuses.Zone(z, zoneStatus(z, report))
		}
	}
	b.refused = refused
}

// externalReports are what has become of a route's hosts in external zones.
func (b *publisher) externalReports(v verdict, res *route.Resolved) map[string]external.Report {
	reports := map[string]external.Report{}
	for i := range res.Hosts {
		name := res.Hosts[i].Name
		if r, ok := b.external.Host(v.zone[name], name); ok {
			reports[name] = r
		}
	}
	return reports
}

// routeStatus says how a route is doing. Times are those of the status before,
// where nothing has changed; the writer fills in the others.
func routeStatus(r *v1alpha1.GlobalRoute, res *route.Resolved, v verdict, outside map[string]external.Report, db *geo.DB) v1alpha1.GlobalRouteStatus {
	s := v1alpha1.GlobalRouteStatus{ObservedGeneration: r.Generation}
	var names, unanswered []string
	for i := range res.Hosts {
		h := routeHost(&res.Hosts[i], res.Key, v, outside)
		names = append(names, h.Name)
		if !h.Answered {
			unanswered = append(unanswered, h.Message)
		}
		s.Hosts = append(s.Hosts, h)
	}
	healthy := 0
	shares := map[string]string{}
	if len(res.Hosts) > 0 {
		shares = sharesOf(&res.Hosts[0], db)
	}
	for _, c := range res.Clusters {
		if c.Healthy {
			healthy++
		}
		s.Clusters = append(s.Clusters, routeCluster(c, shares[c.Name]))
	}
	s.Summary = v1alpha1.RouteSummary{
		Hosts: abbreviate(names), Routing: res.Policy, Healthy: fmt.Sprintf("%d/%d", healthy, len(res.Clusters)),
	}
	s.Conditions = routeConditions(r, res, v, unanswered, healthy)
	return s
}

func routeHost(of *steer.Host, route string, v verdict, outside map[string]external.Report) v1alpha1.RouteHost {
	name := of.Name
	h := v1alpha1.RouteHost{Name: strings.TrimSuffix(name, "."), Zone: v.zone[name]}
	for _, c := range of.Clusters {
		if c.Up {
			h.Clusters = append(h.Clusters, c.Name)
		}
	}
	switch lost, mine := v.lost[route][name], v.zone[name] != ""; {
	case lost.Reason != "":
		h.Zone, h.Message = "", lost.Message
	case !mine:
		h.Message = h.Name + " is in no DNSZone yet"
	default:
		report, kept := outside[name]
		h.Answered = !kept || report.Done
		h.Message = report.Message
	}
	return h
}

// sharesOf are the clusters' parts of the world's answers.
func sharesOf(h *steer.Host, db *geo.DB) map[string]string {
	shares := map[string]string{}
	total := 0.0
	for _, part := range db.Share() {
		total += part
	}
	for i, part := range steer.Shares(h, db.Places(), db.Share()) {
		if total > 0 {
			shares[h.Clusters[i].Name] = fmt.Sprintf("%.0f%%", 100*part/total)
		}
	}
	return shares
}

func routeCluster(c route.ClusterState, share string) v1alpha1.RouteCluster {
	rc := v1alpha1.RouteCluster{
		Name: c.Name, Healthy: c.Healthy, Share: share,
		Inside:  &v1alpha1.RouteHealth{State: c.Inside.State, Message: c.Inside.Message},
		Outside: &v1alpha1.RouteHealth{State: c.Outside.State, Message: c.Outside.Message},
	}
	for _, a := range c.Addresses {
		rc.Addresses = append(rc.Addresses, a.String())
	}
	if c.Hostname != "" {
		rc.Hostnames = []string{c.Hostname}
	}
	return rc
}

// abbreviate lists the first three.
func abbreviate(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ","), len(names)-3)
	}
	return strings.Join(names, ",")
}

// Reasons of conditions of GlobalRoutes and DNSZones.
const (
	reasonAccepted       = "Accepted"
	reasonInvalid        = "Invalid"
	reasonUnknownCluster = "UnknownCluster"
	reasonDomainTaken    = "DomainTaken"
	reasonIgnored        = "PartlyIgnored"
	reasonAnswered       = "Answered"
	reasonUnanswered     = "NotAnswered"
	reasonAllDown        = "AllClustersDown"
	reasonNowhere        = "NoAddresses"
)

func routeConditions(r *v1alpha1.GlobalRoute, res *route.Resolved, v verdict, unanswered []string, healthy int) []metav1.Condition {
	accepted := metav1.Condition{Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: reasonAccepted, ObservedGeneration: r.Generation}
	switch lost := v.lost[res.Key]; {
	case res.Unread != "":
		accepted.Status, accepted.Reason, accepted.Message = metav1.ConditionFalse, reasonInvalid, res.Unread
	case res.Refused != "":
		accepted.Status, accepted.Reason, accepted.Message = metav1.ConditionFalse, reasonInvalid, res.Refused
	case len(lost) > 0:
		accepted.Status = metav1.ConditionFalse
		accepted.Reason, accepted.Message = refusals(lost)
	case res.Unknown != "":
		accepted.Status, accepted.Reason, accepted.Message = metav1.ConditionFalse, reasonUnknownCluster, res.Unknown
	case len(res.Problems) > 0:
		accepted.Reason, accepted.Message = reasonIgnored, strings.Join(res.Problems, "; ")
	}
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: reasonAnswered, ObservedGeneration: r.Generation}
	reachable := slices.ContainsFunc(res.Clusters, func(c route.ClusterState) bool { return len(c.Addresses) > 0 || c.Hostname != "" })
	switch {
	case res.Refused != "":
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, accepted.Reason, accepted.Message
	case len(unanswered) > 0:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, reasonUnanswered, several(unanswered)
	case !reachable:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, reasonNowhere, "no cluster has an address for it yet"
	case healthy == 0:
		ready.Status, ready.Reason = metav1.ConditionFalse, reasonAllDown
		ready.Message = "no cluster is healthy; what is answered is what whenAllDown says"
	default:
		ready.Message = fmt.Sprintf("answered with %d of %d clusters", healthy, len(res.Clusters))
	}
	return []metav1.Condition{accepted, ready}
}

// refusals are why hosts are not a route's: the reason of the gravest, and all messages.
func refusals(of map[string]grant.Refusal) (reason, message string) {
	gravity := []string{v1alpha1.ReasonTooManyHosts, v1alpha1.ReasonNoMatchingZone, v1alpha1.ReasonHostTaken, v1alpha1.ReasonNameReserved, v1alpha1.ReasonNotAllowedByZone}
	var all []string
	for _, r := range of {
		all = append(all, r.Message)
		if slices.Index(gravity, r.Reason) > slices.Index(gravity, reason) {
			reason = r.Reason
		}
	}
	slices.Sort(all)
	return reason, several(all)
}

// maxMessages is how many messages a condition has.
const maxMessages = 8

// several is some messages in one, of bounded length.
func several(all []string) string {
	if len(all) > maxMessages {
		return fmt.Sprintf("%s; and %d more", strings.Join(all[:maxMessages], "; "), len(all)-maxMessages)
	}
	return strings.Join(all, "; ")
}

// zoneReport is how a zone that the hub serves is doing.
type zoneReport struct {
	refused     string
	problems    []string
	serial      uint32
	hosts       int
	nameServers []string
	listeners   []string
	broken      error // the server does not listen
	geo         error // the geographic database asked for cannot be used
	off         bool  // the hub was told not to listen
}

func zoneStatus(z *v1alpha1.DNSZone, r zoneReport) v1alpha1.DNSZoneStatus {
	s := v1alpha1.DNSZoneStatus{
		ObservedGeneration: z.Generation, Provider: "Embedded", NameServers: r.nameServers, Listeners: r.listeners,
		Serial: max(int64(r.serial), z.Status.Serial), Hosts: int32(r.hosts),
	}
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Served", ObservedGeneration: z.Generation}
	notes := r.problems
	if r.geo != nil {
		notes = append(slices.Clone(notes), r.geo.Error())
	}
	ready.Message = strings.Join(notes, "; ")
	if len(notes) > 0 {
		ready.Reason = "ServedInPart"
	}
	switch {
	case r.refused != "":
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, reasonDomainTaken, r.refused
	case r.off:
		ready.Status, ready.Reason = metav1.ConditionFalse, "NotListening"
		ready.Message = "the hub was started with --dns-listen=off"
	case r.broken != nil:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, "NotListening", r.broken.Error()
	case len(r.listeners) == 0:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, "Starting", "the name server does not listen yet"
	}
	s.Conditions = []metav1.Condition{ready}
	return s
}
