package propagate

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/adoption"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/member"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rights"
)

// published is what was decided, for all goroutines. The loop alone changes it, by replacing values that do not
// change; a mutex guards the maps that lead to them, and nothing is done while it is held.
type published struct {
	facts   atomic.Pointer[decide.Facts]
	members atomic.Pointer[[]*member.Member] // by name

	mu        sync.RWMutex
	resources map[schema.GroupResource]*resource
	// version rises with each change that may concern any cluster, versions with those of entries of which it has a share.
	version  uint64
	versions map[string]uint64
	// placed is which objects a cluster is to have, or may be, by its name and their resource.
	placed map[string]map[schema.GroupResource]map[*entry]struct{}
}

// resource is one that is propagated.
type resource struct {
	member.Resource
	synced  bool // entries are all there are
	entries map[types.NamespacedName]*entry
	// everywhere are the objects that every cluster has, also such as join later.
	everywhere map[*entry]struct{}
}

// entry is an object with what was last decided about it.
type entry struct {
	key        template.Key
	assignment *decide.Assignment
	// at is when members were last given something else to do about it.
	at time.Time
}

func newPublished() *published {
	p := &published{resources: map[schema.GroupResource]*resource{}, versions: map[string]uint64{}, placed: map[string]map[schema.GroupResource]map[*entry]struct{}{}}
	p.facts.Store(&decide.Facts{})
	p.members.Store(&[]*member.Member{})
	return p
}

// serve is for a resource that is propagated from now on, unserve for one that is no more.
func (p *published) serve(in decide.Served) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resources[in.GVR.GroupResource()] = &resource{
		Resource: member.Resource{GVR: in.GVR, GVK: in.GVK}, entries: map[types.NamespacedName]*entry{}, everywhere: map[*entry]struct{}{},
	}
}

func (p *published) unserve(gr schema.GroupResource) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.resources, gr)
	p.version++
	for _, of := range p.placed {
		delete(of, gr)
	}
}

// listed notes that all objects of a resource are known.
func (p *published) listed(gr schema.GroupResource) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.resources[gr]; r != nil {
		r.synced = true
		p.version++
	}
}

// publish takes over what was decided about an object; nil: it is gone.
func (p *published) publish(key template.Key, a *decide.Assignment, now time.Time) (before *decide.Assignment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.resources[key.GR]
	if r == nil {
		return nil
	}
	e := r.entries[key.NamespacedName()]
	if e == nil {
		if a == nil {
			return nil
		}
		e = &entry{key: key}
		r.entries[key.NamespacedName()] = e
	}
	before = e.assignment
	e.assignment = a
	p.rise(before)
	p.rise(a)
	if before == nil || a == nil || before.Content != a.Content || before.Undecided != a.Undecided {
		e.at = now
	}
	if before != nil {
		for cluster := range before.Shares {
			if !isIn(a, cluster) {
				delete(p.placed[cluster][key.GR], e)
			}
		}
	}
	if a == nil {
		delete(r.entries, key.NamespacedName())
		delete(r.everywhere, e)
		return before
	}
	for cluster := range a.Shares {
		if !isIn(before, cluster) {
			p.in(cluster, key.GR)[e] = struct{}{}
		}
	}
	if a.Division == kinds.OneActive {
		r.everywhere[e] = struct{}{}
	}
	return before
}

func (p *published) in(cluster string, gr schema.GroupResource) map[*entry]struct{} {
	of := p.placed[cluster]
	if of == nil {
		of = map[schema.GroupResource]map[*entry]struct{}{}
		p.placed[cluster] = of
	}
	if of[gr] == nil {
		of[gr] = map[*entry]struct{}{}
	}
	return of[gr]
}

// rise has the versions rise that an assignment concerns. p.mu is held.
func (p *published) rise(a *decide.Assignment) {
	if a == nil {
		return
	}
	if a.Division == kinds.OneActive {
		p.version++ // it is in all clusters
	}
	for cluster := range a.Shares {
		p.versions[cluster]++
	}
}

// since is when members were last given something else to do about an object; zero: nobody knows.
func (p *published) since(key template.Key) time.Time {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if r := p.resources[key.GR]; r != nil {
		if e := r.entries[key.NamespacedName()]; e != nil {
			return e.at
		}
	}
	return time.Time{}
}

// Facts is what is known beside the objects.
func (p *published) Facts() *decide.Facts { return p.facts.Load() }

// Assignment is what was decided about an object, nil if there is none.
func (p *published) Assignment(key template.Key) *decide.Assignment {
	a, _ := p.assignment(key)
	return a
}

// assignment is Assignment, and whether it is known if there is one.
func (p *published) assignment(key template.Key) (a *decide.Assignment, known bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	r := p.resources[key.GR]
	if r == nil {
		return nil, false
	}
	if e := r.entries[key.NamespacedName()]; e != nil {
		a = e.assignment
	}
	return a, r.synced
}

