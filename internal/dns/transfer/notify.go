package transfer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
	"k8s.io/klog/v2"
)

const (
	retries     = 6
	firstWait   = time.Second
	maxWait     = time.Minute // between two NOTIFYs
	maxResponse = time.Second // of waiting for an acknowledgement; a newer version waits for it too
)

// target is a secondary of a zone.
type target struct {
	zone string
	addr netip.AddrPort
}

// Run tells secondaries of new versions until ctx ends, and returns when nothing
// that it started is left. Call it once.
func (t *Transfers) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	notifiers := map[target]*notifier{}
	for {
		targets := t.targets()
		for to := range targets {
			if notifiers[to] == nil {
				own, cancel := context.WithCancel(ctx)
				n := &notifier{transfers: t, target: to, changed: make(chan struct{}, 1), stop: cancel}
				notifiers[to] = n
				running.Go(func() { n.run(own) })
			}
		}
		for to, n := range notifiers {
			if !targets[to] {
				n.stop()
				delete(notifiers, to)
				continue
			}
			select {
			case n.changed <- struct{}{}:
			default: // it will look anyway
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.changed:
		}
	}
}

func (t *Transfers) targets() map[target]bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := map[target]bool{}
	for name, z := range t.zones {
		for _, addr := range z.Secondaries {
			all[target{name, addr}] = true
		}
	}
	return all
}

// notifier tells one secondary of the versions of one zone, of the last alone if
// several have come meanwhile.
type notifier struct {
	transfers *Transfers
	target
	changed chan struct{}
	stop    context.CancelFunc
}

// run repeats a NOTIFY until it is acknowledged, ever more slowly, and begins again
// with each version. It gives up after the last retry: the secondary asks by
// itself when the SOA's refresh time has passed.
func (n *notifier) run(ctx context.Context) {
	defer n.stop()
	var told *dns.SOA
	var tries int
	var wait time.Duration
	var again <-chan time.Time
	now := false
	for {
		soa, key := n.due()
		if soa != told {
			told, tries, wait, again = soa, 0, firstWait, nil
			now = true
		}
		if soa != nil && now {
			again = n.transfers.clock.After(wait)
			n.done(ctx, soa, n.transfers.send(ctx, n.target, soa, key))
			tries, wait = tries+1, min(2*wait, maxWait)
			if tries > retries {
				again = nil
			}
		}
		now = false
		select {
		case <-ctx.Done():
			return
		case <-n.changed: // perhaps something else did
		case <-again:
			now = true
		}
	}
}

// due is the SOA of the version that the secondary is to be told of; nil: none.
func (n *notifier) due() (*dns.SOA, *Key) {
	t := n.transfers
	t.mu.RLock()
	defer t.mu.RUnlock()
	z, ok := t.zones[n.zone]
	if !ok || z.versions == nil {
		return nil, nil
	}
	last := z.notified[n.addr]
	if soa := z.versions.soa; last.At.IsZero() || last.Acknowledged != soa.Serial {
		return soa, z.Key
	}
	return nil, nil
}

// sender sends one NOTIFY and waits for its acknowledgement.
type sender func(ctx context.Context, to target, soa *dns.SOA, key *Key) error

// notify is the sender that uses the network.
func (t *Transfers) notify(ctx context.Context, to target, soa *dns.SOA, key *Key) error {
	m := new(dns.Msg).SetNotify(to.zone)
	m.Answer = []dns.RR{soa}
	client := &dns.Client{Timeout: maxResponse}
	if key != nil {
		m.SetTsig(dns.CanonicalName(key.Name), dns.CanonicalName(key.Algorithm), fudge, t.clock.Now().Unix())
		client.TsigProvider = t.TSIG()
	}
	r, _, err := client.ExchangeContext(ctx, m, to.addr.String())
	switch {
	case err != nil:
		return err
	case r.Opcode != dns.OpcodeNotify || !r.Response:
		return errors.New("the answer is not one to a NOTIFY")
	case r.Rcode != dns.RcodeSuccess:
		return fmt.Errorf("it answered %s", dns.RcodeToString[r.Rcode])
	case key != nil && r.IsTsig() == nil:
		return errors.New("its answer is not signed")
	}
	return nil
}

// done records what came of a NOTIFY.
func (n *notifier) done(ctx context.Context, soa *dns.SOA, err error) {
	if ctx.Err() != nil {
		return
	}
	log := klog.FromContext(ctx).V(2).WithValues("zone", n.zone, "secondary", n.addr, "serial", soa.Serial)
	t := n.transfers
	t.mu.Lock()
	defer t.mu.Unlock()
	z, ok := t.zones[n.zone]
	if !ok {
		return
	}
	state := z.notified[n.addr]
	if err == nil {
		state = Secondary{Acknowledged: soa.Serial, At: t.clock.Now()}
		log.Info("Secondary knows of the new version")
	} else {
		state.Error = err.Error()
		log.Info("Secondary did not acknowledge the new version", "err", err)
	}
	z.notified[n.addr] = state
}
