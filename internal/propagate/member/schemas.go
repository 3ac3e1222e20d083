package member

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/propagate/work"
)

// A member may not keep all that is written: fields that its version or its CRD does not have, or that a feature gate
// disables, are left out without a word, and webhooks may take out others. All else is kept, so that refusing the object would
// be worse. The answer to a write shows it: what was sent and is not there at all was dropped. It is sent again when
// the member may know better, which its schema says, and not before.

// schemaMark stands for a member's schema of a group and version, as long as it is the same: two marks are the same only if
// they are one.
type schemaMark struct{ hash string }

const (
	// lookForSchemas is how often a member that has dropped something is asked for its schemas: a small document of hashes.
	lookForSchemas = 15 * time.Second
	// sendAnyway is how often what was dropped is sent again without any news: a webhook, or one of several API servers, may
	// have changed.
	sendAnyway = 30 * time.Minute
)

// schemas is what is known of a member's schemas during a session.
type schemas struct {
	mu       sync.Mutex
	watching bool
	begun    *schemaMark // of all that is not known better
	marks    map[schema.GroupVersion]*schemaMark
	seen     map[schema.GroupVersion]string // hashes; nil: never asked
	unsure   map[schema.GroupVersion]bool   // changed when last asked: servers take it up one by one
	sent     time.Time                      // when all was sent last
}

func newSchemas() schemas { return schemas{begun: &schemaMark{hash: "begin"}} }

// of is the mark of a schema in the member now.
func (k *schemas) of(gv schema.GroupVersion) *schemaMark {
	k.mu.Lock()
	defer k.mu.Unlock()
	if mark := k.marks[gv]; mark != nil {
		return mark
	}
	return k.begun
}

// watch looks from now on, as long as something is dropped, whether the member's schemas change, and has it sent again when
// they do. It does not block.
func (k *schemas) watch(s *session) {
	s.mu.Lock()
	ctx := s.ctx
	s.mu.Unlock()
	if ctx == nil || !s.member.drops() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.watching {
		return
	}
	k.watching = true
	go func() {
		work.Keep(ctx, s.member.clock, s.member.name+"/schemas", func(ctx context.Context) { k.run(ctx, s) })
	}()
}

func (k *schemas) run(ctx context.Context, s *session) {
	for {
		if !work.Rest(ctx, s.member.clock, s.member.schemasEvery, nil) || k.over(s) {
			return
		}
		hashes, err := s.readSchemas(ctx)
		if err != nil {
			klog.FromContext(ctx).V(1).Info("The member's schemas cannot be read", "reason", err.Error())
			continue
		}
		k.compare(hashes, s.member.clock.Now())
		for _, key := range s.member.dropped() {
			s.queue.Add(key) // a look at a mark, if nothing has changed
		}
	}
}

// over says whether nothing is dropped any more, and notes that nobody looks then.
func (k *schemas) over(s *session) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watching = s.member.drops()
	return !k.watching
}

// compare makes new marks for those that changed.
func (k *schemas) compare(hashes map[schema.GroupVersion]string, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.marks == nil || now.Sub(k.sent) > sendAnyway {
		// What was written before may have been under other schemas.
		k.begun, k.sent = &schemaMark{hash: "seen"}, now
		k.marks, k.unsure = map[schema.GroupVersion]*schemaMark{}, map[schema.GroupVersion]bool{}
	}
	for gv, hash := range hashes {
		changed := k.seen != nil && k.seen[gv] != hash
		if changed || k.unsure[gv] {
			k.marks[gv] = &schemaMark{hash: hash}
		}
		k.unsure[gv] = changed
	}
	k.seen = hashes
}

// readSchemas asks the member for the hashes of its schemas.
func (s *session) readSchemas(ctx context.Context) (map[schema.GroupVersion]string, error) {
	body, err := s.watches.Get().AbsPath("/openapi/v3").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var index struct {
		Paths map[string]struct {
			ServerRelativeURL string `json:"serverRelativeURL"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(body, &index); err != nil {
		return nil, fmt.Errorf("the index of its schemas: %w", err)
	}
	out := map[schema.GroupVersion]string{}
	for path, at := range index.Paths {
		if gv, err := schema.ParseGroupVersion(strings.TrimPrefix(strings.TrimPrefix(path, "apis/"), "api/")); err == nil {
			out[gv] = at.ServerRelativeURL
		}
	}
	return out, nil
}

// dropped is what the member did not keep all of.
func (m *Member) dropped() (keys []template.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.incomplete {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, template.Key.Compare)
	return keys
}

func (m *Member) drops() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.incomplete) > 0
}
