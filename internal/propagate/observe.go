package propagate

import (
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// memberSink takes in what a member's watch says of managed objects of one
// resource.
type memberSink struct {
	session *session
	gr      schema.GroupResource
}

func (s *memberSink) key(obj *unstructured.Unstructured) Key {
	return Key{GR: s.gr, Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// replace is all that is there: what is not, is gone. Everything of the
// resource is then looked at, also what has no record so far.
func (s *memberSink) replace(objs []*unstructured.Unstructured) {
	// The first list of a session is believed whatever was seen before: the
	// member may have been restored from a backup, back to lower versions.
	watched, _ := s.session.state(s.gr)
	there := make(map[Key]bool, len(objs))
	for _, obj := range objs {
		key := s.key(obj)
		if _, marked := readMark(key, obj); marked {
			there[key] = true
			s.take(obj, !watched)
		}
	}
	m := s.session.member
	for _, key := range m.keysOf(s.gr) {
		if !there[key] {
			s.forget(key, nil)
		}
	}
	s.session.setWatched(s.gr)
	s.session.queueAll(s.gr)
	for _, key := range s.session.engine.moves.of(s.gr) {
		s.session.engine.moveOn(key)
	}
}

func (s *memberSink) apply(obj *unstructured.Unstructured) {
	if _, marked := readMark(s.key(obj), obj); !marked {
		s.passOver(obj)
	} else if content, status := s.take(obj, false); content {
		s.session.queue.Add(s.key(obj))
	} else if status {
		s.session.engine.statusSoon(s.key(obj))
	}
	s.session.engine.moveOn(s.key(obj))
}

func (s *memberSink) remove(obj *unstructured.Unstructured) {
	key := s.key(obj)
	if t, _ := s.session.engine.template(key); t == nil && !s.session.member.get(key).seen.exists() {
		return // a copy, of which nobody waits for anything
	}
	s.forget(key, obj)
	s.session.queue.Add(key)
	s.session.engine.moveOn(key)
}

// passOver is for an object with the hub's label but without a mark that is about it:
// a copy of a managed one, as a rule. It is nobody's, so nothing of it is remembered. Only
// where the hub wants, or had, an object of that name there is it looked at by a worker.
func (s *memberSink) passOver(obj *unstructured.Unstructured) {
	key := s.key(obj)
	m, engine := s.session.member, s.session.engine
	if m.knows(key, obj.GetUID(), revision(obj.GetResourceVersion())) {
		return // before the hub took it over
	}
	if m.get(key).seen.exists() {
		s.forget(key, nil)
	} else if t, _ := engine.template(key); t == nil {
		return
	}
	s.session.queue.Add(key)
}

// take notes what obj is like. content says that a worker has to look at it,
// status that only its status is new. always is to note it even if a later
// version was seen.
func (s *memberSink) take(obj *unstructured.Unstructured, always bool) (content, status bool) {
	key := s.key(obj)
	m, engine := s.session.member, s.session.engine
	uid, rv := obj.GetUID(), revision(obj.GetResourceVersion())
	if !always && m.knows(key, uid, rv) {
		return false, false
	}
	now := engine.observe(key, obj)
	m.update(key, func(r *record) {
		if !always && r.seen.covers(uid, rv) {
			return
		}
		explained := r.left != nil && r.left.hash == now.hash
		content = !explained || r.seen.uid != uid || r.seen.deleting != now.deleting
		status = !reflect.DeepEqual(r.seen.status, now.status) || r.seen.generation != now.generation
		r.seen = now
		r.live = nil
		if !explained && !isCut(obj) {
			r.live = obj
		}
	})
	if content && isNamespace(s.gr) {
		s.session.namespaceChanged(key)
	}
	if err := m.within(engine.limits); err != nil {
		s.session.exceed(fmt.Errorf("the member has %w", err))
	}
	if isCRD(s.gr) {
		if _, established := customResource(obj); established {
			s.session.refreshSoon()
		}
	}
	if content || status {
		engine.changes.notify(key)
	}
	return content, status
}

// forget notes that an object is gone. obj is the last that was seen of it,
// nil if that is not known.
func (s *memberSink) forget(key Key, obj *unstructured.Unstructured) {
	s.session.member.update(key, func(r *record) {
		if obj != nil && r.seen.exists() && r.seen.uid != obj.GetUID() {
			return // a namesake took its place already
		}
		r.seen = observation{}
		r.live = nil
		r.held = ""
	})
	if isNamespace(s.gr) {
		s.session.namespaceChanged(key)
	}
	s.session.engine.changes.notify(key)
	s.session.engine.statusSoon(key)
}
