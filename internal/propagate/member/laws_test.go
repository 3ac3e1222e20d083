package member

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/adoption"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/apitest"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rights"
)

// place is where one object is in a member, and a hub that wants it to be like its own. All is in memory, and nothing happens
// at once.
type place struct {
	*rapid.T
	hub     *hub
	key     template.Key
	rec     record
	runs    int
	history lineage.History
	now     time.Time

	api     memberAPI      // for managedFields and versions only
	obj     map[string]any // nil: not there
	stray   types.UID      // of an object that the hub must not touch
	as      map[string]any // as which it was made
	version int
	unseen  bool // the watch has not shown it yet
	writes  int  // since the last look
	deleted []types.UID
}

func newPlace(t *rapid.T) *place {
	p := &place{T: t, hub: newHub(), key: keyOf("web"), now: epoch.Add(time.Hour), version: 100}
	p.restart()
	return p
}

// restart is the hub that is started again: it remembers nothing.
func (p *place) restart() {
	p.runs++
	p.history = p.history.Begin(fmt.Sprint("run", p.runs), lineage.Database{Revision: uint64(100 * p.runs)})
	p.rec = record{}
	p.unseen = p.obj != nil
}

func (p *place) view() *view {
	w, _ := p.hub.Wanted("aws", p.key)
	return &view{cluster: "aws", key: p.key, want: w, rec: p.rec, hub: hubUID, run: fmt.Sprint("run", p.runs), history: p.history, hasher: p.hub.hasher,
		scalersKnown: true, bounds: Bounds{Namespaces: adoption.Namespaces{Allow: []string{"*"}}, Access: rights.All()}, schema: &schemaMark{}, accepts: func(int32) bool { return true }, now: p.now}
}

// see has the watch show what is there, of what has the label and a mark, as sink does.
func (p *place) see() {
	p.unseen = false
	u := unstructuredOf(p.obj)
	if p.obj == nil || u.GetLabels()[v1alpha1.LabelManaged] != "true" {
		p.rec.seen, p.rec.live = seen{}, nil
		return
	}
	if _, marked := readMark(p.key, u); !marked {
		p.rec.seen, p.rec.live = seen{}, nil
		return
	}
	p.rec.seen, p.rec.live = observe(p.hub.hasher, p.key, u), nil
	if !p.rec.asLeft() {
		p.rec.live = u.DeepCopy()
	}
}

// reconcile is one attempt, as task.do makes it. lost: the answer to a write does not arrive.
func (p *place) reconcile(lost bool) step {
	v := p.view()
	writes := p.writes
	s := next(v)
	for s.verb != nothing {
		p.note(s)
		if s.verb == create && p.obj != nil { // it comes to nothing
			writes++
		}
		obj, err := p.ask(s)
		if lost && s.verb.writes() {
			err = fmt.Errorf("the connection was closed")
		}
		s = v.answered(s, obj, err)
	}
	p.note(s)
	if p.writes > writes+1 {
		p.Fatalf("%d writes in one attempt", p.writes-writes)
	}
	return s
}

func (p *place) note(s step) {
	if s.remember != nil {
		s.remember(&p.rec)
	}
}

// ask is what the member's API server does.
func (p *place) ask(s step) (*unstructured.Unstructured, error) {
	if s.verb.writes() {
		p.writes++
	}
	gr := p.key.GR
	if s.verb == create {
		if p.obj != nil {
			return nil, apierrors.NewAlreadyExists(gr, p.key.Name)
		}
		return p.store(map[string]any{}, s.body, v1alpha1.FieldManager, false)
	}
	if p.obj == nil {
		return nil, apierrors.NewNotFound(gr, p.key.Name)
	}
	switch s.verb {
	case get:
		return unstructuredOf(p.obj).DeepCopy(), nil
	case remove:
		if s.uid != unstructuredOf(p.obj).GetUID() {
			return nil, apierrors.NewConflict(gr, p.key.Name, fmt.Errorf("another uid"))
		}
		p.deleted = append(p.deleted, s.uid)
		p.obj = nil
		return nil, nil
	}
	return p.store(p.obj, s.body, v1alpha1.FieldManager, s.verb == replace)
}

