package grant

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// start is when a test begins.
func start() time.Time { return time.Unix(1_800_000_000, 0).UTC() }

// dnsZone is zone bank of bank.example, with namespace bank as its own.
func dnsZone(change func(*v1alpha1.DNSZoneSpec)) *v1alpha1.DNSZone {
	z := &v1alpha1.DNSZone{}
	z.Name, z.Spec.Domain, z.Spec.Namespace = "bank", "Bank.example", "bank"
	if change != nil {
		change(&z.Spec)
	}
	return z
}

func allowing(from string, hosts ...string) func(*v1alpha1.DNSZoneSpec) {
	return func(s *v1alpha1.DNSZoneSpec) {
		s.AllowedRoutes = &v1alpha1.AllowedRoutes{Namespaces: v1alpha1.RouteNamespaces{From: from}, Hosts: hosts}
		if from == v1alpha1.FromSelector {
			s.AllowedRoutes.Namespaces.Selector = &v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{"team": "pay"}}
		}
	}
}

// globalRoute is NAMESPACE/NAME, made age ago.
func globalRoute(key string, age time.Duration) *v1alpha1.GlobalRoute {
	r := &v1alpha1.GlobalRoute{}
	r.Namespace, r.Name, _ = strings.Cut(key, "/")
	r.CreationTimestamp = metav1.NewTime(start().Add(-age))
	return r
}

func ask(r *v1alpha1.GlobalRoute, hosts ...string) (all []Ask) {
	for _, h := range hosts {
		all = append(all, Ask{h + ".", r})
	}
	return all
}

// hub is what a test decides with.
type hub struct {
	zones []*v1alpha1.DNSZone
	terms Terms
	now   time.Time
	book  *Book
}

func newHub(zones ...*v1alpha1.DNSZone) *hub {
	return &hub{zones: zones, terms: Terms{Grace: time.Hour}, now: start(), book: NewBook()}
}

func (h *hub) decide(asks ...[]Ask) Verdict {
	return Decide(Question{
		Asks: slices.Concat(asks...), Zones: route.NewZones(h.zones), Terms: h.terms, Now: h.now,
		Labels: func(namespace string) labels.Set { return labels.Set{"team": namespace} },
	}, h.book)
}

// restart has the book read again from its pages.
func (h *hub) restart(t interface{ Fatal(...any) }) {
	pages := map[string][]byte{}
	for _, c := range h.book.claims {
		pages[c.Namespace] = h.book.Page(c.Namespace)
	}
	h.book = NewBook()
	for namespace, page := range pages {
		if err := h.book.Load(namespace, page); err != nil {
			t.Fatal(err)
		}
	}
}

