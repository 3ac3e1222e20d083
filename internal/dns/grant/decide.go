package grant

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// Terms are what the hub's administrator says of names.
type Terms struct {
	// Suffixes below which zones may be made for hosts that are in none; "*": everywhere.
	Suffixes []string
	// Grace is how long a name stays its namespace's after the last route with it.
	Grace time.Duration
	// Hosts is how many names a namespace may have, those in their grace time among them;
	// 0: as many as it likes.
	Hosts int
	// Zones is how many zones may be made for a namespace; 0: as many as it likes.
	Zones int
}

// Ask is a host that a route asks for.
type Ask struct {
	// Host is the name with a final dot.
	Host  string
	Route *v1alpha1.GlobalRoute
}

// Question is everything that decides whose names are, beside the Book.
type Question struct {
	Asks  []Ask
	Zones route.Zones
	// Labels are those of a namespace.
	Labels func(namespace string) labels.Set
	Terms  Terms
	Now    time.Time
}

// Homeless is a zone that may be made, and for whom.
type Homeless struct{ Domain, Namespace string }

// Verdict is whose names are.
type Verdict struct {
	// Routes has the route of each host that has one, and Zones the DNSZone that it is in;
	// both by name with a final dot.
	Routes map[string]*v1alpha1.GlobalRoute
	Zones  map[string]*v1alpha1.DNSZone
	// Refused is, by route as NAMESPACE/NAME and then by host with a final dot, why the
	// route does not have it.
	Refused map[string]map[string]Refusal
	// Homeless are the zones to be made; their hosts are neither given nor refused.
	Homeless []Homeless
}

// holding is a name, and the namespace that has it or asks for it.
type holding struct {
	host, namespace string // without a final dot
	domain          string // of its zone; empty: there is none
	since           time.Time
	held            bool
	claim           *Claim // of held ones
	asks            []Ask  // of the namespace, for this name: the one to have it first
}

// decision is a Decide under way.
type decision struct {
	Question
	book    *Book
	rules   map[*v1alpha1.DNSZone]*rules
	servers map[string]bool
	verdict Verdict
	index   *index
	counts  map[string]int // names by namespace
}

// Decide gives each name to one route, or says to each why it does not have it, and
// brings the Book up to date.
func Decide(q Question, book *Book) Verdict {
	d := &decision{
		Question: q, book: book, rules: map[*v1alpha1.DNSZone]*rules{}, servers: nameServers(q.Zones), index: newIndex(), counts: map[string]int{},
		verdict: Verdict{Routes: map[string]*v1alpha1.GlobalRoute{}, Zones: map[string]*v1alpha1.DNSZone{}, Refused: map[string]map[string]Refusal{}},
	}
	asks := slices.Clone(q.Asks)
	slices.SortStableFunc(asks, func(a, b Ask) int { return compareAge(a.Route, b.Route) })
	d.expire()
	eligible, homeless := d.eligible(asks)
	holdings := d.holdings(eligible)
	for _, h := range holdings {
		d.settle(h)
	}
	d.house(homeless)
	return d.verdict
}

// zone is the one that a host is in. One that was made for nobody in particular is none:
// it is made again.
func (d *decision) zone(host string) *rules {
	z := d.Zones.Of(host)
	if z == nil || z.Labels[v1alpha1.LabelDerivedFrom] != "" && z.Spec.Namespace == "" && z.Spec.AllowedRoutes == nil {
		return nil
	}
	if d.rules[z] == nil {
		d.rules[z] = compile(z)
	}
	return d.rules[z]
}

// allow is rules.allow of a host's zone.
func (d *decision) allow(r *rules, namespace, host string) *Refusal {
	return r.allow(namespace, d.Labels(namespace), host, d.servers)
}

// expire ends claims whose time is over, and those of namespaces that may not have the
// name any more: whoever may change a zone may end a grace time.
func (d *decision) expire() {
	for host, c := range d.book.claims {
		r := d.zone(host)
		if !c.Until.IsZero() && !c.Until.After(d.Now) || r != nil && d.allow(r, c.Namespace, host) != nil {
			d.book.forget(host)
		}
	}
}

func (d *decision) refuse(a Ask, why Refusal) {
	key := a.Route.Namespace + "/" + a.Route.Name
	if d.verdict.Refused[key] == nil {
		d.verdict.Refused[key] = map[string]Refusal{}
	}
	d.verdict.Refused[key][a.Host] = why
}

// eligible are the asks that their zones allow, and those that have no zone.
func (d *decision) eligible(asks []Ask) (eligible, homeless []Ask) {
	for _, a := range asks {
		host := strings.TrimSuffix(a.Host, ".")
		if r := d.zone(host); r == nil {
			homeless = append(homeless, a)
		} else if why := d.allow(r, a.Route.Namespace, host); why != nil {
			d.refuse(a, *why)
		} else {
			eligible = append(eligible, a)
		}
	}
	return eligible, homeless
}

