package server

import (
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/hanse-dev/hanse/internal/dns/cookie"
)

// request is a query, parsed. Its slices are parts of the message.
type request struct {
	name  [255]byte // in lower case
	named int       // length of name
	end   int       // of the question in the message; 12: there is none
	rtype uint16
	class uint16

	edns    bool
	size    int // what the client takes by UDP
	version uint8
	do      bool
	subnet  []byte     // the data of the ECS option; nil: none
	network netip.Addr // in it, invalid if it says nothing
	cookie  []byte     // the data of the COOKIE option; nil: none
	signed  bool       // by TSIG
}

const (
	headerSize = 12
	minimumUDP = 512
	// maximumUDP does not need fragments anywhere (DNS Flag Day 2020).
	maximumUDP = 1232

	optionSubnet = 8
	optionCookie = 10
	maxCookie    = 40
)

// parse reads a message of which the header is there. It is false if the message
// is malformed; what has been read until then counts.
func (r *request) parse(m []byte) bool {
	r.named, r.end, r.edns, r.size, r.signed = 0, headerSize, false, minimumUDP, false
	r.version, r.do, r.subnet, r.network, r.cookie = 0, false, nil, netip.Addr{}, nil
	questions := binary.BigEndian.Uint16(m[4:])
	if questions > 1 || binary.BigEndian.Uint16(m[6:]) != 0 {
		return false
	}
	at := headerSize
	if questions == 1 {
		if at = r.question(m); at < 0 {
			return false
		}
		r.end = at
	}
	authority, additional := int(binary.BigEndian.Uint16(m[8:])), int(binary.BigEndian.Uint16(m[10:]))
	for i := range authority + additional {
		if at = r.record(m, at, i >= authority); at < 0 {
			return false
		}
		if r.signed && i != authority+additional-1 {
			return false // RFC 8945, section 5.1: it is the last
		}
	}
	// A query without question asks for a cookie (RFC 7873, section 5.4).
	return at == len(m) && (questions == 1 || r.cookie != nil)
}

// question returns where it ends, or -1. There is nothing that its name could be
// compressed against.
func (r *request) question(m []byte) int {
	at := headerSize
	for {
		if at >= len(m) || m[at] >= 64 {
			return -1
		}
		length := int(m[at]) + 1
		if at+length > len(m) || at-headerSize+length > len(r.name) {
			return -1
		}
		at += length
		if length == 1 {
			break
		}
	}
	if at+4 > len(m) {
		return -1
	}
	r.named = at - headerSize
	for i, c := range m[headerSize:at] {
		if 'A' <= c && c <= 'Z' { // no length is: they are below 64
			c += 'a' - 'A'
		}
		r.name[i] = c
	}
	r.rtype = binary.BigEndian.Uint16(m[at:])
	r.class = binary.BigEndian.Uint16(m[at+2:])
	return at + 4
}

// record returns where a record behind the question ends, or -1.
func (r *request) record(m []byte, at int, additional bool) int {
	root := at < len(m) && m[at] == 0
	if at = skipName(m, at); at < 0 || at+10 > len(m) {
		return -1
	}
	rtype := binary.BigEndian.Uint16(m[at:])
	end := at + 10 + int(binary.BigEndian.Uint16(m[at+8:]))
	if end > len(m) {
		return -1
	}
	switch {
	case !additional:
	case rtype == dns.TypeOPT:
		if r.edns || !root {
			return -1 // RFC 6891, section 6.1.1
		}
		r.edns = true
		r.size = max(int(binary.BigEndian.Uint16(m[at+2:])), minimumUDP)
		r.version = m[at+5]
		r.do = m[at+6]&0x80 != 0
		if r.version == 0 && !r.options(m[at+10:end]) {
			return -1
		}
	case rtype == dns.TypeTSIG:
		r.signed = true
	}
	return end
}

// skipName returns where a name ends that may be compressed, or -1.
func skipName(m []byte, at int) int {
	for at < len(m) {
		switch c := m[at]; {
		case c == 0:
			return at + 1
		case c >= 0xC0:
			return at + 2
		case c >= 64:
			return -1
		default:
			at += 1 + int(c)
		}
	}
	return -1
}

func (r *request) options(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 4 {
			return false
		}
		code, length := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; length > len(b) {
			return false
		}
		switch data := b[:length]; {
		case code == optionSubnet && r.subnet == nil:
			if !r.locate(data) {
				return false
			}
		case code == optionCookie && r.cookie == nil:
			if length != cookie.ClientLen && (length < 2*cookie.ClientLen || length > maxCookie) {
				return false // RFC 7873, section 5.2.2
			}
			r.cookie = data
		}
		b = b[length:]
	}
	return true
}

// locate reads the client's network (RFC 7871, section 6): the family, how many
// bits of the address are given, 0, and the address without what is 0 at its end.
func (r *request) locate(data []byte) bool {
	if len(data) < 4 || data[3] != 0 {
		return false
	}
	family, bits, address := binary.BigEndian.Uint16(data), int(data[2]), data[4:]
	if len(address) != (bits+7)/8 || bits%8 != 0 && address[len(address)-1]<<(bits%8) != 0 {
		return false
	}
	r.subnet = data
	switch {
	case bits == 0 && family <= 2:
		// The client does not want to be located.
	case family == 1 && bits <= 32:
		var a [4]byte
		copy(a[:], address)
		r.network = netip.AddrFrom4(a)
	case family == 2 && bits <= 128:
		var a [16]byte
		copy(a[:], address)
		r.network = netip.AddrFrom16(a).Unmap()
	default:
		r.subnet = nil
		return false
	}
	return true
}