// TestZoneSaysWhoMay: by default the zone's own namespace, and nothing of the zone's own.
func TestZoneSaysWhoMay(t *testing.T) {
	allowed, reserved := "", v1alpha1.ReasonNameReserved
	forbidden := v1alpha1.ReasonNotAllowedByZone
	records := func(s *v1alpha1.DNSZoneSpec) {
		s.Records = []v1alpha1.ZoneRecord{
			{Name: "Fixed", Type: "A"}, {Name: "alias", Type: "CNAME"}, {Name: "mail", Type: "MX"}, {Name: "@", Type: "MX"},
			{Name: "lab", Type: "NS", Values: []string{"ns.lab.Bank.example."}}, {Name: "*.star", Type: "AAAA"},
		}
		s.Federation = "myfed"
	}
	for name, c := range map[string]struct {
		zone            func(*v1alpha1.DNSZoneSpec)
		namespace, host string
		want            string
	}{
		"its own namespace":                      {nil, "bank", "www.bank.example", allowed},
		"its own namespace, a wildcard":          {nil, "bank", "*.a.bank.example", allowed},
		"its own namespace, a challenge":         {nil, "bank", "_acme-challenge.bank.example", allowed},
		"another namespace":                      {nil, "pay", "www.bank.example", forbidden},
		"nobody's zone":                          {func(s *v1alpha1.DNSZoneSpec) { s.Namespace = "" }, "bank", "www.bank.example", forbidden},
		"nobody's zone, no namespace either":     {func(s *v1alpha1.DNSZoneSpec) { s.Namespace = "" }, "", "www.bank.example", forbidden},
		"the zone's own name":                    {nil, "bank", "bank.example", forbidden},
		"the zone's own name, granted":           {allowing("", "BANK.example"), "bank", "bank.example", allowed},
		"… and no other":                         {allowing("", "bank.example"), "bank", "www.bank.example", forbidden},
		"a pattern":                              {allowing("", "*.pay.bank.example"), "bank", "a.b.pay.bank.example", allowed},
		"a pattern, the wildcard itself":         {allowing(v1alpha1.FromAll, "*.pay.bank.example"), "pay", "*.pay.bank.example", allowed},
		"a pattern, what it is below":            {allowing("", "*.pay.bank.example"), "bank", "pay.bank.example", forbidden},
		"a pattern, one that only ends alike":    {allowing("", "*.pay.bank.example"), "bank", "x.repay.bank.example", forbidden},
		"all namespaces":                         {allowing(v1alpha1.FromAll), "pay", "www.bank.example", allowed},
		"all namespaces, a wildcard":             {allowing(v1alpha1.FromAll), "pay", "*.bank.example", forbidden},
		"all namespaces, a wildcard below":       {allowing(v1alpha1.FromAll), "pay", "*.pay.bank.example", forbidden},
		"all namespaces, a wildcard, listed":     {allowing(v1alpha1.FromAll, "*.bank.example"), "pay", "*.bank.example", allowed},
		"all namespaces, a challenge":            {allowing(v1alpha1.FromAll, "*.bank.example"), "pay", "_acme-challenge.bank.example", forbidden},
		"all namespaces, another challenge":      {allowing(v1alpha1.FromAll), "pay", "x._y.pay.bank.example", forbidden},
		"all namespaces, a challenge of *":       {allowing(v1alpha1.FromAll, "*.bank.example"), "pay", "*._acme-challenge.bank.example", forbidden},
		"all namespaces, a challenge, listed":    {allowing(v1alpha1.FromAll, "_dmarc.bank.example"), "pay", "_dmarc.bank.example", allowed},
		"selected":                               {allowing(v1alpha1.FromSelector), "pay", "www.bank.example", allowed},
		"not selected":                           {allowing(v1alpha1.FromSelector), "bank", "www.bank.example", forbidden},
		"a selector that cannot be read":         {func(s *v1alpha1.DNSZoneSpec) { badSelector(s) }, "pay", "www.bank.example", forbidden},
		"a name server":                          {nil, "bank", "ns1.bank.example", reserved},
		"a name server, listed":                  {allowing("", "ns1.bank.example"), "bank", "ns1.bank.example", reserved},
		"a name server of another zone":          {nil, "bank", "ns.bank.example", reserved},
		"a record with addresses":                {records, "bank", "fixed.bank.example", reserved},
		"a record with an alias":                 {records, "bank", "alias.bank.example", reserved},
		"a record of another kind":               {records, "bank", "mail.bank.example", reserved},
		"a record's wildcard":                    {records, "bank", "*.star.bank.example", reserved},
		"what is delegated":                      {records, "bank", "lab.bank.example", reserved},
		"below what is delegated":                {records, "bank", "x.y.lab.bank.example", reserved},
		"a Service's name of Federation v1":      {records, "bank", "web.shop.myfed.svc.eu.bank.example", reserved},
		"all Services' names of Federation v1":   {records, "bank", "*.myfed.svc.bank.example", reserved},
		"the apex with records, granted":         {func(s *v1alpha1.DNSZoneSpec) { records(s); allowing("", "bank.example")(s) }, "bank", "bank.example", allowed},
		"a record of another kind, granted":      {func(s *v1alpha1.DNSZoneSpec) { records(s); allowing("", "mail.bank.example")(s) }, "bank", "mail.bank.example", allowed},
		"a record with addresses, granted":       {func(s *v1alpha1.DNSZoneSpec) { records(s); allowing("", "fixed.bank.example")(s) }, "bank", "fixed.bank.example", reserved},
		"a record of another kind, by a pattern": {func(s *v1alpha1.DNSZoneSpec) { records(s); allowing("", "*.bank.example")(s) }, "bank", "mail.bank.example", reserved},
	} {
		t.Run(name, func(t *testing.T) {
			other := &v1alpha1.DNSZone{}
			other.Name, other.Spec.Domain = "other", "other.example"
			other.Spec.Embedded = &v1alpha1.EmbeddedZone{NameServers: []string{"NS.Bank.example."}}
			h := newHub(dnsZone(c.zone), other)
			r := globalRoute(c.namespace+"/web", 0)
			v := h.decide(ask(r, c.host))
			got := v.Refused[c.namespace+"/web"][c.host+"."]
			if got.Reason != c.want || (got.Message == "") != (c.want == "") || (v.Routes[c.host+"."] == r) != (c.want == "") {
				t.Errorf("%+v, want %q", v, c.want)
			}
			if c.want == forbidden && !strings.Contains(got.Message, "Whoever may update that DNSZone") || c.want != "" && !strings.Contains(got.Message, "Try: ") {
				t.Errorf("it does not say who can grant it: %s", got.Message)
			}
			if c.want != "" && h.book.Len() != 0 {
				t.Error("what is refused is remembered")
			}
		})
	}
}

