package hub

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// resource is one that is propagated, with what was read of its objects last.
type resource struct {
	decide.Served
	stop context.CancelFunc

	mu        sync.Mutex // nothing is told of the resource without it, so that nothing is after it has ended
	ended     bool
	synced    bool // templates are all there are
	templates map[template.Key]*template.Template
}

func (r *resource) isSynced() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.synced
}

// end stops the watch; nothing is told of the resource any more.
func (r *resource) end() {
	r.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}

// templateSink takes in the objects of a resource.
type templateSink struct {
	watcher  *Watcher
	resource *resource
	log      klog.Logger
}

func (s *templateSink) replace(objs []*unstructured.Unstructured) {
	s.tell(func() decide.Input {
		in := decide.Listed{GR: s.resource.GVR.GroupResource(), Templates: make([]*template.Template, 0, len(objs))}
		next := make(map[template.Key]*template.Template, len(objs))
		for _, obj := range objs {
			if t := s.read(obj); t != nil {
				next[t.Key] = t
				in.Templates = append(in.Templates, t)
			}
		}
		s.resource.templates, s.resource.synced = next, true
		return in
	})
}

func (s *templateSink) apply(obj *unstructured.Unstructured) {
	s.tell(func() decide.Input {
		t := s.read(obj)
		if t == nil {
			return s.without(s.key(obj))
		}
		s.resource.templates[t.Key] = t
		return decide.Written{Template: t}
	})
}

func (s *templateSink) remove(obj *unstructured.Unstructured) {
	s.tell(func() decide.Input { return s.without(s.key(obj)) })
}

// tell has the world told of what changes; nil is nothing.
func (s *templateSink) tell(change func() decide.Input) {
	s.resource.mu.Lock()
	defer s.resource.mu.Unlock()
	if s.resource.ended {
		return
	}
	if in := change(); in != nil {
		s.watcher.into(in)
	}
	if s.resource.GVR.GroupResource() == template.CRDs() {
		s.watcher.rediscoverSoon()
	}
}

// without forgets an object. One that stayed at the hub is not known, and nobody has to hear of it.
func (s *templateSink) without(key template.Key) decide.Input {
	before := s.resource.templates[key]
	if before == nil {
		return nil
	}
	delete(s.resource.templates, key)
	return decide.Deleted{Key: key, UID: before.UID}
}

// read is the template of an object, nil if it stays at the hub. Of the same version of an object it is the same
// template.
func (s *templateSink) read(obj *unstructured.Unstructured) *template.Template {
	gr := s.resource.GVR.GroupResource()
	if _, stays := s.watcher.table.Stays(gr, obj); stays {
		return nil
	}
	before := s.resource.templates[s.key(obj)]
	if before != nil && before.UID == obj.GetUID() && before.Revision != 0 && before.Revision == template.RevisionOf(obj.GetResourceVersion()) {
		return before
	}
	t, err := template.Read(gr, obj, s.watcher.hasher.Content, before)
	if err != nil {
		s.log.Info("Annotation is not understood and will be written again", "key", t.Key.String(), "reason", err.Error())
	}
	return t
}

func (s *templateSink) key(obj *unstructured.Unstructured) template.Key {
	return template.Key{GR: s.resource.GVR.GroupResource(), Namespace: obj.GetNamespace(), Name: obj.GetName()}
}
