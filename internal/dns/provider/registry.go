package provider

import (
	"crypto/sha256"
	"encoding/base32"
	"net/url"
	"strconv"
	"strings"
)

// The registry: beside each set of ours is a TXT record that says so,
//
//	_hanse-TYPE[-any][-ID].NAME TXT "heritage=hanse,owner=OWNER,type=TYPE,id=ID,route=NAMESPACE/NAME"
//
// where -any stands for the * of a wildcard, ID in the name is a hash (so that a
// name of any length of ID is a label), and values are escaped as in a URL's
// query. It has a name of its own so that it can stand beside a CNAME.
const (
	registryPrefix = "_hanse-"
	registryTTL    = 300
	heritage       = "hanse"
)

// Ownership is what a TXT record of the registry says.
type Ownership struct {
	Owner string
	Type  string
	ID    string
	Route string
}

// RegistryName is the name of the TXT record for the set k.
func RegistryName(k Key) string {
	label, name := registryPrefix+strings.ToLower(k.Type), k.Name
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		label, name = label+"-any", rest
	}
	if k.ID != "" {
		sum := sha256.Sum256([]byte(k.ID))
		label += "-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
	}
	return label + "." + name
}

// registryKey is the set that a TXT record at name is about, if it is one of the
// registry whose name and content agree.
func registryKey(name string, o Ownership) (Key, bool) {
	label, rest, ok := strings.Cut(name, ".")
	if !ok || !strings.HasPrefix(label, registryPrefix) {
		return Key{}, false
	}
	for _, k := range []Key{{rest, o.Type, o.ID}, {"*." + rest, o.Type, o.ID}} {
		if RegistryName(k) == name {
			return k, true
		}
	}
	return Key{}, false
}

// registrySet is the TXT record for s.
func registrySet(owner string, s Set) Set {
	o := Ownership{Owner: owner, Type: s.Type, ID: s.ID, Route: s.Route}
	return Set{Name: RegistryName(s.Key()), Type: "TXT", TTL: registryTTL, Values: []string{o.String()}, Route: s.Route}
}

// String is the record's value as in a master file, in strings of at most 255
// bytes.
func (o Ownership) String() string {
	text := "heritage=" + heritage
	for _, f := range [...][2]string{{"owner", o.Owner}, {"type", o.Type}, {"id", o.ID}, {"route", o.Route}} {
		if f[1] != "" {
			text += "," + f[0] + "=" + strings.ReplaceAll(url.QueryEscape(f[1]), "%2F", "/")
		}
	}
	var b strings.Builder
	for len(text) > 255 {
		b.WriteString(`"` + text[:255] + `" `)
		text = text[255:]
	}
	b.WriteString(`"` + text + `"`)
	return b.String()
}

// ParseOwnership reads the value of a TXT record as in a master file; false: it is
// not one of the registry. The order of the fields does not matter, nor do spaces
// around them, quotes that are missing, upper case, or fields that are not known.
func ParseOwnership(value string) (Ownership, bool) {
	fields := map[string]string{}
	for field := range strings.SplitSeq(Unquote(value), ",") {
		k, v, ok := strings.Cut(field, "=")
		if !ok {
			continue
		}
		v, err := url.QueryUnescape(strings.TrimSpace(v))
		if err != nil {
			return Ownership{}, false
		}
		k = strings.ToLower(strings.TrimSpace(k))
		if _, twice := fields[k]; twice {
			return Ownership{}, false
		}
		fields[k] = v
	}
	o := Ownership{Owner: fields["owner"], Type: strings.ToUpper(fields["type"]), ID: fields["id"], Route: fields["route"]}
	return o, fields["heritage"] == heritage && o.Owner != "" && o.Type != ""
}

// Unquote joins the strings of a TXT record's value as in a master file (RFC 1035,
// section 5.1); text outside quotes counts as a string.
func Unquote(value string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && i+3 < len(value) && isDigits(value[i+1:i+4]):
			n, err := strconv.ParseUint(value[i+1:i+4], 10, 8)
			if err != nil {
				b.WriteByte(c) // \300 is no byte
				continue
			}
			b.WriteByte(byte(n))
			i += 3
		case c == '\\' && i+1 < len(value):
			i++
			b.WriteByte(value[i])
		case c == ' ' && !quoted:
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// isDigits says whether s is decimal digits.
func isDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}
