package dns

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/dns/zone"
)

// Paths that Handler answers.
const (
	PathQuery  = "/hanse/dns/query"  // ?name=HOST&from=PLACE-OR-ADDRESS
	PathExport = "/hanse/dns/export" // ?zone=DOMAIN
	PathAbout  = "/hanse/dns/about"
)

// view is what there is to explain: the publication that is being answered from.
type view struct {
	snapshot *zone.Snapshot
	db       *geo.DB
	zones    route.Zones
	hosts    map[string]steer.Host
	zoneOf   map[string]string
	resolved map[string]*route.Resolved
}

// Explanation is the answer to PathQuery.
type Explanation struct {
	// Name that was asked for, and Host, the name or wildcard that answers.
	Name string `json:"name"`
	Host string `json:"host"`
	// Route is the GlobalRoute as NAMESPACE/NAME, Zone the DNSZone.
	Route  string `json:"route"`
	Zone   string `json:"zone"`
	Policy string `json:"policy,omitempty"`
	TTL    uint32 `json:"ttl"`
	From   From   `json:"from"`
	// Why is the reason in a sentence.
	Why string `json:"why"`
	// Answers is one, or with weights several of which one is drawn.
	Answers []Answer `json:"answers"`
	// Clusters are all that the route could lead to.
	Clusters []ClusterView `json:"clusters"`
}

// From is where a client was taken to be.
type From struct {
	Asked       string `json:"asked"`
	Continent   string `json:"continent,omitempty"`
	Country     string `json:"country,omitempty"`
	Subdivision string `json:"subdivision,omitempty"`
	// Network in which everybody gets this answer, if an address was asked about.
	Network string `json:"network,omitempty"`
}

// Answer is what is answered together.
type Answer struct {
	// Weight against the other answers.
	Weight    uint32   `json:"weight"`
	Clusters  []string `json:"clusters"`
	Addresses []string `json:"addresses"`
}

// ClusterView is one cluster of the route.
type ClusterView struct {
	Name    string `json:"name"`
	Healthy bool   `json:"healthy"`
	Inside  string `json:"inside"`
	Outside string `json:"outside"`
}

// About is the answer to PathAbout.
type About struct {
	Database  string   `json:"database"`
	Listeners []string `json:"listeners"`
	Error     string   `json:"error,omitempty"`
	// Panics is how often what a member says made the hub fail, by member; "" is
	// where it cannot be told which.
	Panics map[string]int `json:"panics,omitempty"`
}

// Filter answers the paths above and passes all other requests on. It belongs
// inside authentication and authorization. While controller returns nil, it
// answers 503.
func Filter(controller func() *Controller) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/hanse/dns/") {
				next.ServeHTTP(w, r)
				return
			}
			c := controller()
			if c == nil {
				fail(w, http.StatusServiceUnavailable, "this hub does not serve DNS, or not yet. Try: again in a second, or ask the leading hub")
				return
			}
			c.serve(w, r)
		})
	}
}

func (c *Controller) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		fail(w, http.StatusMethodNotAllowed, r.URL.Path+" can only be read")
		return
	}
	q := r.URL.Query()
	switch r.URL.Path {
	case PathQuery:
		e, status, err := c.explain(q.Get("name"), q.Get("from"))
		if err != nil {
			fail(w, status, err.Error())
			return
		}
		reply(w, e)
	case PathExport:
		c.export(w, q.Get("zone"))
	case PathAbout:
		reply(w, c.about())
	default:
		fail(w, http.StatusNotFound, "there is no "+r.URL.Path)
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// fail answers with a message alone: clients show it as it is.
func fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, message)
}

