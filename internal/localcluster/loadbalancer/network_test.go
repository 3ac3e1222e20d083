package loadbalancer

import (
	"errors"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func claimed(t *testing.T, remembered, seed string) *Network {
	t.Helper()
	n, err := Claim(remembered, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func TestNetworksAreNotShared(t *testing.T) {
	first := claimed(t, "", "/a/directory")
	second := claimed(t, "", "/a/directory")
	if first.prefix.Overlaps(second.prefix) {
		t.Errorf("%s and %s overlap", first, second)
	}
	if third := claimed(t, first.String(), "/b"); third.String() == first.String() {
		t.Errorf("a network that is taken was given again: %s", third)
	}
	remembered := first.String()
	first.Close()
	if again := claimed(t, remembered, "/elsewhere"); again.String() != remembered {
		t.Errorf("got %s, want the network of before, %s", again, remembered)
	}
}

func TestOnlyLoopbackIsRemembered(t *testing.T) {
	for _, damaged := range []string{"", "x", "10.0.0.0/22", "127.16.0.0/8", "127.16.0.1/22", "::1/22"} {
		n := claimed(t, damaged, "seed")
		if n.String() == damaged || !n.prefix.Addr().IsLoopback() {
			t.Errorf("%q led to %s", damaged, n)
		}
	}
}

func TestNetworksAreDistinctAndLoopback(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i, j := rapid.IntRange(0, networks-1).Draw(t, "i"), rapid.IntRange(0, networks-1).Draw(t, "j")
		a, b := networkAt(i), networkAt(j)
		if (i != j) == a.Overlaps(b) {
			t.Fatalf("networks %d and %d are %s and %s", i, j, a, b)
		}
		n := &Network{prefix: a}
		for _, address := range []netip.Addr{n.ingress(), n.address(n.size() - 2)} {
			if !address.IsLoopback() || !a.Contains(address) || n.isService(address) {
				t.Fatalf("%s in %s", address, a)
			}
		}
		if a.Addr().As4()[1] < firstByte {
			t.Fatalf("%s is not ours", a)
		}
	})
}

func TestEveryAddressOnce(t *testing.T) {
	n := &Network{prefix: networkAt(7)}
	taken := map[netip.Addr]bool{}
	for {
		address, err := n.free(taken)
		if errors.Is(err, errNoAddress) {
			break
		}
		if err != nil || taken[address] || !n.isService(address) || address == n.ingress() {
			t.Fatalf("free = %s, %v", address, err)
		}
		taken[address] = true
	}
	if len(taken) != n.size()-4 {
		t.Errorf("%d addresses, want %d", len(taken), n.size()-4)
	}
	freed := n.address(300)
	delete(taken, freed)
	if got, err := n.free(taken); err != nil || got != freed {
		t.Errorf("free = %s, %v, want %s", got, err, freed)
	}
}
