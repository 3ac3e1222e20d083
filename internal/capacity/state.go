package capacity

import (
	"maps"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// state is what is known of one member, kept up to date by its watches. Every
// event costs the same, however many pods there are.
type state struct {
	mu      sync.Mutex
	nodes   map[string]*node
	pods    map[types.NamespacedName]pod
	shapes  map[string]*shape
	volumes map[string]volume // those that are bound
	// All there is has been read once.
	nodesRead, podsRead, volumesRead bool
	view                             *View            // nil: to be made again
	unread                           map[string]error // what cannot be read at present
}

func newState() *state {
	return &state{nodes: map[string]*node{}, pods: map[types.NamespacedName]pod{}, shapes: map[string]*shape{}, volumes: map[string]volume{}, unread: map[string]error{}}
}

// setPod takes in a pod; counts as of readPod. It says whether that is news.
func (s *state) setPod(name types.NamespacedName, p pod, counts bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !counts {
		return s.drop(name)
	}
	return s.keep(name, p)
}

func (s *state) keep(name types.NamespacedName, p pod) bool {
	known := s.shapes[p.shape.id]
	if known == nil {
		known = p.shape
		s.shapes[known.id] = known
	}
	p.shape = known
	before, there := s.pods[name]
	if there && before == p {
		return false
	}
	known.pods++
	s.pods[name] = p
	if there {
		s.release(before.shape)
	}
	s.view = nil
	return true
}

func (s *state) drop(name types.NamespacedName) bool {
	before, there := s.pods[name]
	if !there {
		return false
	}
	delete(s.pods, name)
	s.release(before.shape)
	s.view = nil
	return true
}

func (s *state) release(sh *shape) {
	if sh.pods--; sh.pods == 0 {
		delete(s.shapes, sh.id)
	}
}

// setNode takes in a node and says whether that is news: its heartbeats are
// not.
func (s *state) setNode(n *node) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reflect.DeepEqual(s.nodes[n.name], n) {
		return false
	}
	s.nodes[n.name] = n
	s.view = nil
	return true
}

func (s *state) removeNode(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.nodes[name]
	delete(s.nodes, name)
	s.view = nil
	return there
}

// replacePods is all pods that count; what is not there is gone.
func (s *state) replacePods(all map[types.NamespacedName]pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.pods {
		if _, there := all[name]; !there {
			s.drop(name)
		}
	}
	for name, p := range all {
		s.keep(name, p)
	}
	s.podsRead, s.view = true, nil
}

func (s *state) replaceNodes(all []*node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = make(map[string]*node, len(all))
	for _, n := range all {
		s.nodes[n.name] = n
	}
	s.nodesRead, s.view = true, nil
}

// current is the View of what is known now, nil until all has been read once.
func (s *state) current() *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.nodesRead || !s.podsRead {
		return nil
	}
	if s.view == nil {
		s.view = s.newView()
	}
	return s.view
}

// setUnread notes why a resource cannot be read; nil: it can.
func (s *state) setUnread(resource string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.unread, resource)
	if err != nil {
		s.unread[resource] = err
	}
}

func (s *state) forgetUnread() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.unread)
}

func (s *state) unreadNow() map[string]error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.unread)
}
