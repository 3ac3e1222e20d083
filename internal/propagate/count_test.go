package propagate

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// sighted is a member of which it is counted how often it was looked at.
type sighted struct {
	version   uint64
	uncertain bool
	unread    error
	objects   map[template.Key]*decide.Observed
	looks     int
}

func (s *sighted) Name() string                        { return "aws" }
func (s *sighted) Reachable() bool                     { return true }
func (s *sighted) Heard(schema.GroupResource) bool     { return true }
func (s *sighted) Unread(schema.GroupResource) error   { return s.unread }
func (s *sighted) Version() (version uint64, yes bool) { return s.version, !s.uncertain }

func (s *sighted) Present() (keys []template.Key) {
	s.looks++
	for k := range s.objects {
		keys = append(keys, k)
	}
	return keys
}
func (s *sighted) Observed(key template.Key) *decide.Observed            { return s.objects[key] }
func (s *sighted) Glance(key template.Key) *decide.Observed              { return s.objects[key] }
func (s *sighted) Settled(key template.Key, target template.Target) bool { return false }

func configMapKey(name string) template.Key {
	return template.Key{GR: schema.GroupResource{Resource: "configmaps"}, Namespace: "shop", Name: name}
}

func placedIn(t testing.TB, name string, clusters ...string) (template.Key, *decide.Assignment) {
	key := configMapKey(name)
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "shop"}}}
	read, err := template.Read(key.GR, obj, func(map[string]any) uint64 { return 1 }, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &decide.Assignment{Template: read, Shares: map[string]template.Share{}}
	for _, c := range clusters {
		a.Shares[c] = template.Share{}
	}
	return key, a
}

// Objects are counted again when what they depend on is another, and not otherwise.
func TestCountsAreKept(t *testing.T) {
	p := newPublished()
	p.serve(decide.Served{GVR: schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}})
	for i := range 3 {
		key, a := placedIn(t, fmt.Sprint(i), "aws")
		p.publish(key, a, time.Time{})
	}
	c, m := newCounts(p), &sighted{objects: map[template.Key]*decide.Observed{}}
	expect := func(why string, looks int, want report.Counts) {
		t.Helper()
		before := m.looks
		for range 3 {
			if got := c.of(m); got != want {
				t.Errorf("%s: %+v, want %+v", why, got, want)
			}
		}
		if m.looks-before != looks {
			t.Errorf("%s: counted %d times, want %d", why, m.looks-before, looks)
		}
	}
	expect("first", 1, report.Counts{Pending: 3})

	key, a := placedIn(t, "another", "gcp")
	p.publish(key, a, time.Time{})
	expect("an object elsewhere", 0, report.Counts{Pending: 3})
	p.listed(schema.GroupResource{Resource: "configmaps"})
	expect("the hub was read", 1, report.Counts{Pending: 3})
	key, a = placedIn(t, "1", "gcp")
	p.publish(key, a, time.Time{})
	expect("it is to be elsewhere", 1, report.Counts{Pending: 2})
	p.publish(key, nil, time.Time{})
	expect("it is gone from elsewhere", 0, report.Counts{Pending: 2})
	key, a = placedIn(t, "active")
	a.Division = kinds.OneActive
	p.publish(key, a, time.Time{})
	expect("one that is active in another cluster", 1, report.Counts{Pending: 2})
	p.publish(key, nil, time.Time{})
	expect("it is gone", 1, report.Counts{Pending: 2})
	p.facts.Store(&decide.Facts{})
	expect("other facts", 1, report.Counts{Pending: 2})

	m.objects[configMapKey("0")] = &decide.Observed{UID: "u"}
	m.version++
	expect("a change in the member", 1, report.Counts{Pending: 2})
	m.objects[configMapKey("stray")] = &decide.Observed{UID: "u"} // of which nobody says when it is another
	m.version++
	expect("what is there without a template", 3, report.Counts{Pending: 3})
	key, a = placedIn(t, "stray", "gcp")
	p.publish(key, a, time.Time{})
	expect("what is there and to be elsewhere", 3, report.Counts{Pending: 3})
	delete(m.objects, configMapKey("stray"))
	expect("it is gone there", 1, report.Counts{Pending: 2})

	m.unread, m.uncertain = errors.New("refused"), true
	m.version++
	expect("nobody knows", 3, report.Counts{})
	m.unread, m.uncertain = nil, false
	expect("it is known again", 1, report.Counts{Pending: 2})
	c.forget("aws")
	expect("it left and came back", 1, report.Counts{Pending: 2})
	p.unserve(schema.GroupResource{Resource: "configmaps"})
	expect("the hub does not serve it", 1, report.Counts{})
}

func BenchmarkCount(b *testing.B) {
	p := newPublished()
	p.serve(decide.Served{GVR: schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}})
	m := &sighted{objects: map[template.Key]*decide.Observed{}}
	for i := range 1000 {
		key, a := placedIn(b, fmt.Sprint(i), "aws")
		p.publish(key, a, time.Time{})
		m.objects[key] = &decide.Observed{UID: "u"}
	}
	c := newCounts(p)
	b.ReportAllocs()
	for b.Loop() {
		m.version++
		c.of(m)
	}
}
