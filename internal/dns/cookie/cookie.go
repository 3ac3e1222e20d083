// Package cookie makes and checks the server cookies of DNS (RFC 7873) in the
// form that servers of different makers can share behind one address (RFC 9018):
// a client that returns one has shown that it receives what is sent to its
// address.
package cookie

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	// ClientLen is the length of a client cookie, ServerLen that of the server
	// cookies made here; an option has the first alone, or both (RFC 9018,
	// section 4).
	ClientLen = 8
	ServerLen = 16

	version = 1
	hashed  = ClientLen + ServerLen/2 // client cookie, version, reserved, timestamp

	// How old and how far ahead a cookie may be, in seconds (RFC 9018, section 4.3).
	maxAge   = 60 * 60
	maxAhead = 5 * 60
)

// Jar holds the secrets. All its methods may be called at the same time; none
// blocks or allocates, but for Rotate.
type Jar struct {
	secrets atomic.Pointer[secrets]
}

type secrets struct {
	current, previous key
	rotated           bool // there is a previous one
}

// New returns a jar that makes cookies with a secret. Servers that answer at the
// same address need the same.
func New(secret [16]byte) *Jar {
	j := &Jar{}
	j.secrets.Store(&secrets{current: newKey(secret)})
	return j
}

// Rotate makes cookies with a new secret from now on. Those made with the one
// before stay valid until the next Rotate, which should come no sooner than an
// hour later (RFC 9018, section 5).
func (j *Jar) Rotate(secret [16]byte) {
	for {
		old := j.secrets.Load()
		next := &secrets{current: newKey(secret), previous: old.current, rotated: true}
		if j.secrets.CompareAndSwap(old, next) {
			return
		}
	}
}

// Append adds to dst the server cookie, of ServerLen bytes, for a client cookie
// and the address it came from.
func (j *Jar) Append(dst []byte, client [ClientLen]byte, addr netip.Addr, now time.Time) []byte {
	var made [hashed]byte
	copy(made[:], client[:])
	made[ClientLen] = version
	binary.BigEndian.PutUint32(made[ClientLen+4:], uint32(now.Unix()))
	dst = append(dst, made[ClientLen:]...)
	return binary.LittleEndian.AppendUint64(dst, hash(j.secrets.Load().current, made, addr))
}

// Valid says whether the content of a COOKIE option, client and server cookie as
// received, was made here for this address, at most an hour ago. False for
// whatever is malformed. A client whose cookie is not valid is answered as one
// without, and gets a new one.
func (j *Jar) Valid(option []byte, addr netip.Addr, now time.Time) bool {
	if len(option) != ClientLen+ServerLen || option[ClientLen] != version {
		return false
	}
	// The timestamp wraps around in 2106; differences do not mind (RFC 1982).
	age := int32(uint32(now.Unix()) - binary.BigEndian.Uint32(option[hashed-4:]))
	if age > maxAge || age < -maxAhead {
		return false
	}
	var received [hashed]byte
	copy(received[:], option)
	sum := binary.LittleEndian.Uint64(option[hashed:])
	s := j.secrets.Load()
	if hash(s.current, received, addr) == sum {
		return true
	}
	return s.rotated && hash(s.previous, received, addr) == sum
}

// hash is over client cookie, version, reserved, timestamp and the client's
// address (RFC 9018, section 4.4).
func hash(k key, cookie [hashed]byte, addr netip.Addr) uint64 {
	var input [hashed + 16]byte
	copy(input[:], cookie[:])
	if addr = addr.Unmap(); addr.Is4() {
		ip := addr.As4()
		return sipHash(k, input[:hashed+copy(input[hashed:], ip[:])])
	}
	ip := addr.As16()
	copy(input[hashed:], ip[:])
	return sipHash(k, input[:])
}