func (p *place) store(before, body map[string]any, manager string, whole bool) (*unstructured.Unstructured, error) {
	sent, was := unstructuredOf(toJSON(body)), unstructuredOf(before)
	if rv := sent.GetResourceVersion(); rv != "" && rv != was.GetResourceVersion() || sent.GetUID() != "" && sent.GetUID() != was.GetUID() {
		return nil, apierrors.NewConflict(p.key.GR, p.key.Name, fmt.Errorf("an older version"))
	}
	after := runtime.DeepCopyJSON(before)
	if whole {
		sent.SetUID(was.GetUID())
		sent.SetCreationTimestamp(was.GetCreationTimestamp())
		after = sent.Object
	} else {
		apitest.Merge(after, sent.Object)
	}
	if len(before) > 0 && sameBut(before, after) {
		return unstructuredOf(before).DeepCopy(), nil
	}
	p.api.own(before, after, manager)
	p.version++
	u := unstructuredOf(after)
	u.SetResourceVersion(strconv.Itoa(p.version))
	if u.GetUID() == "" {
		u.SetUID(types.UID(fmt.Sprint("uid-", p.version)))
	}
	p.obj, p.unseen = after, true
	return u.DeepCopy(), nil
}

// stranger puts an object there that is no hub's of ours.
func (p *place) stranger() {
	if p.obj != nil {
		return
	}
	obj := configMapOf("web", rapid.SampledFrom([]string{"value", "theirs"}).Draw(p.T, "content"))
	u := unstructuredOf(obj)
	switch rapid.IntRange(0, 2).Draw(p.T, "whose") {
	case 1:
		u.SetLabels(map[string]string{v1alpha1.LabelManaged: "true"})
		u.SetAnnotations(map[string]string{v1alpha1.AnnotationOrigin: lineage.Origin{Hub: "another", Session: "x", Revision: 1, Template: "t", On: p.key.Object()}.String()})
	case 2: // a copy of something else of ours
		u.SetLabels(map[string]string{v1alpha1.LabelManaged: "true"})
		u.SetAnnotations(map[string]string{v1alpha1.AnnotationOrigin: lineage.Origin{Hub: hubUID, Session: "run1", Revision: 1, Template: "t", On: keyOf("other").Object()}.String()})
	}
	made, err := p.store(map[string]any{}, obj, "kubectl", false)
	if err != nil {
		p.Fatal(err)
	}
	p.stray, p.as = made.GetUID(), made.Object
}

// edit is what somebody in the member does to it.
func (p *place) edit() {
	if p.obj == nil {
		return
	}
	patch := rapid.SampledFrom([]map[string]any{
		{"data": map[string]any{"key": "edited"}},
		{"data": map[string]any{"other": "theirs"}},
		{"data": map[string]any{"key": nil}},
		{"metadata": map[string]any{"labels": map[string]any{"team": "a"}}},
		{"metadata": map[string]any{"labels": map[string]any{v1alpha1.LabelManaged: nil}}},
		{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.AnnotationOrigin: nil}}},
	}).Draw(p.T, "edit")
	_, _ = p.store(p.obj, patch, "kubectl", false)
	if unstructuredOf(p.obj).GetUID() == p.stray {
		p.as = runtime.DeepCopyJSON(p.obj)
	}
}

// change is what somebody at the hub does.
func (p *place) change() {
	switch rapid.IntRange(0, 3).Draw(p.T, "at the hub") {
	case 0:
		p.hub.drop(p.key)
	case 1:
		placed := rapid.Bool().Draw(p.T, "placed")
		p.hub.with(p.key, func(w *decide.Wanted) { w.Placed = placed })
	default:
		obj := configMapOf("web", rapid.SampledFrom([]string{"value", "changed"}).Draw(p.T, "value"))
		meta := obj["metadata"].(map[string]any)
		meta["uid"] = rapid.SampledFrom([]string{"first", "second"}).Draw(p.T, "template")
		meta["resourceVersion"] = strconv.Itoa(100*p.runs + 1)
		if rapid.IntRange(0, 5).Draw(p.T, "conflict") == 0 {
			meta["annotations"] = map[string]any{v1alpha1.AnnotationConflict: rapid.SampledFrom([]string{v1alpha1.ConflictAdopt, v1alpha1.ConflictOverwrite}).Draw(p.T, "how")}
		}
		p.hub.put(configMaps(), obj)
	}
}