func badSelector(s *v1alpha1.DNSZoneSpec) {
	allowing(v1alpha1.FromSelector)(s)
	s.AllowedRoutes.Namespaces.Selector.MatchExpressions = []v1alpha1.LabelRequirement{{Key: "team", Operator: "Like"}}
}

// TestFirstCome: whoever was given a name keeps it, and what overlaps with it.
func TestFirstCome(t *testing.T) {
	first, second := "first", "second"
	for name, c := range map[string]struct {
		has, wants string
		refused    bool
	}{
		"the same name":                            {"www.bank.example", "www.bank.example", true},
		"below it":                                 {"www.bank.example", "_acme-challenge.www.bank.example", true},
		"above it":                                 {"www.bank.example", "bank.example", false},
		"beside it":                                {"www.bank.example", "wwww.bank.example", false},
		"under a wildcard":                         {"*.pay.bank.example", "x.pay.bank.example", true},
		"deep under a wildcard":                    {"*.pay.bank.example", "x.y.pay.bank.example", true},
		"a wildcard under a wildcard":              {"*.pay.bank.example", "*.x.pay.bank.example", true},
		"what a wildcard is below":                 {"*.pay.bank.example", "pay.bank.example", false},
		"a wildcard over a name":                   {"x.pay.bank.example", "*.pay.bank.example", true},
		"a wildcard over a deep name":              {"x.y.pay.bank.example", "*.pay.bank.example", true},
		"a wildcard over a wildcard":               {"*.x.pay.bank.example", "*.pay.bank.example", true},
		"a wildcard below a name":                  {"pay.bank.example", "*.pay.bank.example", true},
		"a wildcard below the zone's name":         {"bank.example", "*.bank.example", false},
		"a name below the zone's name":             {"bank.example", "www.bank.example", false},
		"a name under the wildcard of the zone":    {"*.bank.example", "www.bank.example", true},
		"the zone's name, above the wildcard":      {"*.bank.example", "bank.example", false},
		"a wildcard in a zone of its own below it": {"*.bank.example", "www.sub.bank.example", false},
	} {
		t.Run(name, func(t *testing.T) {
			open := allowing(v1alpha1.FromAll, "bank.example", "*.bank.example", "_acme-challenge.www.bank.example")
			sub := dnsZone(func(s *v1alpha1.DNSZoneSpec) { s.Domain = "sub.bank.example"; allowing(v1alpha1.FromAll)(s) })
			sub.Name = "sub"
			h := newHub(dnsZone(open), sub)
			h.decide(ask(globalRoute(first+"/web", 0), c.has))
			h.restart(t)
			// The other's route is older: it has been edited.
			v := h.decide(ask(globalRoute(first+"/web", 0), c.has), ask(globalRoute(second+"/web", time.Hour), c.wants))
			if why := v.Refused[first+"/web"]; len(why) != 0 {
				t.Errorf("%s is lost: %v", c.has, why)
			}
			why := v.Refused[second+"/web"][c.wants+"."]
			if (why.Reason == v1alpha1.ReasonHostTaken) != c.refused {
				t.Errorf("%+v", why)
			}
			if c.refused && !strings.Contains(why.Message, "belongs to GlobalRoute first/web") && !strings.Contains(why.Message, "which belongs to GlobalRoute first/web") {
				t.Errorf("it does not say whose it is: %s", why.Message)
			}
		})
	}
}

