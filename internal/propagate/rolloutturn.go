package propagate

import (
	"maps"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// progress is how far a template's rollout has gone, as its annotations say.
type progress struct {
	kept  string         // AnnotationRolloutState
	hold  string         // AnnotationRollout
	state *rollout.State // nil: there was no change so far
}

func (p progress) differs(q progress) bool { return p.kept != q.kept || p.hold != q.hold }

// governed says whether a policy lets changes of the pod template go out step by
// step. Everything else of the object, its replicas above all, goes out at once.
func (t *template) governed() bool {
	return t.policy != nil && t.policy.Rollout != nil && rollout.Rolls(t.key.GR)
}

// revision is the one that all members are to have in the end; empty where
// that is of no account.
func (t *template) revision() string {
	if !t.governed() {
		return ""
	}
	return t.content.revision
}

// settled says whether a rollout has nothing to do until something changes at the hub.
func (t *template) settled() bool {
	if !t.governed() {
		return t.progress.kept == "" && t.progress.hold != v1alpha1.RolloutStopped
	}
	s := t.progress.state
	return s != nil && s.Done && s.Revision == t.content.revision && t.progress.kept != "" && t.progress.hold != v1alpha1.RolloutStopped
}

// readRollout fills in what t's annotations say of its rollout, and has the pod
// template of before kept if t has another. Engine.mu is held.
func (e *Engine) readRollout(t, before *template) {
	if !rollout.Rolls(t.key.GR) {
		return
	}
	if t.content.revision == "" {
		t.content.revision = rollout.RevisionOf(podTemplate(t.content.object))
	}
	annotations := t.obj.GetAnnotations()
	t.progress = progress{kept: annotations[v1alpha1.AnnotationRolloutState], hold: annotations[v1alpha1.AnnotationRollout]}
	if before != nil && before.uid == t.uid {
		if before.content.revision != t.content.revision {
			e.rollouts.keepLater(before)
		}
		if t.progress.kept == "" && before.progress.state != nil && t.governed() {
			// The object was replaced by one without annotations: they are written again.
			t.progress.state, t.progress.hold = before.progress.state, before.progress.hold
			return
		}
	}
	t.progress.state = parseState(t.progress.kept)
	if t.governed() && t.progress.state == nil && before != nil && before.uid == t.uid && before.content.revision != t.content.revision {
		// The first change, before anything was recorded.
		t.progress.state = &rollout.State{Revision: before.content.revision, Done: true}
	}
}

// parseState takes what cannot be read for the state of some other change: then
// the rollout starts at the first step, and nothing is let out because of it.
func parseState(kept string) *rollout.State {
	if kept == "" {
		return nil
	}
	state, err := rollout.Parse(kept)
	if err != nil {
		return &rollout.State{Revision: "unknown"}
	}
	return state
}

// podTemplate is spec.template; nil if there is none.
func podTemplate(object map[string]any) map[string]any {
	spec, _ := object["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	return template
}

// turn is what a member is to have of a template's pods at the moment.
type turn struct {
	revision string         // which the member then has; empty where it is of no account
	template map[string]any // in place of the hub's pod template; nil: the hub's
	asIs     bool           // the pod template there is left alone
}

// takeTurn finds out which pod template the member is to have. One whose turn it is
// not keeps the one that it has. An object that is not there (the cluster is new, or
// somebody deleted it) is made with the pod template that went everywhere before; with
// the hub's where that is not known.
func (t *task) takeTurn() error {
	t.turn = turn{}
	if !t.template.governed() {
		return nil
	}
	target, seen, state := t.template.content.revision, t.rec.seen, t.template.progress.state
	there := seen.exists() && seen.ours(t.engine.hubUID) && seen.mark.Origin.Template == t.template.uid
	if state.Opens(t.member.name, target) || there && seen.revision == target {
		t.turn.revision = target
		return nil
	}
	has := seen.revision
	if !there {
		has = state.Proven
	}
	template, loaded := t.engine.rollouts.past(t.template.uid, has)
	switch {
	case template != nil:
		t.turn = turn{revision: has, template: template}
	case there:
		t.turn = turn{revision: has, asIs: true}
	case !loaded && has != "":
		return waiting{"the earlier revisions of the object"}
	default:
		t.turn.revision = target
	}
	return nil
}

// turned is desired with the pod template whose turn it is.
func (t *task) turned(desired map[string]any) map[string]any {
	if t.turn.revision != "" {
		meta := desired["metadata"].(map[string]any)
		desired["metadata"] = withField(meta, "annotations", with(meta["annotations"], v1alpha1.AnnotationRevision, t.turn.revision))
	}
	if spec, ok := desired["spec"].(map[string]any); ok && t.turn.template != nil {
		desired["spec"] = withField(spec, "template", t.turn.template)
	}
	return desired
}

// withoutAsIs is desired without what is left alone, so that it is not taken for
// written when the member's turn comes.
func (r turn) withoutAsIs(desired map[string]any) map[string]any {
	spec, ok := desired["spec"].(map[string]any)
	if !ok || !r.asIs {
		return desired
	}
	spec = maps.Clone(spec)
	delete(spec, "template")
	return withField(desired, "spec", spec)
}

// skip is the fields that are left as the member has them.
func (r turn) skip() []string {
	if r.asIs {
		return []string{"spec.template"}
	}
	return nil
}

// outlive notes that what the member said of its pods is about those of the pod
// template that was just replaced. A Deployment whose deadline was exceeded goes on
// saying so until the new pods get on.
func (t *task) outlive() {
	if !rollout.Rolls(t.key.GR) {
		return
	}
	now := t.target()
	t.member.update(t.key, func(r *record) {
		if r.left == nil || r.left.target.pods() != now.pods() {
			r.outlived = rollout.SaidAt(r.seen.status)
		}
	})
}
