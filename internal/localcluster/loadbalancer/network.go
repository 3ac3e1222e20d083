package loadbalancer

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"strconv"
)

const (
	// Every cluster has a /22 of 127.16.0.0 to 127.255.255.255: a thousand addresses, fifteen thousand clusters. What is
	// below 127.16 is left to the other habits of this machine.
	networkBits = 22
	firstByte   = 16
	networks    = (256 - firstByte) << (networkBits - 16)
	// claimPort is listened on at a network's last address by its owner. The port means nothing else.
	claimPort = 20000
)

// Network is a range of loopback addresses that belongs to this process until Close.
type Network struct {
	prefix netip.Prefix
	claim  net.Listener
}

// Claim takes the remembered network if it is free, and else one that follows from the seed, so that two clusters on
// this machine, whoever started them, never share one. remembered may be empty.
func Claim(remembered, seed string) (*Network, error) {
	if prefix, err := netip.ParsePrefix(remembered); err == nil {
		if n, err := claim(prefix); err == nil {
			return n, nil
		}
	}
	h := fnv.New32a()
	h.Write([]byte(seed))
	first := int(h.Sum32() % networks)
	var problem error
	for i := range networks {
		n, err := claim(networkAt((first + i) % networks))
		if err == nil {
			return n, nil
		}
		problem = err
	}
	return nil, fmt.Errorf("no range of loopback addresses is free for load balancers: %w. Try: hanse local delete for clusters that are not needed", problem)
}

func networkAt(index int) netip.Prefix {
	perByte := 1 << (networkBits - 16)
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(firstByte + index/perByte), byte(index % perByte << (24 - networkBits)), 0}), networkBits)
}

func claim(prefix netip.Prefix) (*Network, error) {
	n := &Network{prefix: prefix}
	if !prefix.Addr().Is4() || !prefix.Addr().IsLoopback() || prefix.Bits() != networkBits || prefix != prefix.Masked() {
		return nil, fmt.Errorf("%s is not a range of loopback addresses", prefix)
	}
	var err error
	n.claim, err = net.Listen("tcp4", net.JoinHostPort(n.address(n.size()-2).String(), strconv.Itoa(claimPort)))
	return n, err
}

// String is the network in the form in which Claim remembers it.
func (n *Network) String() string { return n.prefix.String() }

// Close gives the network back.
func (n *Network) Close() error { return n.claim.Close() }

func (n *Network) size() int { return 1 << (32 - n.prefix.Bits()) }

func (n *Network) address(host int) netip.Addr {
	bytes := n.prefix.Addr().As4()
	bytes[2] += byte(host >> 8)
	bytes[3] = byte(host)
	return netip.AddrFrom4(bytes)
}

// The first address is that of all Ingresses, the ones after it are Services', the last two are the claim's and the
// network's broadcast address.
func (n *Network) ingress() netip.Addr { return n.address(1) }

func (n *Network) isService(a netip.Addr) bool {
	return n.prefix.Contains(a) && a.Compare(n.address(2)) >= 0 && a.Compare(n.address(n.size()-3)) <= 0
}

var errNoAddress = errors.New("all addresses of this cluster's load balancers are taken")

// free is the first address that no Service has.
func (n *Network) free(taken map[netip.Addr]bool) (netip.Addr, error) {
	for a := n.address(2); n.isService(a); a = a.Next() {
		if !taken[a] {
			return a, nil
		}
	}
	return netip.Addr{}, errNoAddress
}
