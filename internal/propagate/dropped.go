package propagate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/fieldmerge"
)

// A member may not keep all that is written: fields that its version or its CRD does not
// have, or that a feature gate disables, are left out without a word, and webhooks may take
// out others. All else is kept, so that refusing the object would be worse. The answer to
// a write shows it: what was sent and is not there at all was dropped. It is sent again
// when the member may know better, which its schema says, and not before.

// schemaMark stands for a member's schema of a group and version, as long as it is the
// same: two marks are the same only if they are one.
type schemaMark struct{ hash string }

const (
	// lookForSchemas is how often a member that has dropped something is asked for its
	// schemas: a small document of hashes.
	lookForSchemas = 15 * time.Second
	// sendAnyway is how often what was dropped is sent again without any news: a webhook,
	// or one of several API servers, may have changed.
	sendAnyway = 30 * time.Minute
	// shownFields bounds a message.
	shownFields = 5
)

// schemas is what is known of a member's schemas during a session.
type schemas struct {
	begun  *schemaMark // of all that is not known better
	marks  map[schema.GroupVersion]*schemaMark
	seen   map[schema.GroupVersion]string // hashes; nil: never asked
	unsure map[schema.GroupVersion]bool   // changed when last asked: servers take it up one by one
	sent   time.Time                      // when all was sent last
}

func newSchemas() schemas {
	return schemas{begun: &schemaMark{hash: "begin"}, marks: map[schema.GroupVersion]*schemaMark{}, unsure: map[schema.GroupVersion]bool{}}
}

// schemaOf is that of a resource's schema in the member now.
func (s *session) schemaOf(gr schema.GroupResource) *schemaMark {
	r := s.engine.resource(gr)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r != nil && s.schemas.marks[r.gvr.GroupVersion()] != nil {
		return s.schemas.marks[r.gvr.GroupVersion()]
	}
	return s.schemas.begun
}

// dropsAnew says whether fields that the member dropped are to be sent again: its schema
// is another than then, or nobody knows.
func (t *task) dropsAnew() bool {
	return len(t.rec.left.dropped()) > 0 && t.rec.left.kept.schema != t.schemaOf(t.key.GR)
}

// droppedFrom is what of desired is not in obj, the member's answer.
func (t *task) droppedFrom(obj *unstructured.Unstructured, desired map[string]any) []fieldmerge.Path {
	// The hub's own API server leaves out zeros that mean nothing; an override's are as
	// somebody wrote them.
	zeros := t.template == nil || len(t.template.shapes[t.member.name].overrides) == 0
	return fieldmerge.Missing(desired, obj.Object, zeros)
}

// tellDropped makes an event of fields that the member did not keep, once.
func (t *task) tellDropped(dropped []fieldmerge.Path) {
	if len(dropped) == 0 || fmt.Sprint(t.rec.left.dropped()) == fmt.Sprint(dropped) {
		return
	}
	t.tell(corev1.EventTypeWarning, reasonDropped, t.engine.droppedMessage(t.member.name, dropped))
}

// droppedMessage names fields, never what is in them.
func (e *Engine) droppedMessage(cluster string, dropped []fieldmerge.Path) string {
	e.mu.RLock()
	if c := e.clusters[cluster]; c != nil && c.version != "" {
		cluster += " (" + c.version + ")"
	}
	e.mu.RUnlock()
	names := make([]string, 0, shownFields+1)
	for _, p := range dropped[:min(len(dropped), shownFields)] {
		names = append(names, p.String())
	}
	if more := len(dropped) - shownFields; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return "written, but " + cluster + " did not keep " + strings.Join(names, ", ") +
		": its version or its CRD does not have that or has it disabled, or a webhook takes it out. Try: upgrade the cluster, or the CRD there"
}

// watchSchemas looks, as long as something is dropped, whether the member's schemas change,
// and has it sent again when they do; until ctx ends.
func (s *session) watchSchemas(ctx context.Context) {
	tick := time.NewTicker(s.schemasEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		dropped := s.member.dropped()
		if len(dropped) == 0 {
			continue
		}
		hashes, err := s.readSchemas(ctx)
		if err != nil {
			klog.FromContext(ctx).V(1).Info("The member's schemas cannot be read", "reason", err.Error())
			continue
		}
		s.compareSchemas(hashes, time.Now())
		for _, key := range dropped {
			s.queue.Add(key) // a look at a mark, if nothing has changed
		}
	}
}

// compareSchemas makes new marks for those that changed.
func (s *session) compareSchemas(hashes map[schema.GroupVersion]string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &s.schemas
	if k.seen == nil || now.Sub(k.sent) > sendAnyway {
		// What was written before may have been under other schemas.
		k.begun, k.sent = &schemaMark{hash: "seen"}, now
		clear(k.marks)
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
	body, err := s.discovery.RESTClient().Get().AbsPath("/openapi/v3").DoRaw(ctx)
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
func (m *member) dropped() (keys []Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, r := range m.records {
		if len(r.left.dropped()) > 0 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.String(), b.String()) })
	return keys
}
