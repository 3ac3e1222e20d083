package member

import (
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/watch"
)

// sink takes in what a watch says of the hub's objects of one resource. Its methods are called one at a time.
type sink struct {
	session   *session
	gr        schema.GroupResource
	namespace string // that alone is watched; empty: all
	heard     bool   // what is there, once
}

func (s *sink) key(obj *unstructured.Unstructured) template.Key {
	return template.Key{GR: s.gr, Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// begun says whether this is the first list of the watch, and what was written before it had come.
func (s *sink) begun() (first bool, early map[template.Key]bool) {
	s.session.mu.Lock()
	defer s.session.mu.Unlock()
	k := s.session.kinds[s.gr]
	if k == nil || k.listed {
		return false, nil
	}
	return true, k.early
}

// listed notes that it is known what is there.
func (s *sink) listed() (news bool) {
	s.session.mu.Lock()
	defer s.session.mu.Unlock()
	k := s.session.kinds[s.gr]
	if k == nil || k.stop == nil {
		return false
	}
	if !s.heard {
		s.heard = true
		k.unlisted--
	}
	if k.unlisted > 0 {
		return false // until all namespaces have been read
	}
	news = !k.read
	k.read, k.listed, k.early = true, true, nil
	return news
}

// replace is all that is there: what is not, is gone. Everything of the resource is then looked at, also what has no record.
func (s *sink) replace(objs []*unstructured.Unstructured, version uint64) {
	// The first list of a watch is believed whatever was seen before: the member may have been restored from a backup, back
	// to lower versions. Only what was written while it was read is not in it as it is.
	first, written := s.begun()
	m := s.session.member
	early := map[template.Key]bool{}
	for key := range written {
		early[key] = m.get(key).seen.rv > version
	}
	there := make(map[template.Key]bool, len(objs))
	var news []template.Key
	for _, obj := range objs {
		key := s.key(obj)
		if _, marked := readMark(key, obj); marked {
			there[key] = true
			if _, status := s.take(obj, first && !early[key]); status {
				news = append(news, key)
			}
		}
	}
	if len(news) > 0 && !first { // else all is told of in a moment
		m.listener.StatusChanged(m.name, news...)
	}
	for _, key := range m.keysOf(s.gr) {
		if !there[key] && !early[key] && (s.namespace == "" || key.Namespace == s.namespace) {
			s.forget(key, nil)
		}
	}
	if s.listed() {
		s.session.hasRead(s.gr)
	}
	s.session.queueAll(s.gr)
}

// knows says whether that version of an object, or a later one, was seen, so that apply would do nothing: most of what a watch says
// follows a write of the hub's, and was in the answer to that.
func (s *sink) knows(h watch.Head) bool {
	key := template.Key{GR: s.gr, Namespace: h.Namespace, Name: h.Name}
	return s.session.member.knows(key, h.UID, template.RevisionOf(h.ResourceVersion))
}

// apply is an object that is new or has changed.
func (s *sink) apply(obj *unstructured.Unstructured) {
	key := s.key(obj)
	if _, marked := readMark(key, obj); !marked {
		s.passOver(obj)
	} else if content, status := s.take(obj, false); content {
		s.session.queue.Add(key)
	} else if status {
		s.session.member.listener.StatusChanged(s.session.member.name, key)
	}
}

// remove is an object that was deleted, as it was last.
func (s *sink) remove(obj *unstructured.Unstructured) {
	key, m := s.key(obj), s.session.member
	if w, _ := m.source.Wanted(m.name, key); w == nil && !m.exists(key) {
		return // a copy, of which nobody waits for anything
	}
	s.forget(key, obj)
	s.session.queue.Add(key)
}

func (m *Member) exists(key template.Key) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[key]
	return r != nil && r.seen.exists()
}

// passOver is for an object with the hub's label but without a mark that is about it: a copy of a managed one, as a rule. It is
// nobody's, so nothing of it is remembered. Only where the hub wants, or had, an object of that name there is it looked at by
// a worker.
func (s *sink) passOver(obj *unstructured.Unstructured) {
	key, m := s.key(obj), s.session.member
	if m.knows(key, obj.GetUID(), template.RevisionOf(obj.GetResourceVersion())) {
		return // before the hub took it over
	}
	if m.exists(key) {
		s.forget(key, nil)
	} else if w, _ := m.source.Wanted(m.name, key); w == nil {
		return
	}
	s.session.queue.Add(key)
}

// take notes what obj is like. content says that a worker has to look at it, status that only its status is new. always is to
// note it even if a later version was seen.
func (s *sink) take(obj *unstructured.Unstructured, always bool) (content, status bool) {
	key, m := s.key(obj), s.session.member
	uid, rv := obj.GetUID(), template.RevisionOf(obj.GetResourceVersion())
	if !always && m.knows(key, uid, rv) {
		return false, false
	}
	now := observe(m.options.Hasher, key, obj)
	m.update(key, func(r *record) {
		if !always && r.seen.covers(uid, rv) {
			return
		}
		explained := r.left != nil && r.left.hash == now.hash
		content = !explained || r.seen.uid != uid || r.seen.deleting != now.deleting
		status = r.seen.generation != now.generation || !reflect.DeepEqual(r.seen.status, now.status)
		if !status {
			now.status = r.seen.status // one copy is enough
		}
		r.seen, r.live = now, nil
		if !explained && !isCut(obj) {
			r.live = obj
		}
	})
	s.follow(key, obj, content)
	if content || status {
		m.listener.Changed(key)
	}
	return content, status
}

// follow has others go on that waited for obj, and ends the session if the member is too large.
func (s *sink) follow(key template.Key, obj *unstructured.Unstructured, content bool) {
	if content && s.gr == template.Namespaces() {
		s.session.namespaceChanged(key)
	}
	if err := s.session.member.within(); err != nil {
		s.session.exceed(fmt.Errorf("the member has %w", err))
	}
	if s.gr == template.CRDs() {
		if status, _ := obj.Object["status"].(map[string]any); isEstablished(status) {
			s.session.refreshSoon()
		}
	}
}

// forget notes that an object is gone. obj is the last that was seen of it, nil if that is not known.
func (s *sink) forget(key template.Key, obj *unstructured.Unstructured) {
	m := s.session.member
	m.update(key, func(r *record) {
		if obj != nil && r.seen.exists() && r.seen.uid != obj.GetUID() {
			return // a namesake took its place already
		}
		r.seen, r.live = seen{}, nil
		if r.withheld() != "" {
			r.changed().withheld = ""
		}
	})
	if s.gr == template.Namespaces() {
		s.session.namespaceChanged(key)
	}
	m.listener.Changed(key)
	m.listener.StatusChanged(m.name, key)
}

// isEstablished reads the status of a CustomResourceDefinition.
func isEstablished(status map[string]any) bool {
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == "Established" && m["status"] == "True" {
			return true
		}
	}
	return false
}
