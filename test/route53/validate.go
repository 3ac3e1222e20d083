package route53test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Limits of a batch of changes.
const (
	maxRecords    = 1000
	maxCharacters = 32000
)

// countries are the codes that a GeoLocation may have: those of ISO 3166-1 but for
// BV, CX, EH and HM, which the API does not support.
const countries = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BW BY BZ " +
	"CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CY CZ DE DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FK FM FO FR GA GB GD GE GF " +
	"GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR " +
	"KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF " +
	"NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM " +
	"SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE " +
	"YT ZA ZM ZW *"

const states = "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA " +
	"RI SC SD TN TX UT VT VA WA WV WI WY"

// checkInput is what is wrong with a batch whatever there is in the zone.
func (s *Server) checkInput(changes []change) *apiError {
	if len(changes) == 0 {
		return fail(400, "InvalidInput", "Invalid request: a change batch must have changes")
	}
	records, characters := 0, 0
	for _, c := range changes {
		times := 1
		if c.Action == "UPSERT" {
			times = 2
		}
		records += times * max(1, len(c.Set.Values))
		for _, v := range c.Set.Values {
			characters += times * len(v)
		}
		if c.Action != "CREATE" && c.Action != "DELETE" && c.Action != "UPSERT" {
			return fail(400, "InvalidInput", "Invalid request: Action=%s", c.Action)
		}
		if err := s.checkSet(c); err != nil {
			return err
		}
	}
	switch {
	case records > maxRecords:
		return &apiError{status: 400, messages: []string{fmt.Sprintf("Number of records limit of %d exceeded.", maxRecords)}}
	case characters > maxCharacters:
		return &apiError{status: 400, messages: []string{fmt.Sprintf("Number of characters limit of %d exceeded.", maxCharacters)}}
	}
	return nil
}

// checkSet is what is wrong with a single set.
func (s *Server) checkSet(c change) *apiError {
	set, where := c.Set, fmt.Sprintf("Change with [Action=%s, Name=%s, Type=%s, SetIdentifier=%s]", c.Action, c.Set.Name, c.Set.Type, c.Set.SetIdentifier)
	routings := 0
	for _, is := range []bool{set.Weight != nil, set.Region != "", set.GeoLocation != nil, set.Failover != "", set.MultiValue} {
		if is {
			routings++
		}
	}
	switch {
	case (set.AliasTarget != nil) == (set.TTL != nil && len(set.Values) > 0):
		return fail(400, "InvalidInput", "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId] in %s", where)
	case routings > 1:
		return fail(400, "InvalidInput", "Invalid request: Expected at most one of [Weight, Region, GeoLocation, Failover, MultiValueAnswer] in %s", where)
	case (routings == 1) != (set.SetIdentifier != ""):
		return fail(400, "InvalidInput", "Invalid request: Missing or unexpected field 'SetIdentifier' in %s", where)
	case len(set.SetIdentifier) > 128:
		return fail(400, "InvalidInput", "1 validation error detected: setIdentifier must have length less than or equal to 128 in %s", where)
	case set.Weight != nil && (*set.Weight < 0 || *set.Weight > 255):
		return fail(400, "InvalidInput", "1 validation error detected: weight must be between 0 and 255 in %s", where)
	case set.Failover != "" && set.Failover != "PRIMARY" && set.Failover != "SECONDARY":
		return fail(400, "InvalidInput", "1 validation error detected: failover in %s", where)
	case set.MultiValue && set.Type == "CNAME":
		return fail(400, "InvalidInput", "Invalid request: MultiValueAnswer cannot be used with CNAME in %s", where)
	case set.HealthCheckID != "" && s.checks[set.HealthCheckID] == nil && c.Action != "DELETE":
		return fail(404, "NoSuchHealthCheck", "No health check found with ID: %s", set.HealthCheckID)
	}
	return checkGeo(set.GeoLocation)
}

func checkGeo(g *GeoLocation) *apiError {
	switch {
	case g == nil:
	case g.ContinentCode != "" && (g.CountryCode != "" || g.SubdivisionCode != ""):
		return fail(400, "InvalidInput", "Invalid request: ContinentCode excludes CountryCode and SubdivisionCode")
	case g.ContinentCode == "" && g.CountryCode == "":
		return fail(400, "InvalidInput", "Invalid request: GeoLocation needs ContinentCode or CountryCode")
	case g.ContinentCode != "" && !listed("AF AN AS EU OC NA SA", g.ContinentCode),
		g.CountryCode != "" && !listed(countries, g.CountryCode),
		g.SubdivisionCode != "" && (g.CountryCode != "US" || !listed(states, g.SubdivisionCode)):
		return fail(400, "InvalidInput", "Invalid request: the geolocation %s %s %s is not supported", g.ContinentCode, g.CountryCode, g.SubdivisionCode)
	}
	return nil
}