// respectsStrangers fails when the hub has done something to an object that is not its own, and that nobody has allowed it to
// change.
func (p *place) respectsStrangers() {
	if p.stray == "" {
		return
	}
	for _, uid := range p.deleted {
		if uid == p.stray {
			if w, _ := p.hub.Wanted("aws", p.key); w == nil || p.as != nil {
				p.Fatalf("a stranger was deleted: %v", p.as)
			}
		}
	}
	u := unstructuredOf(p.obj)
	w, _ := p.hub.Wanted("aws", p.key)
	if p.obj == nil || u.GetUID() != p.stray || w != nil && w.Object.GetAnnotations()[v1alpha1.AnnotationConflict] != "" {
		p.stray = "" // it is another by now, or may be taken over
		return
	}
	if mark, ok := readMark(p.key, u); ok && mark.Origin.Hub == hubUID {
		if fmt.Sprint(p.obj["data"]) != fmt.Sprint(p.as["data"]) {
			p.Fatalf("a stranger that differs was taken over: %v, was %v", p.obj, p.as)
		}
		p.stray = "" // equal, and adopted
		return
	}
	if !sameBut(p.obj, p.as) {
		p.Fatalf("a stranger was changed: %v, was %v", p.obj, p.as)
	}
}

// settles has all come to rest, and says how many attempts that took.
func (p *place) settles() {
	for attempt := range 12 {
		p.see()
		before := p.writes
		p.now = p.now.Add(time.Minute)
		s := p.reconcile(false)
		p.respectsStrangers()
		_, waits := s.err.(waiting)
		if p.writes == before && !waits && attempt > 0 {
			return
		}
		if _, conflict := s.err.(conflictError); conflict {
			return
		}
	}
	p.Fatalf("it does not come to rest: %v, record %+v", p.obj, p.rec)
}

// TestLaws plays histories of one object: at most one write an attempt, strangers are left alone, all comes to rest, then nothing
// is written, not even by a hub that has been started again and remembers nothing; and what is placed is there as it is to be.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPlace(t)
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1:
				p.change()
			case 2:
				p.edit()
			case 3:
				p.stranger()
			case 4:
				p.obj, p.stray = nil, "" // somebody deletes it
			case 5:
				p.restart()
				p.see()
			case 6:
				p.see()
			default:
				p.reconcile(rapid.IntRange(0, 3).Draw(t, "lost") == 0)
				p.respectsStrangers()
			}
		}
		p.settles()
		before := runtime.DeepCopyJSON(map[string]any{"object": p.obj})
		writes := p.writes
		p.restart()
		p.see()
		s := p.reconcile(false)
		_, conflict := s.err.(conflictError)
		if created := s.err != nil && !conflict; created {
			t.Fatalf("after a restart: %v", s.err)
		}
		if !sameBut(before, map[string]any{"object": p.obj}) || p.writes > writes+1 {
			t.Fatalf("a restart has %d written: %v, was %v", p.writes-writes, p.obj, before)
		}
		p.isAsWanted(conflict)
	})
}

// isAsWanted fails if what is placed is not there as the hub has it, or what is not is there still.
func (p *place) isAsWanted(conflict bool) {
	w, _ := p.hub.Wanted("aws", p.key)
	switch {
	case conflict:
	case w != nil && w.Placed:
		data, _ := p.obj["data"].(map[string]any)
		if want := w.Content.Object["data"].(map[string]any)["key"]; data["key"] != want {
			p.Fatalf("it says %v, want %v", p.obj, want)
		}
	case p.obj == nil:
	default:
		mark, ok := readMark(p.key, unstructuredOf(p.obj))
		if ok && mark.Origin.Hub == hubUID && mark.Proven && unstructuredOf(p.obj).GetLabels()[v1alpha1.LabelManaged] == "true" && p.history.Knows(mark.Origin) {
			p.Fatalf("it is there still: %v", p.obj)
		}
	}
}
