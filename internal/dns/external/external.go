// Package external keeps the zones that others serve in step with the hub's hosts: each has a goroutine of its own, so that
// a provider that does not answer holds up its zone only.
package external

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/provider"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/route53"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/dns/transfer"
	"github.com/hanse-dev/hanse/internal/trouble"
)

const (
	// driftInterval is how often a zone kept elsewhere is read and put right.
	driftInterval = 5 * time.Minute
	// keepRest is the least time between two passes over such a zone, so that
	// changes that come together are one batch.
	keepRest = time.Second
	// keepRetry is the first pause after a pass that failed; it doubles up to
	// driftInterval.
	keepRetry = 2 * time.Second
	// maxPending bounds the lines in a zone's status.
	maxPending = 50
	// patience bounds one pass: a provider that does not answer holds up its zone
	// only.
	patience = 2 * time.Minute
)

// Credentials are read from Secrets at the hub.
type Credentials interface {
	// Secret is one key of a Secret.
	Secret(name, key string) (string, error)
	// TSIG reads a TSIG key; nil if none is wanted.
	TSIG(*v1alpha1.TSIGKey) (*transfer.Key, error)
}

// Config is what keeping zones takes.
type Config struct {
	// HubUID owns the records in zones that name no other owner.
	HubUID      string
	Credentials Credentials
	// Status has the status of a zone written; it does not block.
	Status func(*v1alpha1.DNSZone, v1alpha1.DNSZoneStatus)
	// Changed is told of the routes, as NAMESPACE/NAME, of whose hosts something else is to be reported; it does not block.
	Changed func(routes []string)
	Clock   clock.WithTicker
	// Provide makes the way to a zone without asking anybody; nil: what the zone's spec says.
	Provide func(context.Context, *v1alpha1.DNSZone) (provider.Provider, error)
}

// Zones are the zones that others serve.
type Zones struct {
	cfg Config

	mu      sync.Mutex
	ctx     context.Context
	keepers map[string]*keeper
	paces   map[string]*route53.Pace // by the Secret with the account's credentials
}

// Report is what has become of a host in such a zone.
type Report struct {
	// Done says that it is there as it should be.
	Done bool
	// Message says why not, or what else is to be known.
	Message string
}

// keeper keeps one zone.
type keeper struct {
	cfg  *Config
	stop context.CancelFunc
	wake chan struct{}

	mu      sync.Mutex
	zone    *v1alpha1.DNSZone
	hosts   []steer.Host
	reports map[string]Report
	stale   bool // its credentials have changed
	trouble trouble.Log[string]
}

// New makes Zones, of which none is kept before Run.
func New(cfg Config) *Zones {
	z := &Zones{cfg: cfg, keepers: map[string]*keeper{}, paces: map[string]*route53.Pace{}}
	if cfg.Provide == nil {
		z.cfg.Provide = z.provide
	}
	return z
}

// Run lets keepers work until ctx ends.
func (e *Zones) Run(ctx context.Context) {
	e.mu.Lock()
	e.ctx = ctx
	for _, k := range e.keepers {
		k.start(ctx)
	}
	e.mu.Unlock()
	<-ctx.Done()
}

// Want says what a zone should answer; it does not block.
func (e *Zones) Want(z *v1alpha1.DNSZone, hosts []steer.Host) {
	e.mu.Lock()
	k := e.keepers[z.Name]
	if k != nil && k.zone.UID != z.UID {
		k.stop()
		k = nil
	}
	if k == nil {
		k = &keeper{cfg: &e.cfg, wake: make(chan struct{}, 1), zone: z, stop: func() {}}
		e.keepers[z.Name] = k
		if e.ctx != nil {
			defer k.start(e.ctx)
		}
	}
	e.mu.Unlock()
	k.want(z, hosts)
}

// Only ends the keepers of zones that are not kept elsewhere any more. Their
// records stay as they are: a zone is given up, not emptied.
func (e *Zones) Only(zones []*v1alpha1.DNSZone) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, k := range e.keepers {
		if !slices.ContainsFunc(zones, func(z *v1alpha1.DNSZone) bool {
			return z.Name == name && (z.Spec.Route53 != nil || z.Spec.RFC2136 != nil)
		}) {
			k.stop()
			delete(e.keepers, name)
		}
	}
}