func listed(list, word string) bool { return slices.Contains(strings.Fields(list), word) }

// invalid is what the zone could not be, after changes.
func (z *zone) invalid(changes []change) []string {
	var messages []string
	byName := map[string][]RecordSet{}
	for _, set := range z.sets {
		byName[set.Name] = append(byName[set.Name], set)
	}
	done := map[setKey]bool{}
	for _, c := range changes {
		if c.Action == "DELETE" || done[keyOf(c.Set)] {
			continue
		}
		done[keyOf(c.Set)] = true
		if m := z.invalidSet(c.Set, byName[c.Set.Name]); m != "" {
			messages = append(messages, m)
		}
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(z.sets)), func(k setKey) bool { return k.name == z.Name && k.typ == "NS" }) {
		messages = append(messages, "A HostedZone must contain at least one NS record for the zone itself.")
	}
	if _, ok := z.sets[setKey{z.Name, "SOA", ""}]; !ok {
		messages = append(messages, "A HostedZone must contain exactly one SOA record.")
	}
	return messages
}

// invalidSet is why set cannot be beside the others of its name.
func (z *zone) invalidSet(set RecordSet, sameName []RecordSet) string {
	if set.Name != z.Name && !strings.HasSuffix(set.Name, "."+z.Name) {
		return fmt.Sprintf("RRSet with DNS name %s is not permitted in zone %s", set.Name, z.Name)
	}
	if set.Type == "CNAME" && set.Name == z.Name {
		return fmt.Sprintf("RRSet of type CNAME with DNS name %s is not permitted at apex in zone %s", set.Name, z.Name)
	}
	for _, other := range sameName {
		switch {
		case keyOf(other) == keyOf(set):
		case (other.Type == "CNAME") != (set.Type == "CNAME"):
			return fmt.Sprintf("RRSet of type %s with DNS name %s is not permitted as it conflicts with other records with the same DNS name in zone %s", set.Type, set.Name, z.Name)
		case other.Type != set.Type:
		case routing(other) != routing(set):
			return fmt.Sprintf("RRSet with DNS name %s, type %s, SetIdentifier %s cannot be created as other RRSets exist with the same name and type", set.Name, set.Type, set.SetIdentifier)
		case set.GeoLocation != nil && *set.GeoLocation == *other.GeoLocation, set.Failover != "" && set.Failover == other.Failover:
			return fmt.Sprintf("RRSet with DNS name %s, type %s, SetIdentifier %s cannot be created because another RRSet has the same geolocation or failover role", set.Name, set.Type, set.SetIdentifier)
		}
	}
	return badValue(set)
}

// routing is the kind of a set.
func routing(s RecordSet) string {
	switch {
	case s.Weight != nil:
		return "weight"
	case s.Region != "":
		return "region"
	case s.GeoLocation != nil:
		return "geo"
	case s.Failover != "":
		return "failover"
	case s.MultiValue:
		return "multi"
	default:
		return ""
	}
}

// badValue is what is wrong with the values of a set.
func badValue(s RecordSet) string {
	seen := map[string]bool{}
	for _, v := range s.Values {
		bad := func(why string) string {
			return fmt.Sprintf("Invalid Resource Record: 'FATAL problem: %s encountered with '%s'' in %s %s", why, v, s.Name, s.Type)
		}
		addr, err := netip.ParseAddr(v)
		switch {
		case seen[v]:
			return fmt.Sprintf("Duplicate Resource Record: '%s' in %s %s", v, s.Name, s.Type)
		case s.Type == "A" && (err != nil || !addr.Is4()):
			return bad("ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)")
		case s.Type == "AAAA" && (err != nil || !addr.Is6()):
			return bad("AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)")
		case s.Type == "TXT" && !strings.HasPrefix(v, `"`):
			return bad("InvalidCharacterString (Value should be enclosed in quotation marks)")
		case s.Type == "TXT" && longString(v):
			return bad("CharacterStringTooLong (Value is too long)")
		case s.Type == "CNAME" && len(s.Values) > 1:
			return fmt.Sprintf("RRSet of type CNAME with DNS name %s can have only one value", s.Name)
		}
		seen[v] = true
	}
	return ""
}

// longString says whether one of the strings of a TXT value has more than 255
// characters.
func longString(v string) bool {
	for i, part := range strings.Split(v, `"`) {
		if i%2 == 1 && len(part) > 255 {
			return true
		}
	}
	return false
}