func (c *Controller) about() About {
	bound, err, geoErr := c.listener.state()
	a := About{Panics: c.crashes.counts(), Listeners: bound, Database: "none is loaded: there is no GlobalRoute or DNSZone yet"}
	if db := c.loop.db.Load(); db != nil {
		a.Database = db.About()
	}
	if err == nil {
		err = geoErr
	}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

// export writes a zone in master file format (RFC 1035, section 5).
func (c *Controller) export(w http.ResponseWriter, domain string) {
	v := c.loop.view.Load()
	if v == nil {
		fail(w, http.StatusNotFound, "there are no zones. Try: `kubectl get dnszones`")
		return
	}
	records := v.snapshot.Records(dotted(domain))
	if len(records) == 0 {
		fail(w, http.StatusNotFound, fmt.Sprintf("the hub serves no zone %s. Try: `kubectl get dnszones`", domain))
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, r := range records {
		_, _ = fmt.Fprintln(w, r.String())
	}
}

// explain says what somebody is answered, and why.
func (c *Controller) explain(name, from string) (*Explanation, int, error) {
	v := c.loop.view.Load()
	name = route.Canonical(name)
	if name == "" {
		return nil, http.StatusBadRequest, fmt.Errorf("no name was asked for. Try: ?name=www.example.com")
	}
	var h *steer.Host
	if v != nil {
		h = v.find(name + ".")
	}
	if h == nil {
		return nil, http.StatusNotFound, fmt.Errorf("no GlobalRoute has the host %s. Try: `kubectl get globalroutes -A`", name)
	}
	p, where, err := locate(v.db, from)
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	e := &Explanation{
		Name: name, Host: strings.TrimSuffix(h.Name, "."), Route: h.Owner, Zone: v.zoneOf[h.Name], TTL: h.TTL,
		From: where, Why: steer.Why(h, p), Answers: []Answer{},
	}
	for _, choice := range steer.Choose(h, p) {
		a := Answer{Weight: choice.Weight, Addresses: []string{}}
		for _, i := range choice.Clusters {
			cluster := &h.Clusters[i]
			a.Clusters = append(a.Clusters, cluster.Name)
			if cluster.Hostname != "" && len(choice.Clusters) == 1 {
				a.Addresses = append(a.Addresses, strings.TrimSuffix(cluster.Hostname, "."))
				continue
			}
			for _, address := range cluster.Addresses {
				a.Addresses = append(a.Addresses, address.String())
			}
		}
		e.Answers = append(e.Answers, a)
	}
	e.Clusters = []ClusterView{}
	if res := v.resolved[h.Owner]; res != nil {
		e.Policy = res.Policy
		for _, s := range res.Clusters {
			up := slices.ContainsFunc(h.Clusters, func(c steer.Cluster) bool { return c.Name == s.Name && c.Up })
			e.Clusters = append(e.Clusters, ClusterView{Name: s.Name, Healthy: up, Inside: say(s.Inside), Outside: say(s.Outside)})
		}
	}
	return e, http.StatusOK, nil
}

// find is the host that answers for a name: itself, or the wildcard of the closest
// name above it that exists, in the same zone (RFC 4592, section 3.3.1).
func (v *view) find(name string) *steer.Host {
	if h, ok := v.hosts[name]; ok {
		return &h
	}
	z := v.zones.Of(name)
	if z == nil || v.exists(name, z) {
		return nil
	}
	domain := dotted(z.Spec.Domain)
	for name != domain {
		_, name, _ = strings.Cut(name, ".")
		if h, ok := v.hosts["*."+name]; ok && v.zoneOf[h.Name] == z.Name {
			return &h
		}
		if v.exists(name, z) {
			return nil
		}
	}
	return nil
}

// exists says whether a name, or one below it, is a host or has records in a zone.
func (v *view) exists(name string, z *v1alpha1.DNSZone) bool {
	at := func(other string) bool { return other == name || strings.HasSuffix(other, "."+name) }
	for host := range v.hosts {
		if at(host) {
			return true
		}
	}
	return slices.ContainsFunc(z.Spec.Records, func(r v1alpha1.ZoneRecord) bool { return at(recordName(r, dotted(z.Spec.Domain))) })
}

// locate takes an address, a network or the name of a place for where a client is.
func locate(db *geo.DB, from string) (geo.Place, From, error) {
	where := From{Asked: from}
	var p geo.Place
	address, err := netip.ParseAddr(from)
	if prefix, perr := netip.ParsePrefix(from); perr == nil {
		address, err = prefix.Addr(), nil
	}
	switch {
	case from == "":
	case err == nil:
		location, bits := db.Lookup(address.Unmap())
		p = db.Places()[location]
		if network, err := address.Unmap().Prefix(bits); err == nil {
			where.Network = network.String()
		}
	default:
		spot, err := geo.Find(from)
		if err != nil {
			return p, where, err
		}
		p = spot.Place
	}
	where.Continent, where.Country, where.Subdivision = p.Continent, p.Country, p.Subdivision
	return p, where, nil
}