// Nudge has a zone kept again, with a provider made again.
func (e *Zones) Nudge(zone string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k := e.keepers[zone]; k != nil {
		k.mu.Lock()
		k.stale = true
		k.mu.Unlock()
		k.again()
	}
}

// Host is what has become of a host; ok is false if its zone is not kept elsewhere.
func (e *Zones) Host(zone, host string) (r Report, ok bool) {
	e.mu.Lock()
	k := e.keepers[zone]
	e.mu.Unlock()
	if k == nil {
		return Report{}, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if r, known := k.reports[host]; known {
		return r, true
	}
	return Report{Message: strings.TrimSuffix(host, ".") + " is not there yet"}, true
}

func (k *keeper) want(z *v1alpha1.DNSZone, hosts []steer.Host) {
	k.mu.Lock()
	same := k.hosts != nil && k.zone.Generation == z.Generation && reflect.DeepEqual(k.hosts, hosts)
	k.zone = z
	if hosts == nil {
		hosts = []steer.Host{}
	}
	k.hosts = hosts
	k.mu.Unlock()
	if !same {
		k.again()
	}
}

func (k *keeper) again() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) start(ctx context.Context) {
	ctx, k.stop = context.WithCancel(ctx)
	go k.run(ctx)
}

func (k *keeper) run(ctx context.Context) {
	var p provider.Provider
	var made *v1alpha1.DNSZone
	var known []provider.Set
	read := time.Time{}
	retry := keepRetry
	wait := driftInterval
	for {
		timer := k.cfg.Clock.NewTimer(wait)
		select {
		case <-k.wake:
		case <-timer.C():
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		k.mu.Lock()
		z, hosts, stale := k.zone, k.hosts, k.stale
		k.stale = false
		k.mu.Unlock()
		if made == nil || stale || made.Generation != z.Generation || k.cfg.Clock.Since(read) >= driftInterval {
			p, made, known = nil, z, nil
		}
		var report provider.Report
		var err error
		if p == nil {
			p, err = k.cfg.Provide(ctx, z)
		}
		if err == nil {
			if known == nil {
				read = k.cfg.Clock.Now()
			}
			report, err = k.sync(ctx, p, z, hosts, known)
			known = report.Known
		}
		if ctx.Err() != nil {
			return
		}
		k.note(ctx, z, hosts, report, err)
		switch {
		case err != nil || len(report.Errors) > 0:
			wait, retry, p = retry, min(2*retry, driftInterval), nil
		case !report.Settled && !z.Spec.DryRun || report.Tidying != nil:
			wait, retry = keepRetry, keepRetry // the same provider knows what it waits for
		default:
			wait, retry = max(keepRest, driftInterval-k.cfg.Clock.Since(read)), keepRetry
		}
		if !k.pause(ctx, keepRest) {
			return
		}
	}
}

func (k *keeper) sync(ctx context.Context, p provider.Provider, z *v1alpha1.DNSZone, hosts []steer.Host, known []provider.Set) (provider.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return provider.Sync(ctx, p, hosts, provider.Options{
		Domain: dotted(z.Spec.Domain), Owner: k.cfg.owner(z), DryRun: z.Spec.DryRun,
		AllowDeletion: int(z.Spec.AllowDeletion), Known: known,
	})
}

// pause waits, unless ctx ends first.
func (k *keeper) pause(ctx context.Context, d time.Duration) bool {
	timer := k.cfg.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// owner is whose the records in a zone are.
func (c *Config) owner(z *v1alpha1.DNSZone) string {
	if z.Spec.Owner != "" {
		return z.Spec.Owner
	}
	return c.HubUID
}

// note says on the zone and its hosts' routes how the pass went.
func (k *keeper) note(ctx context.Context, z *v1alpha1.DNSZone, hosts []steer.Host, r provider.Report, err error) {
	reports := map[string]Report{}
	for i := range hosts {
		name := hosts[i].Name
		reports[name] = reportOf(name, z, r, err)
	}
	k.mu.Lock()
	changed := !reflect.DeepEqual(k.reports, reports)
	k.reports = reports
	k.mu.Unlock()
	k.cfg.Status(z, keptStatus(z, len(hosts), r, err))
	if log := klog.FromContext(ctx).WithValues("dnsZone", klog.KObj(z)); err != nil {
		k.trouble.Failed(log, "", err, "The zone could not be brought up to date at its provider")
	} else {
		k.trouble.Worked(log, "", "The zone was brought up to date at its provider")
	}
	if changed {
		var routes []string
		for i := range hosts {
			routes = append(routes, hosts[i].Owner)
		}
		k.cfg.Changed(routes)
	}
}

func reportOf(name string, z *v1alpha1.DNSZone, r provider.Report, err error) Report {
	switch {
	case err != nil:
		return Report{Message: err.Error()}
	case r.Refused[name] != "":
		return Report{Message: r.Refused[name]}
	case r.Conflicts[name] != "":
		return Report{Message: r.Conflicts[name]}
	case r.Errors[name] != nil:
		return Report{Message: r.Errors[name].Error()}
	case z.Spec.DryRun:
		return Report{Message: "dryRun is set on DNSZone " + z.Name + ": nothing is changed there"}
	}
	return Report{Done: true, Message: r.Notes[name]}
}

// keptStatus says how a zone kept elsewhere is doing.
func keptStatus(z *v1alpha1.DNSZone, hosts int, r provider.Report, err error) v1alpha1.DNSZoneStatus {
	s := v1alpha1.DNSZoneStatus{
		ObservedGeneration: z.Generation, Provider: providerName(z), Hosts: int32(hosts),
		NameServers: r.Zone.NameServers, HostedZoneID: r.Zone.ID, Pending: r.Pending,
	}
	if len(s.Pending) > maxPending {
		s.Pending = append(slices.Clone(s.Pending[:maxPending-1]), fmt.Sprintf("… and %d more", len(r.Pending)-maxPending+1))
	}
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Kept", ObservedGeneration: z.Generation}
	switch bad := len(r.Refused) + len(r.Conflicts) + len(r.Errors); {
	case err != nil:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, "Failed", err.Error()
		s.NameServers, s.HostedZoneID = z.Status.NameServers, z.Status.HostedZoneID
	case bad > 0:
		ready.Status, ready.Reason = metav1.ConditionFalse, "KeptInPart"
		ready.Message = fmt.Sprintf("%d of %d hosts are not there as they should be: %s", bad, hosts, firstOf(r))
	case z.Spec.DryRun:
		ready.Status, ready.Reason = metav1.ConditionFalse, "DryRun"
		ready.Message = fmt.Sprintf("%d changes are shown in status.pending, and not made", len(r.Pending))
	case !r.Settled:
		ready.Reason, ready.Message = "Propagating", "the provider's servers have not all taken the last change over yet"
	case r.Tidying != nil:
		ready.Message = r.Tidying.Error()
	}
	held := metav1.Condition{Type: v1alpha1.ConditionDeletionsHeld, Status: metav1.ConditionFalse, Reason: "NoneHeld", ObservedGeneration: z.Generation}
	if r.Held > 0 {
		held.Status, held.Reason = metav1.ConditionTrue, "TooMany"
		held.Message = fmt.Sprintf("%d records would be deleted at once, more than a tenth of the zone's. Try: kubectl patch dnszone %s "+
			"--type merge -p '{\"spec\":{\"allowDeletion\":%d}}' if that is meant", r.Held, z.Name, r.Held)
	}
	s.Conditions = []metav1.Condition{ready, held}
	return s
}

// firstOf is the first of what is wrong, by host.
func firstOf(r provider.Report) string {
	var all []string
	for _, m := range []map[string]string{r.Refused, r.Conflicts} {
		for _, s := range m {
			all = append(all, s)
		}
	}
	for name, err := range r.Errors {
		all = append(all, strings.TrimSuffix(name, ".")+": "+err.Error())
	}
	return slices.Min(all)
}

func providerName(z *v1alpha1.DNSZone) string {
	switch {
	case z.Spec.Route53 != nil:
		return "Route53"
	case z.Spec.RFC2136 != nil:
		return "RFC2136"
	}
	return "Embedded"
}

// dotted is a domain name with a final dot.
func dotted(s string) string { return strings.TrimSuffix(route.Canonical(s), ".") + "." }