// holdings are all names that somebody has or asks for, in the order in which they are
// given: first who has been given one already, and of others the older routes.
func (d *decision) holdings(asks []Ask) []*holding {
	type key struct{ host, namespace string }
	by := map[key]*holding{}
	var all []*holding
	at := func(host, namespace string) *holding {
		k := key{host, namespace}
		if by[k] == nil {
			by[k] = &holding{host: host, namespace: namespace, since: d.Now}
			if r := d.zone(host); r != nil {
				by[k].domain = r.domain
			}
			all = append(all, by[k])
		}
		return by[k]
	}
	for host, c := range d.book.claims {
		h := at(host, c.Namespace)
		h.claim, h.held, h.since = c, true, c.Since
	}
	for _, a := range asks {
		h := at(strings.TrimSuffix(a.Host, "."), a.Route.Namespace)
		if h.held && h.claim.Route == a.Route.Name {
			h.asks = slices.Insert(h.asks, 0, a)
		} else {
			h.asks = append(h.asks, a)
		}
	}
	slices.SortFunc(all, func(a, b *holding) int {
		switch {
		case a.held != b.held && a.held:
			return -1
		case a.held != b.held:
			return 1
		case a.held:
			return cmp.Or(a.since.Compare(b.since), strings.Compare(a.host, b.host), strings.Compare(a.namespace, b.namespace))
		}
		return cmp.Or(compareAge(a.asks[0].Route, b.asks[0].Route), strings.Compare(a.host, b.host))
	})
	return all
}

// settle gives a name to the first route of its namespace that asks for it, unless it
// overlaps with one that has been given to another namespace.
func (d *decision) settle(h *holding) {
	if other := d.index.inTheWay(h); other != nil {
		if h.held {
			d.book.forget(h.host)
		}
		for _, a := range h.asks {
			d.refuse(a, d.taken(h.host, other))
		}
		return
	}
	if most := d.Terms.Hosts; !h.held && most > 0 && d.counts[h.namespace] >= most {
		for _, a := range h.asks {
			d.refuse(a, Refusal{v1alpha1.ReasonTooManyHosts, fmt.Sprintf("%s would be one name too many: namespace %s has %d, the most that one may have, "+
				"those among them that it gave up less than %s ago. Try: fewer hosts, or ask the hub's administrator for hanse server --dns-hosts-per-namespace",
				h.host, h.namespace, most, d.Terms.Grace)})
		}
		return
	}
	d.counts[h.namespace]++
	d.index.add(h)
	if len(h.asks) == 0 {
		d.book.release(h.host, d.Now.Add(d.Terms.Grace))
		return
	}
	first := h.asks[0]
	d.book.give(h.host, h.namespace, first.Route.Name, d.Now)
	d.verdict.Routes[first.Host], d.verdict.Zones[first.Host] = first.Route, d.zone(h.host).zone
	for _, a := range h.asks[1:] {
		d.refuse(a, d.taken(h.host, h))
	}
}

// taken says whose a name is.
func (d *decision) taken(host string, by *holding) Refusal {
	what := host
	if by.host != host {
		what = fmt.Sprintf("%s overlaps with %s, which", host, by.host)
	}
	if len(by.asks) > 0 {
		return Refusal{v1alpha1.ReasonHostTaken, fmt.Sprintf("%s belongs to GlobalRoute %s/%s, which had it first. Try: another name",
			what, by.namespace, by.asks[0].Route.Name)}
	}
	free := "soon"
	if c := d.book.claims[by.host]; c != nil {
		free = c.Until.UTC().Format(time.RFC3339)
		if c.Until.IsZero() {
			free = d.Now.Add(d.Terms.Grace).UTC().Format(time.RFC3339)
		}
	}
	return Refusal{v1alpha1.ReasonHostTaken, fmt.Sprintf("%s was namespace %s's until not long ago, and is kept for it until %s. "+
		"Try: again then, or ask whoever may update the DNSZone to take that namespace out of its allowedRoutes", what, by.namespace, free)}
}

// house says which zones are to be made for hosts that are in none.
func (d *decision) house(asks []Ask) {
	made := map[string]int{} // zones by namespace
	for _, z := range d.Zones {
		if z.Labels[v1alpha1.LabelDerivedFrom] != "" {
			made[z.Spec.Namespace]++
		}
	}
	whose := map[string]string{} // by domain
	for _, a := range asks {
		host, namespace := strings.TrimSuffix(a.Host, "."), a.Route.Namespace
		domain := AutoDomain(host, d.Terms.Suffixes)
		if domain == "" {
			d.refuse(a, Refusal{v1alpha1.ReasonNoMatchingZone, host + " is in no DNSZone, and none is made for it by itself. " +
				"Whoever may create DNSZones can make one for namespace " + namespace + ". Try: ask them, or for hanse server --dns-zones-under"})
			continue
		}
		if c := d.keeps(domain, namespace); c != nil {
			d.refuse(a, Refusal{v1alpha1.ReasonHostTaken, fmt.Sprintf("%s had names of namespace %s until not long ago, and is kept for it until %s. Try: again then",
				domain, c.Namespace, c.Until.UTC().Format(time.RFC3339))})
			continue
		}
		if whose[domain] == "" {
			if most := d.Terms.Zones; most > 0 && made[namespace] >= most {
				d.refuse(a, Refusal{v1alpha1.ReasonNoMatchingZone, fmt.Sprintf("%s is in no DNSZone, and namespace %s has %d that were made for it, the most that there may be. "+
					"Try: ask whoever may create DNSZones for one", host, namespace, most)})
				continue
			}
			made[namespace]++
			whose[domain] = namespace
			d.verdict.Homeless = append(d.verdict.Homeless, Homeless{domain, namespace})
		}
	}
}

// keeps is a claim of another namespace in a domain that has no zone.
func (d *decision) keeps(domain, namespace string) *Claim {
	for host, c := range d.book.claims {
		if c.Namespace != namespace && route.Within(host+".", domain) {
			return c
		}
	}
	return nil
}

func compareAge(a, b *v1alpha1.GlobalRoute) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}
