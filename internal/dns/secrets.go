package dns

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/transfer"
	"github.com/hanse-dev/hanse/internal/watch"
)

// secretsOf are the Secrets of the hub's own namespace.
func secretsOf(c rest.Interface) watch.Source[*corev1.Secret] {
	return typed[*corev1.Secret](c, corev1.SchemeGroupVersion, "secrets", "Secret", v1alpha1.SystemNamespace)
}

// secretSink keeps the Secrets that zones may name. A change of one that some zone
// names has the zones looked at again.
func (c *Controller) secretSink(listed func()) watch.Sink[*corev1.Secret] {
	k, nudge := c.caches, c.external.Nudge
	set := func(d *dirty, name string) {
		for _, z := range k.zones {
			if named(z, name) {
				d.zones = true
				nudge(z.Name)
			}
		}
	}
	return watch.Sink[*corev1.Secret]{
		Replace: func(all []*corev1.Secret) {
			now := map[string]map[string][]byte{}
			for _, s := range all {
				now[s.Name] = s.Data
			}
			k.change(func(d *dirty) { k.secrets, d.zones = now, true })
			listed()
		},
		Apply: func(s *corev1.Secret) {
			k.change(func(d *dirty) {
				k.secrets[s.Name] = s.Data
				set(d, s.Name)
			})
		},
		Remove: func(s *corev1.Secret) {
			k.change(func(d *dirty) {
				delete(k.secrets, s.Name)
				set(d, s.Name)
			})
		},
	}
}

// named says whether a zone needs a Secret.
func named(z *v1alpha1.DNSZone, secret string) bool {
	s := z.Spec
	return s.Route53 != nil && s.Route53.CredentialsSecret == secret ||
		s.RFC2136 != nil && s.RFC2136.Key != nil && s.RFC2136.Key.Secret == secret ||
		s.Embedded != nil && s.Embedded.TransferKey != nil && s.Embedded.TransferKey.Secret == secret
}

// Secret is one key of a Secret in the hub's own namespace.
func (c *caches) Secret(name, key string) (string, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	data, ok := c.secrets[name]
	if !ok {
		return "", fmt.Errorf("there is no Secret %s in namespace %s. Try: kubectl create secret generic %s -n %[2]s --from-file=…", name, v1alpha1.SystemNamespace, name)
	}
	value, ok := data[key]
	if !ok || len(value) == 0 {
		return "", fmt.Errorf("the Secret %s in namespace %s has no key %s. Try: kubectl describe secret %[1]s -n %[2]s", name, v1alpha1.SystemNamespace, key)
	}
	return string(value), nil
}

// TSIG reads a TSIG key; nil if none is wanted.
func (c *caches) TSIG(k *v1alpha1.TSIGKey) (*transfer.Key, error) {
	if k == nil {
		return nil, nil
	}
	secret, err := c.Secret(k.Secret, "secret")
	if err != nil {
		return nil, err
	}
	algorithm := k.Algorithm
	if algorithm == "" {
		algorithm = "hmac-sha256"
	}
	return &transfer.Key{Name: k.Name, Algorithm: algorithm, Secret: secret}, nil
}

// transferZone is who may have a zone that the hub serves; ok is false if nobody.
// A zone whose key cannot be read is given to nobody; problem says so.
func (c *caches) transferZone(z *v1alpha1.DNSZone) (t transfer.Zone, ok bool, problem error) {
	e := z.Spec.Embedded
	if e == nil || len(e.Secondaries) == 0 && e.TransferKey == nil {
		return t, false, nil
	}
	t.Name = dotted(z.Spec.Domain)
	for _, s := range e.Secondaries {
		a, err := netip.ParseAddrPort(s)
		if err != nil {
			var address netip.Addr
			if address, err = netip.ParseAddr(s); err != nil {
				problem = fmt.Errorf("secondary %q is not an IP address with or without a port", s)
				continue
			}
			a = netip.AddrPortFrom(address, 53)
		}
		t.Secondaries = append(t.Secondaries, a)
	}
	key, err := c.TSIG(e.TransferKey)
	if err != nil {
		return t, false, fmt.Errorf("the zone cannot be transferred: %w", err)
	}
	t.Key = key
	return t, true, problem
}
