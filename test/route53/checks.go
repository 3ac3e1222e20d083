package route53test

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
)

// check is a health check.
type check struct {
	healthCheck
	tags map[string]string
}

// Checks are all health checks, by ID.
func (s *Server) Checks() map[string]CheckConfig {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]CheckConfig{}
	for id, c := range s.checks {
		all[id] = c.Config
	}
	return all
}

// Tags of a health check.
func (s *Server) Tags(checkID string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.checks[checkID]; c != nil {
		return maps.Clone(c.tags)
	}
	return nil
}

// AddCheck creates a health check as somebody else would, and gives its ID.
func (s *Server) AddCheck(c CheckConfig) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.newID("check-")
	s.checks[id] = &check{healthCheck: healthCheck{ID: id, CallerReference: "other-" + id, Config: c, Version: 1}, tags: map[string]string{}}
	return id
}

// SetReachable says whether the checkers reach an address (or, for checks without
// one, a name).
func (s *Server) SetReachable(where string, reachable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down[where] = !reachable
}

// healthy says what the checkers think of a check; s.mu is held. A check that is
// gone is not healthy.
func (s *Server) healthy(id string) bool {
	c := s.checks[id]
	switch {
	case c == nil:
		return false
	case c.Config.Disabled:
		return true
	case c.Config.Type == "CALCULATED":
		n := 0
		for _, child := range c.Config.ChildHealthChecks {
			if s.healthy(child) {
				n++
			}
		}
		return (n >= c.Config.HealthThreshold) != c.Config.Inverted
	default:
		return s.down[cmp.Or(c.Config.IPAddress, c.Config.FQDN)] == c.Config.Inverted
	}
}

func (s *Server) createHealthCheck(r *request) (any, *apiError) {
	var in createCheckRequest
	if err := parse(r, &in); err != nil {
		return nil, err
	}
	if in.CallerReference == "" || len(in.CallerReference) > 64 {
		return nil, fail(400, "InvalidInput", "CallerReference must have from 1 to 64 characters")
	}
	if in.Config.Type != "CALCULATED" {
		in.Config.RequestInterval, in.Config.FailureThreshold = cmp.Or(in.Config.RequestInterval, 30), cmp.Or(in.Config.FailureThreshold, 3)
	}
	if id, ok := s.refs[in.CallerReference]; ok {
		if c := s.checks[id]; c != nil && sameConfig(c.Config, in.Config) {
			return &createCheckResponse{Check: c.healthCheck}, nil
		}
		return nil, fail(409, "HealthCheckAlreadyExists", "A health check with this caller reference exists or was deleted: %s", in.CallerReference)
	}
	if err := s.checkConfig(in.Config); err != nil {
		return nil, err
	}
	if len(s.checks) >= s.options.MaxChecks {
		return nil, fail(400, "TooManyHealthChecks", "Limits Exceeded: MAX_HEALTH_CHECKS_BY_OWNER - Cannot create more health checks.")
	}
	id := s.newID("check-")
	c := &check{healthCheck: healthCheck{ID: id, CallerReference: in.CallerReference, Config: in.Config, Version: 1}, tags: map[string]string{}}
	s.checks[id], s.refs[in.CallerReference] = c, id
	return &createCheckResponse{Check: c.healthCheck}, nil
}

func sameConfig(a, b CheckConfig) bool {
	sni := func(p *bool) bool { return p != nil && *p }
	return a.IPAddress == b.IPAddress && a.Port == b.Port && a.Type == b.Type && a.ResourcePath == b.ResourcePath && a.FQDN == b.FQDN &&
		a.SearchString == b.SearchString && a.RequestInterval == b.RequestInterval && a.FailureThreshold == b.FailureThreshold &&
		a.HealthThreshold == b.HealthThreshold && slices.Equal(a.ChildHealthChecks, b.ChildHealthChecks) && sni(a.EnableSNI) == sni(b.EnableSNI)
}

// checkConfig is what is wrong with the settings of a check.
func (s *Server) checkConfig(c CheckConfig) *apiError {
	bad := func(why string) *apiError { return fail(400, "InvalidInput", "Invalid parameter : %s", why) }
	addr, err := netip.ParseAddr(c.IPAddress)
	match := c.Type == "HTTP_STR_MATCH" || c.Type == "HTTPS_STR_MATCH"
	switch {
	case !listed("HTTP HTTPS HTTP_STR_MATCH HTTPS_STR_MATCH TCP CALCULATED", c.Type):
		return bad("unknown type " + c.Type)
	case c.Type == "CALCULATED":
		if len(c.ChildHealthChecks) == 0 || len(c.ChildHealthChecks) > 256 || c.IPAddress != "" || c.RequestInterval != 0 {
			return bad("a calculated health check has from 1 to 256 children and no endpoint")
		}
		for _, id := range c.ChildHealthChecks {
			if s.checks[id] == nil {
				return bad("child health check " + id + " does not exist")
			}
		}
	case c.IPAddress == "" && c.FQDN == "":
		return bad("IP address or domain name is needed")
	case c.IPAddress != "" && (err != nil || !public(addr)):
		return bad("IP address " + c.IPAddress + " is not a public one")
	case c.RequestInterval != 10 && c.RequestInterval != 30:
		return bad("request interval must be 10 or 30")
	case c.FailureThreshold < 1 || c.FailureThreshold > 10:
		return bad("failure threshold must be from 1 to 10")
	case match == (c.SearchString == "") || len(c.SearchString) > 255:
		return bad("search string must be there for STR_MATCH and only then")
	case c.Port < 1 || c.Port > 65535:
		return bad("port must be from 1 to 65535")
	case c.Type == "TCP" && c.ResourcePath != "":
		return bad("TCP has no path")
	}
	return nil
}

