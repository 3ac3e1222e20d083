package route53test

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
)

// Records are all sets of a zone, as they were last changed, in the API's order.
func (s *Server) Records(zoneID string) []RecordSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	if z, err := s.zone(zoneID); err == nil {
		return z.sorted()
	}
	return nil
}

// Put makes or replaces a set as somebody else would, without validation.
func (s *Server) Put(zoneID string, r RecordSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if z, err := s.zone(zoneID); err == nil {
		r.Name = fqdn(r.Name)
		z.put(r)
		s.newChange(z)
	}
}

// Remove deletes a set as somebody else would.
func (s *Server) Remove(zoneID, name, typ, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if z, err := s.zone(zoneID); err == nil {
		delete(z.sets, setKey{fqdn(name), typ, id})
		s.newChange(z)
	}
}

func (z *zone) sorted() []RecordSet {
	keys := make([]setKey, 0, len(z.sets)) // with names reversed, once
	original := make(map[setKey]setKey, len(z.sets))
	for k := range z.sets {
		r := k.reversed()
		keys, original[r] = append(keys, r), k
	}
	slices.SortFunc(keys, compareKeys)
	all := make([]RecordSet, len(keys))
	for i, k := range keys {
		all[i] = z.sets[original[k]]
	}
	return all
}

func (k setKey) reversed() setKey {
	k.name = reversed(k.name)
	return k
}

// compareKeys orders keys whose names are reversed.
func compareKeys(a, b setKey) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.typ, b.typ), cmp.Compare(a.id, b.id))
}

func (s *Server) listResourceRecordSets(r *request) (any, *apiError) {
	z, err := s.zone(r.id)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	out := &recordList{MaxItems: cmp.Or(s.options.PageSize, 300)}
	if n, err := strconv.Atoi(q.Get("maxitems")); err == nil && n < out.MaxItems {
		out.MaxItems = n
	}
	start := setKey{q.Get("name"), q.Get("type"), q.Get("identifier")}
	if start.typ != "" && start.name == "" {
		return nil, fail(400, "InvalidInput", "The input is not valid: type without name")
	}
	start.name = reversed(fqdn(start.name))
	for _, set := range z.sorted() {
		if q.Get("name") != "" && compareKeys(keyOf(set).reversed(), start) < 0 {
			continue
		}
		if len(out.Sets) == out.MaxItems {
			out.IsTruncated, out.NextName, out.NextType, out.NextID = true, set.Name, set.Type, set.SetIdentifier
			break
		}
		out.Sets = append(out.Sets, set)
	}
	return out, nil
}

// changeResourceRecordSets makes all changes of a batch or none.
func (s *Server) changeResourceRecordSets(r *request) (any, *apiError) {
	z, failed := s.zone(r.id)
	if failed != nil {
		return nil, failed
	}
	var in changeRequest
	if err := parse(r, &in); err != nil {
		return nil, err
	}
	if err := s.checkInput(in.Changes); err != nil {
		return nil, err
	}
	before := maps.Clone(z.sets)
	var messages []string
	for i := range in.Changes {
		c := &in.Changes[i]
		c.Set.Name = fqdn(c.Set.Name)
		if m := z.change(*c); m != "" {
			messages = append(messages, m)
		}
	}
	if messages = append(messages, z.invalid(in.Changes)...); len(messages) > 0 {
		z.sets = before
		return nil, &apiError{status: 400, code: "InvalidChangeBatch", messages: messages}
	}
	return &changeResponse{ChangeInfo: s.newChange(z)}, nil
}

// change makes one, or says why not.
func (z *zone) change(c change) string {
	have, exists := z.sets[keyOf(c.Set)]
	switch c.Action {
	case "CREATE":
		if exists {
			return "Tried to create resource record set " + describe(c.Set) + " but it already exists"
		}
	case "DELETE":
		if !exists {
			return "Tried to delete resource record set " + describe(c.Set) + " but it was not found"
		}
		if !equal(have, c.Set) {
			return "Tried to delete resource record set " + describe(c.Set) + " but the values provided do not match the current values"
		}
		delete(z.sets, keyOf(c.Set))
		return ""
	}
	z.put(c.Set)
	return ""
}

// describe is how the API's messages name a set.
func describe(s RecordSet) string {
	text := "[name='" + s.Name + "', type='" + s.Type + "'"
	if s.SetIdentifier != "" {
		text += ", set identifier='" + s.SetIdentifier + "'"
	}
	return text + "]"
}

// equal compares as a DELETE does; the order of values does not matter.
func equal(a, b RecordSet) bool {
	same := func(x, y *int64) bool { return (x == nil) == (y == nil) && (x == nil || *x == *y) }
	geo := func(g *GeoLocation) GeoLocation {
		if g == nil {
			return GeoLocation{}
		}
		return *g
	}
	alias := func(t *AliasTarget) AliasTarget {
		if t == nil {
			return AliasTarget{}
		}
		return *t
	}
	return same(a.TTL, b.TTL) && same(a.Weight, b.Weight) && geo(a.GeoLocation) == geo(b.GeoLocation) && alias(a.AliasTarget) == alias(b.AliasTarget) &&
		a.Failover == b.Failover && a.Region == b.Region && a.MultiValue == b.MultiValue && a.HealthCheckID == b.HealthCheckID &&
		slices.Equal(slices.Sorted(slices.Values(a.Values)), slices.Sorted(slices.Values(b.Values)))
}