// Assignments is all, in any order, as they are when it is called.
func (p *published) Assignments() iter.Seq[*decide.Assignment] {
	p.mu.RLock()
	var all []*decide.Assignment
	for _, r := range p.resources {
		for _, e := range r.entries {
			all = append(all, e.assignment)
		}
	}
	p.mu.RUnlock()
	return slices.Values(all)
}

// Members is all members by name.
func (p *published) Members() []report.Member {
	members := *p.members.Load()
	out := make([]report.Member, len(members))
	for i, m := range members {
		out[i] = m
	}
	return out
}

// member is one of them, nil if there is none.
func (p *published) member(name string) *member.Member {
	members := *p.members.Load()
	at, found := slices.BinarySearchFunc(members, name, func(m *member.Member, name string) int { return strings.Compare(m.Name(), name) })
	if !found {
		return nil
	}
	return members[at]
}

// here is what is placed in a cluster, of the resources that of selects, as it is when it is called.
func (p *published) here(cluster string, of func(schema.GroupResource) bool, do func(*entry)) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for gr, entries := range p.placed[cluster] {
		if of == nil || of(gr) {
			for e := range entries {
				do(e)
			}
		}
	}
	for gr, r := range p.resources {
		if len(r.everywhere) == 0 || of != nil && !of(gr) {
			continue
		}
		for e := range r.everywhere {
			if _, also := p.placed[cluster][gr][e]; !also {
				do(e)
			}
		}
	}
}

// concerning is what was decided about the objects that a cluster is to have, may be to have, or has, and those of which it is known
// that there is no template. present are those that it has; strays says whether there may be any among them of which it has no
// share.
func (p *published) concerning(cluster string, present []template.Key) (all []*decide.Assignment, surplus []template.Key, strays bool) {
	p.here(cluster, nil, func(e *entry) { all = append(all, e.assignment) })
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, key := range present {
		r := p.resources[key.GR]
		if r == nil {
			continue
		}
		e := r.entries[key.NamespacedName()]
		if e != nil && (isIn(e.assignment, cluster) || e.assignment.Division == kinds.OneActive) {
			continue // it is among all
		}
		strays = true
		switch {
		case e != nil:
			all = append(all, e.assignment)
		case r.synced:
			surplus = append(surplus, key)
		}
	}
	return all, surplus, strays
}

// current is the version of what concerns a cluster, but for objects that are there and of which it has no share.
func (p *published) current(cluster string) uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.version + p.versions[cluster]
}

// The following make it a member.Source.

// Wanted is what a cluster is to have of an object now.
func (p *published) Wanted(cluster string, key template.Key) (w *decide.Wanted, known bool) {
	a, known := p.assignment(key)
	if a == nil || !known {
		return nil, known
	}
	return a.For(cluster, p.Facts()), true
}

// Bounds are those of a cluster; where nobody knows it, the default ones.
func (p *published) Bounds(cluster string) member.Bounds {
	if c := p.Facts().Clusters[cluster]; c != nil {
		return member.Bounds{Namespaces: c.Namespaces, Access: c.Access}
	}
	return member.Bounds{Namespaces: adoption.DefaultNamespaces(), Access: rights.All()}
}

// Resources are all that are propagated.
func (p *published) Resources() []member.Resource {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := make([]member.Resource, 0, len(p.resources))
	for _, r := range p.resources {
		out = append(out, r.Resource)
	}
	return out
}

// Resource is one of them.
func (p *published) Resource(gr schema.GroupResource) (member.Resource, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	r := p.resources[gr]
	if r == nil {
		return member.Resource{}, false
	}
	return r.Resource, true
}

// Has says whether a cluster may be to have any object of a resource.
func (p *published) Has(cluster string, gr schema.GroupResource) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	r := p.resources[gr]
	return len(p.placed[cluster][gr]) > 0 || r != nil && len(r.everywhere) > 0
}

// Keys are the objects of a resource that a cluster may be to have.
func (p *published) Keys(cluster string, gr schema.GroupResource) (keys []template.Key) {
	p.here(cluster, func(one schema.GroupResource) bool { return one == gr }, func(e *entry) { keys = append(keys, e.key) })
	return keys
}

// KeysIn are those in a namespace.
func (p *published) KeysIn(cluster, namespace string) (keys []template.Key) {
	p.here(cluster, nil, func(e *entry) {
		if e.key.Namespace == namespace {
			keys = append(keys, e.key)
		}
	})
	return keys
}

// synced says whether all objects of all resources are known; nil if so.
func (p *published) synced() error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for gr, r := range p.resources {
		if !r.synced {
			return fmt.Errorf("%s have not been read from the hub yet", gr)
		}
	}
	return nil
}

func isIn(a *decide.Assignment, cluster string) bool {
	if a == nil {
		return false
	}
	_, in := a.Shares[cluster]
	return in
}
