package route53test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// zone is a hosted zone.
type zone struct {
	hostedZone
	nameServers []string
	sets        map[setKey]RecordSet
	pending     []version // of sets, oldest first
	served      map[setKey]RecordSet
}

// version is what the sets of a zone were when they changed.
type version struct {
	due  time.Time
	sets map[setKey]RecordSet
}

type setKey struct{ name, typ, id string }

func keyOf(s RecordSet) setKey { return setKey{s.Name, s.Type, s.SetIdentifier} }

// AddZone creates a hosted zone as somebody else would, and gives its ID.
func (s *Server) AddZone(name string, private bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addZone(name, s.newID("other-"), "", private).ID
}

func (s *Server) addZone(name, reference, comment string, private bool) *zone {
	id := s.newID("Z")
	z := &zone{hostedZone: hostedZone{ID: id, Name: fqdn(name), CallerReference: reference, Comment: comment, Private: private},
		sets: map[setKey]RecordSet{}, served: map[setKey]RecordSet{}}
	for _, tld := range []string{"com", "net", "org", "co.uk"} {
		z.nameServers = append(z.nameServers, "ns-"+strings.ToLower(id)+".awsdns-01."+tld)
	}
	var ns []string
	for _, n := range z.nameServers {
		ns = append(ns, n+".")
	}
	z.put(RecordSet{Name: z.Name, Type: "NS", TTL: ptr(172800), Values: ns})
	z.put(RecordSet{Name: z.Name, Type: "SOA", TTL: ptr(900), Values: []string{ns[0] + " awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"}})
	z.served = maps.Clone(z.sets)
	s.zones[id], s.refs[reference] = z, id
	return z
}

func (z *zone) put(r RecordSet) { z.sets[keyOf(r)] = r }

func ptr(n int64) *int64 { return &n }

// fqdn is a name as the API keeps it: lower case, a final dot, * escaped.
func fqdn(name string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "*", `\052`))
	return strings.TrimSuffix(name, ".") + "."
}

// zone finds one by ID.
func (s *Server) zone(id string) (*zone, *apiError) {
	if z, ok := s.zones[id]; ok {
		return z, nil
	}
	return nil, fail(404, "NoSuchHostedZone", "No hosted zone found with ID: %s", id)
}

func (z *zone) info() hostedZone {
	h := z.hostedZone
	h.ID, h.Count = "/hostedzone/"+z.ID, len(z.sets)
	return h
}

func (s *Server) createHostedZone(r *request) (any, *apiError) {
	var in createZoneRequest
	if err := parse(r, &in); err != nil {
		return nil, err
	}
	switch _, taken := s.refs[in.CallerReference]; {
	case in.CallerReference == "" || len(in.CallerReference) > 128:
		return nil, fail(400, "InvalidInput", "CallerReference must have from 1 to 128 characters")
	case taken:
		return nil, fail(409, "HostedZoneAlreadyExists", "A hosted zone has already been created with the specified caller reference.")
	case !strings.Contains(strings.Trim(in.Name, "."), "."):
		return nil, fail(400, "InvalidDomainName", "%s is not a valid domain name", in.Name)
	}
	z := s.addZone(in.Name, in.CallerReference, in.Comment, in.Private)
	return &createZoneResponse{HostedZone: z.info(), NameServers: z.nameServers, ChangeInfo: s.newChange(z)}, nil
}

func (s *Server) getHostedZone(r *request) (any, *apiError) {
	z, err := s.zone(r.id)
	if err != nil {
		return nil, err
	}
	return &getZoneResponse{HostedZone: z.info(), NameServers: z.nameServers}, nil
}

// listHostedZonesByName lists from a name and ID on, in the order of names read
// from the right.
func (s *Server) listHostedZonesByName(r *request) (any, *apiError) {
	all := slices.SortedFunc(maps.Values(s.zones), func(a, b *zone) int {
		return cmp.Or(cmp.Compare(reversed(a.Name), reversed(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	name, id := r.URL.Query().Get("dnsname"), r.URL.Query().Get("hostedzoneid")
	out := &zoneList{MaxItems: cmp.Or(s.options.PageSize, 100)}
	for _, z := range all {
		if c := cmp.Compare(reversed(z.Name), reversed(fqdn(name))); name != "" && (c < 0 || c == 0 && z.ID < id) {
			continue
		}
		if len(out.Zones) == out.MaxItems {
			out.IsTruncated, out.NextName, out.NextID = true, z.Name, z.ID
			break
		}
		out.Zones = append(out.Zones, z.info())
	}
	return out, nil
}

// reversed are the labels of a name from the right, for sorting.
func reversed(name string) string {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	slices.Reverse(labels)
	return strings.Join(labels, ".")
}

// newChange notes that z has changed, and that all servers have it after a while.
func (s *Server) newChange(z *zone) changeInfo {
	now := s.options.Now()
	id := s.newID("C")
	s.changes[id] = now.Add(s.options.Delay)
	z.pending = append(z.pending, version{now.Add(s.options.Delay), maps.Clone(z.sets)})
	return changeInfo{ID: "/change/" + id, Status: "PENDING", SubmittedAt: now.UTC().Format(time.RFC3339)}
}

func (s *Server) getChange(r *request) (any, *apiError) {
	due, ok := s.changes[r.id]
	if !ok {
		return nil, fail(404, "NoSuchChange", "Could not find resource with ID: %s", r.id)
	}
	info := changeInfo{ID: "/change/" + r.id, Status: "PENDING", SubmittedAt: due.Add(-s.options.Delay).UTC().Format(time.RFC3339)}
	if !s.options.Now().Before(due) {
		info.Status = "INSYNC"
	}
	return &getChangeResponse{ChangeInfo: info}, nil
}