// TestSameNamespace: of one namespace's routes the first keeps the name, and another has
// it at once when that one goes.
func TestSameNamespace(t *testing.T) {
	h := newHub(dnsZone(nil))
	one, two := globalRoute("bank/one", 0), globalRoute("bank/two", time.Hour)
	h.decide(ask(one, "www.bank.example"))
	v := h.decide(ask(one, "www.bank.example"), ask(two, "www.bank.example", "*.www.bank.example"))
	if v.Routes["www.bank.example."] != one || v.Refused["bank/two"]["www.bank.example."].Reason != v1alpha1.ReasonHostTaken || v.Routes["*.www.bank.example."] != two {
		t.Errorf("%+v", v)
	}
	if v = h.decide(ask(two, "www.bank.example")); v.Routes["www.bank.example."] != two {
		t.Errorf("%+v", v)
	}
}

// TestGrace: a name that a route gave up is its namespace's for a while.
func TestGrace(t *testing.T) {
	h := newHub(dnsZone(allowing(v1alpha1.FromAll)))
	mine, theirs := globalRoute("bank/web", 0), globalRoute("evil/web", time.Hour)
	is := func(what string, want *v1alpha1.GlobalRoute, asks ...[]Ask) Refusal {
		t.Helper()
		h.restart(t)
		v := h.decide(asks...)
		if v.Routes["www.bank.example."] != want {
			t.Errorf("%s: %+v", what, v)
		}
		return v.Refused["evil/web"]["www.bank.example."]
	}
	is("first", mine, ask(mine, "www.bank.example"))
	why := is("given up", nil, ask(theirs, "www.bank.example"))
	if !strings.Contains(why.Message, "namespace bank's until not long ago") || !strings.Contains(why.Message, h.now.Add(time.Hour).Format(time.RFC3339)) {
		t.Errorf("it does not say until when: %s", why.Message)
	}
	h.now = h.now.Add(59 * time.Minute)
	is("an hour less a minute later", nil, ask(theirs, "www.bank.example"))
	is("taken back", mine, ask(theirs, "www.bank.example"), ask(mine, "www.bank.example"))
	if !h.book.Next().IsZero() {
		t.Error("it is not free again, and yet to end")
	}
	is("given up again", nil, ask(theirs, "www.bank.example"))
	if h.book.Next() != h.now.Add(time.Hour) {
		t.Errorf("it ends at %s", h.book.Next())
	}
	h.now = h.book.Next()
	is("free", theirs, ask(theirs, "www.bank.example"))
	// Whoever may change the zone decides at once.
	h.zones = []*v1alpha1.DNSZone{dnsZone(nil)}
	is("not allowed any more", mine, ask(theirs, "www.bank.example"), ask(mine, "www.bank.example"))
}

// TestForgotten: what a namespace has the hub remember is bounded, and goes.
func TestForgotten(t *testing.T) {
	h := newHub(dnsZone(allowing(v1alpha1.FromAll)))
	h.terms.Hosts = 10
	r := globalRoute("evil/web", 0)
	for round := range 5 { // other names each time
		var names []string
		for i := range 40 {
			names = append(names, fmt.Sprintf("x%d-%d.bank.example", round, i))
		}
		v := h.decide(ask(r, names...))
		if len(h.book.claims) != 10 || round == 0 && len(v.Routes) != 10 || round > 0 && len(v.Routes) != 0 {
			t.Fatalf("round %d: %d names are remembered, %d given", round, len(h.book.claims), len(v.Routes))
		}
		for _, why := range v.Refused["evil/web"] {
			if why.Reason != v1alpha1.ReasonTooManyHosts {
				t.Fatal(why)
			}
		}
	}
	if v := h.decide(ask(globalRoute("bank/web", 0), "www.bank.example")); len(v.Routes) != 1 {
		t.Errorf("another namespace has to suffer: %+v", v)
	}
	h.now = h.now.Add(time.Hour)
	h.decide()
	h.now = h.now.Add(time.Hour)
	h.decide()
	if h.book.Len() != 0 {
		t.Errorf("%d names are remembered for ever", h.book.Len())
	}
	if changed := h.book.Changed(); !slices.Equal(changed, []string{"bank", "evil"}) || h.book.Page("evil") != nil {
		t.Errorf("pages of %v are kept", changed)
	}
}

