package zone

import (
	"strings"

	"github.com/miekg/dns"
)

// wireName is a domain name in wire format (RFC 1035, section 3.1), in lower
// case: labels with their lengths, ending with a zero. It is what names are
// looked up by. A name in presentation format that is none gives false.
func wireName(name string) (string, bool) {
	var b [256]byte
	n, err := dns.PackDomainName(dns.Fqdn(name), b[:], 0, nil, false)
	if err != nil || n > 255 {
		return "", false
	}
	lower(b[:n])
	return string(b[:n]), true
}

// lower works on the lengths, too: they are below 64, and A is 65.
func lower(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}

// parent is the name without its first label. The root has none.
func parent(name string) (string, bool) {
	if len(name) <= 1 {
		return "", false
	}
	return name[1+int(name[0]):], true
}

// within says whether a name is in a zone, or is its apex.
func within(name, zone string) bool {
	for len(name) > len(zone) {
		name = name[1+int(name[0]):]
	}
	return name == zone
}

// labels counts them, without the root's.
func labels(name string) int {
	n := 0
	for len(name) > 1 {
		name = name[1+int(name[0]):]
		n++
	}
	return n
}

const wildcard = "\x01*"

// canonical is a name in presentation format, in lower case and with a final dot.
func canonical(name string) string { return dns.Fqdn(strings.ToLower(name)) }
