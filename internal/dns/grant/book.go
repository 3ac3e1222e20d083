package grant

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/internal/dns/route"
)

// Claim is a name that a namespace has, or had until not long ago.
type Claim struct {
	Namespace string `json:"-"`
	// Route is the GlobalRoute that has it, or had it last.
	Route string `json:"route"`
	// Since is when the namespace was given the name. No two are of the same moment, so that
	// it is always known who came first.
	Since time.Time `json:"since"`
	// Until is when the name is free again; zero: a route has it.
	Until time.Time `json:"until,omitzero"`
}

// Book is the claims that there are, by name without a final dot. It has a page for each
// namespace, which is how it is kept. It is no good for several goroutines at once.
type Book struct {
	claims  map[string]*Claim
	changed map[string]bool // namespaces
	latest  time.Time       // that a name was given
}

// NewBook is an empty one.
func NewBook() *Book { return &Book{claims: map[string]*Claim{}, changed: map[string]bool{}} }

// Load takes in a page, as Page has made it. Of two claims of one name the older counts.
func (b *Book) Load(namespace string, page []byte) error {
	var claims map[string]*Claim
	if err := json.Unmarshal(page, &claims); err != nil {
		return fmt.Errorf("the names of namespace %s cannot be read: %w", namespace, err)
	}
	for host, c := range claims {
		if other := b.claims[host]; c == nil || !route.Hostname(host) || other != nil && !c.Since.Before(other.Since) {
			continue
		}
		c.Namespace = namespace
		b.claims[host] = c
		if c.Since.After(b.latest) {
			b.latest = c.Since
		}
	}
	return nil
}

// Page is what to keep of a namespace; nil: nothing.
func (b *Book) Page(namespace string) []byte {
	claims := map[string]*Claim{}
	for host, c := range b.claims {
		if c.Namespace == namespace {
			claims[host] = c
		}
	}
	if len(claims) == 0 {
		return nil
	}
	page, err := json.Marshal(claims)
	if err != nil {
		return nil // strings and times can be written
	}
	return page
}

// Changed are the namespaces whose pages have changed since it was called last.
func (b *Book) Changed() []string {
	all := make([]string, 0, len(b.changed))
	for namespace := range b.changed {
		all = append(all, namespace)
	}
	clear(b.changed)
	slices.Sort(all)
	return all
}

// Next is when a claim ends that no route has any more; zero: none will.
func (b *Book) Next() time.Time {
	var next time.Time
	for _, c := range b.claims {
		if !c.Until.IsZero() && (next.IsZero() || c.Until.Before(next)) {
			next = c.Until
		}
	}
	return next
}

// Len is how many claims there are.
func (b *Book) Len() int { return len(b.claims) }

// give makes a name a namespace's route's.
func (b *Book) give(host, namespace, name string, now time.Time) {
	c := b.claims[host]
	if c != nil && c.Namespace == namespace && c.Route == name && c.Until.IsZero() {
		return
	}
	if c == nil || c.Namespace != namespace {
		if c != nil {
			b.changed[c.Namespace] = true
		}
		if !now.After(b.latest) {
			now = b.latest.Add(1)
		}
		c = &Claim{Namespace: namespace, Since: now}
		b.latest = now
		b.claims[host] = c
	}
	c.Route, c.Until = name, time.Time{}
	b.changed[namespace] = true
}

// release begins a claim's grace time, unless it has begun.
func (b *Book) release(host string, until time.Time) {
	if c := b.claims[host]; c != nil && c.Until.IsZero() {
		c.Until = until
		b.changed[c.Namespace] = true
	}
}

// forget ends a claim.
func (b *Book) forget(host string) {
	if c := b.claims[host]; c != nil {
		delete(b.claims, host)
		b.changed[c.Namespace] = true
	}
}