// TestZonesToBeMade: below what the administrator lists, and not for what another has just
// given up.
func TestZonesToBeMade(t *testing.T) {
	h := newHub()
	h.terms.Suffixes, h.terms.Zones = []string{"example", "apps.corp.com"}, 2
	old, young := globalRoute("shop/web", time.Hour), globalRoute("evil/web", 0)
	v := h.decide(ask(young, "api.shop.example", "www.corp.com", "example", "*.example"), ask(old, "www.shop.example", "*.a.b.apps.corp.com", "one.more.example"))
	want := []Homeless{{"shop.example", "shop"}, {"b.apps.corp.com", "shop"}}
	if !slices.Equal(v.Homeless, want) || len(v.Routes) != 0 {
		t.Errorf("%+v", v)
	}
	for host, namespace := range map[string]string{"www.corp.com.": "evil", "example.": "evil", "*.example.": "evil", "one.more.example.": "shop"} {
		if why := v.Refused[namespace+"/web"][host]; why.Reason != v1alpha1.ReasonNoMatchingZone || !strings.Contains(why.Message, "may create DNSZones") {
			t.Errorf("%s: %+v", host, why)
		}
	}
	if why := v.Refused["evil/web"]["api.shop.example."]; why.Reason != "" {
		t.Errorf("before there is a zone it is too early to say who has it: %+v", why)
	}
	made := &v1alpha1.DNSZone{}
	made.Name, made.Spec.Domain, made.Spec.Namespace = "shop.example", "shop.example", "shop"
	made.Labels = map[string]string{v1alpha1.LabelDerivedFrom: "GlobalRoute"}
	h.zones = append(h.zones, made)
	v = h.decide(ask(young, "api.shop.example"), ask(old, "www.shop.example"))
	if v.Routes["www.shop.example."] != old || v.Refused["evil/web"]["api.shop.example."].Reason != v1alpha1.ReasonNotAllowedByZone {
		t.Errorf("%+v", v)
	}
	// The route goes, and the zone with it: the domain is kept.
	h.zones = nil
	h.decide()
	v = h.decide(ask(young, "api.shop.example"))
	if v.Refused["evil/web"]["api.shop.example."].Reason != v1alpha1.ReasonHostTaken || len(v.Homeless) != 0 {
		t.Errorf("%+v", v)
	}
	if v = h.decide(ask(old, "other.shop.example")); len(v.Homeless) != 1 {
		t.Errorf("it is kept from whom it is kept for: %+v", v)
	}
	h.now = h.now.Add(time.Hour)
	if v = h.decide(ask(young, "api.shop.example")); !slices.Equal(v.Homeless, []Homeless{{"shop.example", "evil"}}) {
		t.Errorf("%+v", v)
	}
	// One that an earlier version made for nobody in particular is made again.
	made.Spec.Namespace = ""
	h.zones = []*v1alpha1.DNSZone{made}
	if v = h.decide(ask(young, "api.shop.example")); !slices.Equal(v.Homeless, []Homeless{{"shop.example", "evil"}}) {
		t.Errorf("%+v", v)
	}
}

