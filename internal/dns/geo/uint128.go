package geo

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// uint128 is an IPv6 address as a number.
type uint128 struct{ hi, lo uint64 }

// number is an address as a number; an IPv4 address one below 1<<32.
func number(a netip.Addr) uint128 {
	if a.Is4() {
		b := a.As4()
		return uint128{lo: uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return uint128{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (x uint128) less(y uint128) bool {
	return x.hi < y.hi || x.hi == y.hi && x.lo < y.lo
}

func (x uint128) add(y uint128) uint128 {
	lo, carry := bits.Add64(x.lo, y.lo, 0)
	return uint128{x.hi + y.hi + carry, lo}
}

func (x uint128) sub(y uint128) uint128 {
	lo, borrow := bits.Sub64(x.lo, y.lo, 0)
	return uint128{x.hi - y.hi - borrow, lo}
}

func (x uint128) shiftLeft(n int) uint128 {
	if n >= 64 {
		return uint128{hi: x.lo << (n - 64)}
	}
	return uint128{x.hi<<n | x.lo>>(64-n), x.lo << n}
}

func (x uint128) shiftRight(n int) uint128 {
	if n >= 64 {
		return uint128{lo: x.hi >> (n - 64)}
	}
	return uint128{x.hi >> n, x.lo>>n | x.hi<<(64-n)}
}

func (x uint128) zero() bool { return x == uint128{} }

// differ is the number of bits from the highest one in which x and y differ on.
func differ(x, y uint128) int {
	if x.hi != y.hi {
		return 64 + bits.Len64(x.hi^y.hi)
	}
	return bits.Len64(x.lo ^ y.lo)
}

func (x uint128) trailingZeros() int {
	if x.lo == 0 {
		return 64 + bits.TrailingZeros64(x.hi)
	}
	return bits.TrailingZeros64(x.lo)
}