// public says whether the checkers of the real API would take an address.
func public(a netip.Addr) bool {
	for _, p := range []string{"100.64.0.0/10", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return false
		}
	}
	return a.IsGlobalUnicast() && !a.IsPrivate()
}

// updateHealthCheck changes what can be changed: not type and interval.
func (s *Server) updateHealthCheck(r *request) (any, *apiError) {
	var in updateCheckRequest
	if err := parse(r, &in); err != nil {
		return nil, err
	}
	c := s.checks[r.id]
	switch {
	case c == nil:
		return nil, fail(404, "NoSuchHealthCheck", "No health check found with ID: %s", r.id)
	case in.Version != 0 && in.Version != c.Version:
		return nil, fail(409, "HealthCheckVersionMismatch", "The version is %d", c.Version)
	case in.Type != "" || in.RequestInterval != 0:
		return nil, fail(400, "InvalidInput", "Type and RequestInterval cannot be changed")
	}
	c.Config.IPAddress = cmp.Or(in.IPAddress, c.Config.IPAddress)
	c.Config.Port = cmp.Or(in.Port, c.Config.Port)
	c.Config.ResourcePath = cmp.Or(in.ResourcePath, c.Config.ResourcePath)
	c.Config.FQDN = cmp.Or(in.FQDN, c.Config.FQDN)
	c.Config.FailureThreshold = cmp.Or(in.FailureThreshold, c.Config.FailureThreshold)
	c.Version++
	return &updateCheckResponse{Check: c.healthCheck}, nil
}

func (s *Server) listHealthChecks(r *request) (any, *apiError) {
	marker := r.URL.Query().Get("marker")
	out := &checkList{Marker: marker, MaxItems: cmp.Or(s.options.PageSize, 100)}
	if n, err := strconv.Atoi(r.URL.Query().Get("maxitems")); err == nil && n < out.MaxItems {
		out.MaxItems = n
	}
	for _, id := range slices.Sorted(maps.Keys(s.checks)) {
		if id < marker {
			continue
		}
		if len(out.Checks) == out.MaxItems {
			out.IsTruncated, out.NextMarker = true, id
			break
		}
		out.Checks = append(out.Checks, s.checks[id].healthCheck)
	}
	return out, nil
}

func (s *Server) deleteHealthCheck(r *request) (any, *apiError) {
	if s.checks[r.id] == nil {
		return nil, fail(404, "NoSuchHealthCheck", "No health check found with ID: %s", r.id)
	}
	for _, c := range s.checks {
		if slices.Contains(c.Config.ChildHealthChecks, r.id) {
			return nil, fail(400, "HealthCheckInUse", "The health check is a child of %s", c.ID)
		}
	}
	delete(s.checks, r.id)
	return &deleteCheckResponse{}, nil
}

func (s *Server) changeTags(r *request) (any, *apiError) {
	var in changeTagsRequest
	if err := parse(r, &in); err != nil {
		return nil, err
	}
	c := s.checks[r.id]
	if c == nil {
		return nil, fail(404, "NoSuchHealthCheck", "No health check found with ID: %s", r.id)
	}
	for _, t := range in.Add {
		if len(t.Key) > 128 || len(t.Value) > 256 || t.Key == "" {
			return nil, fail(400, "InvalidInput", "tag %q is too long", t.Key)
		}
		c.tags[t.Key] = t.Value
	}
	for _, key := range in.Remove {
		delete(c.tags, key)
	}
	return &changeTagsResponse{}, nil
}

func (s *Server) listTags(r *request) (any, *apiError) {
	c := s.checks[r.id]
	if c == nil {
		return nil, fail(404, "NoSuchHealthCheck", "No health check found with ID: %s", r.id)
	}
	out := &listTagsResponse{ResourceType: "healthcheck", ResourceID: r.id}
	for _, key := range slices.Sorted(maps.Keys(c.tags)) {
		out.Tags = append(out.Tags, tag{key, c.tags[key]})
	}
	return out, nil
}
