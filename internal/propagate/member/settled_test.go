package member

import (
	"errors"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/desired"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// An object is settled if and only if what is told of it says so.
func TestSettledSaysWhatObservedSays(t *testing.T) {
	h := newHub()
	key := template.Key{GR: configMaps(), Namespace: "shop", Name: "web"}
	contents := []*template.Content{{Object: configMapOf("web", "a"), Hash: 1}, {Object: configMapOf("web", "b"), Hash: 2}}
	rapid.Check(t, func(t *rapid.T) {
		m := New("aws", h.options(), h, h)
		m.update(key, func(r *record) {
			r.seen.uid, r.seen.hash = "u", 1
			r.left = &left{hash: 1, Made: desired.Made{Content: contents[0], Share: template.Share{Replicas: 1}}}
			for range rapid.IntRange(0, 2).Draw(t, "odd") {
				switch rapid.IntRange(0, 7).Draw(t, "what") {
				case 0:
					r.seen.uid = ""
				case 1:
					r.seen.deleting = true
				case 2:
					r.seen.hash = 2
				case 3:
					r.left = nil
				case 4:
					if r.left != nil {
						r.left.kept = &kept{dropped: []fieldmerge.Path{{"data"}}}
					}
				case 5:
					if r.left != nil {
						r.left.kept = &kept{skipped: []string{"data"}}
					}
				case 6:
					r.setFault(&decide.Problem{Message: "refused"}, epoch)
				case 7:
					r.changed().withheld = "because"
				}
			}
		})
		target := template.Target{Content: contents[rapid.IntRange(0, 3).Draw(t, "content")/3], Share: template.Share{Replicas: 1 + rapid.Int32Range(0, 3).Draw(t, "share")/3}}
		o := m.Observed(key)
		want := o.Exists() && !o.Deleting && o.Fault == nil && o.Withheld == "" && o.InSync && len(o.Dropped) == 0 && o.Left != nil && *o.Left == target
		if got := m.Settled(key, target); got != want {
			t.Fatalf("%v, of %+v", got, o)
		}
		glance := m.Glance(key)
		if (glance == nil) != (o == nil) {
			t.Fatalf("%v, want %v", glance, o)
		}
		if o != nil {
			if o.Spec = nil; !reflect.DeepEqual(glance, o) {
				t.Fatalf("%+v, want %+v", glance, o)
			}
		}
	})
}

// What cannot be read changes the version, or makes it uncertain.
func TestTheVersionSaysWhatCannotBeRead(t *testing.T) {
	h := newHub()
	m := New("aws", h.options(), h, h)
	s := unconnected(m, func() {})
	m.begin(s)
	s.kinds[configMaps()] = &kind{}
	before, certain := m.Version()
	if !certain {
		t.Error("uncertain, although all can be read")
	}
	s.setUnread(t.Context(), configMaps(), errors.New("refused"))
	after, certain := m.Version()
	if after == before || certain {
		t.Errorf("version %d after %d, certain: %v", after, before, certain)
	}
	s.setUnread(t.Context(), configMaps(), nil)
	if _, certain = m.Version(); !certain {
		t.Error("uncertain, although all can be read again")
	}
	m.update(template.Key{GR: configMaps(), Name: "web"}, func(r *record) { r.seen = observe(h.hasher, template.Key{}, &unstructured.Unstructured{}) })
	if now, _ := m.Version(); now == after {
		t.Error("a record changed, the version did not")
	}
	m.Disengage()
	if now, certain := m.Version(); now == after || !certain {
		t.Errorf("version %d, certain: %v, of a member that is away", now, certain)
	}
}