func TestAutoDomain(t *testing.T) {
	for host, want := range map[string]string{
		"www.shop.example.": "shop.example", "shop.example": "shop.example", "example": "", "*.example": "", "a.b.c.eu.example.": "c.eu.example",
		"eu.example": "eu.example", "www.shop.test": "", "badexample": "",
	} {
		if got := AutoDomain(host, []string{"example", "eu.Example."}); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	if got := AutoDomain("www.a.co.uk", []string{"example", "*"}); got != "a.co.uk" {
		t.Error(got)
	}
}

func TestBookOfRubbish(t *testing.T) {
	b := NewBook()
	for _, page := range []string{"", "{", "[]", `{"a.example": 7}`} {
		if err := b.Load("ns", []byte(page)); err == nil {
			t.Errorf("%q is a page", page)
		}
	}
	if err := b.Load("ns", []byte(`{"a.example": null, "-": {"route": "x"}, "": {}}`)); err != nil || b.Len() != 0 {
		t.Errorf("%v, %d names", err, b.Len())
	}
}

// TestNobodyTakesAnything goes through random histories of routes, with restarts.
func TestNobodyTakesAnything(t *testing.T) {
	names := []string{"bank.example", "a.bank.example", "b.bank.example", "x.a.bank.example", "y.x.a.bank.example", "*.bank.example", "*.a.bank.example", "*.x.a.bank.example"}
	rapid.Check(t, func(t *rapid.T) {
		h := newHub(dnsZone(allowing(v1alpha1.FromAll, "bank.example", "*.bank.example")))
		h.terms.Hosts = 4
		wanted := map[string]map[string]bool{} // by route
		routes := map[string]*v1alpha1.GlobalRoute{}
		had := map[string]string{}     // namespaces, by name
		left := map[string]time.Time{} // when names were given up
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			key := rapid.SampledFrom([]string{"a/one", "a/two", "b/one", "c/one"}).Draw(t, "route")
			switch rapid.SampledFrom([]string{"edit", "delete", "wait", "restart"}).Draw(t, "what") {
			case "edit":
				if routes[key] == nil {
					routes[key] = globalRoute(key, time.Duration(rapid.IntRange(0, 99).Draw(t, "age"))*time.Minute)
					wanted[key] = map[string]bool{}
				}
				host := rapid.SampledFrom(names).Draw(t, "host")
				wanted[key][host] = !wanted[key][host]
			case "delete":
				delete(routes, key)
				delete(wanted, key)
			case "wait":
				h.now = h.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "minutes")) * time.Minute)
			case "restart":
				h.restart(t)
			}
			var asks []Ask
			asked := map[string]bool{} // NAMESPACE/HOST
			for _, k := range slices.Sorted(maps.Keys(routes)) {
				for _, host := range slices.Sorted(maps.Keys(wanted[k])) {
					if wanted[k][host] {
						asks = append(asks, ask(routes[k], host)...)
						asked[routes[k].Namespace+"/"+host] = true
					}
				}
			}
			v := h.decide(asks)
			count := map[string]int{}
			for _, c := range h.book.claims {
				if count[c.Namespace]++; count[c.Namespace] > h.terms.Hosts {
					t.Fatalf("namespace %s has %d names", c.Namespace, count[c.Namespace])
				}
			}
			for _, host := range names {
				now := ""
				if r := v.Routes[host+"."]; r != nil {
					now = r.Namespace
				}
				before := had[host]
				switch {
				case before != "" && asked[before+"/"+host] && now != before:
					t.Fatalf("%s was %s's, which still asks for it, and is %q's", host, before, now)
				case now != "" && now != before && before != "" && !left[host].IsZero() && h.now.Before(left[host].Add(h.terms.Grace)):
					t.Fatalf("%s was given up by %s at %s, and is %s's at %s", host, before, left[host], now, h.now)
				}
				if now != "" {
					had[host], left[host] = now, time.Time{}
				} else if before != "" && left[host].IsZero() {
					left[host] = h.now
				}
				if !left[host].IsZero() && !h.now.Before(left[host].Add(h.terms.Grace)) {
					delete(had, host)
					delete(left, host)
				}
				for _, other := range names {
					if o := v.Routes[other+"."]; o != nil && now != "" && o.Namespace != now && overlap(host, other) {
						t.Fatalf("%s is %s's, and %s %s's", host, now, other, o.Namespace)
					}
				}
			}
			h.restart(t)
			if again := h.decide(asks); !maps.Equal(again.Routes, v.Routes) {
				t.Fatalf("after a restart %v, before %v", again.Routes, v.Routes)
			}
		}
	})
}

// overlap says whether a wildcard answers for what is another's, or is another's: by hand,
// over all names that there could be. (That a name's own has all below it is not looked at
// here: who came first decides.)
func overlap(a, b string) bool {
	covers := func(wild, name string) bool {
		base, ok := strings.CutPrefix(wild, "*.")
		return ok && strings.HasSuffix(strings.TrimPrefix(name, "*."), "."+base)
	}
	return a == b || covers(a, b) || covers(b, a)
}
