package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Phases of a rollout, as users see them.
const (
	Progressing = "Progressing" // a step is on its way
	Waiting     = "Waiting"     // a step is ready and has to stay so for a time
	Paused      = "Paused"      // somebody holds it before the next step
	Stopped     = "Stopped"     // it failed and stopped by itself
	Complete    = "Complete"    // all clusters have it
)

// Step is the clusters that get a change together.
type Step struct {
	Name     string
	Clusters []string
}

// Cluster is one that has the workload, or is to have it.
type Cluster struct {
	Name string
	// Away: it does not answer, for long enough to be known for it.
	Away bool
	// Updated: it has the revision that goes out.
	Updated bool
	// Ready: Updated, and all pods are of that revision and available.
	Ready bool
	// Failed is what says that this will not come to be ready, empty if nothing
	// does.
	Failed string
	// Note is how it is doing, to be told where it makes no progress.
	Note string
}

// Input is all that a rollout depends on.
type Input struct {
	// Revision of the pod template at the hub now.
	Revision string
	Clusters []Cluster
	Steps    []Step
	// Paused by the policy or by the user's annotation.
	Paused bool
	// Held: the annotation that was set when the rollout stopped is there still;
	// to take it off is to resume.
	Held bool
	// Wait is how long a step has to be ready before the next begins.
	Wait time.Duration
	// Deadline is how long a step may make no progress.
	Deadline time.Duration
	// Stop at a failure; otherwise go on without the cluster.
	Stop bool
	// Progress is when any cluster was last seen to come nearer to its goal.
	Progress time.Time
	Now      time.Time
}

// Output says what to do.
type Output struct {
	// State to be kept. Where it is not what it was, it has to be written before
	// it is acted upon.
	State *State
	Phase string
	// Message says in a sentence what is waited for.
	Message string
	// Again is when to look again even if nothing changes; 0: no need.
	Again  time.Duration
	Events []Event
}

// Event is a transition that somebody may want to know of.
type Event struct {
	Warning bool
	Reason  string
	Message string
}

// Reasons of events.
const (
	ReasonStep     = "RolloutStep"
	ReasonStepDone = "RolloutStepDone"
	ReasonStopped  = "RolloutStopped"
	ReasonResumed  = "RolloutResumed"
	ReasonSkipped  = "RolloutClusterSkipped"
	ReasonComplete = "RolloutComplete"
)

// Advance takes a rollout as far as it goes now. state is what was kept, nil if
// nothing was: then there was no change yet, and what the object says goes
// everywhere at once, as it does when an object is created.
//
// The rules: a step begins when all clusters of the steps before, and of the one in
// motion, are ready, and have been for Wait. A cluster of a later step that has the
// revision already, as when a change is undone, is not waited for. A cluster that is away when its turn comes is passed over,
// and has its turn when it is back and no step is in motion; one that goes away
// during its step is waited for until Deadline. A cluster that fails stops the
// rollout, or is passed over; the others keep what they have. What was once let
// out is not taken back. Another change starts at the first step.
func Advance(state *State, in Input) Output {
	r := run{Input: in, byName: make(map[string]Cluster, len(in.Clusters))}
	for _, c := range in.Clusters {
		r.byName[c.Name] = c
	}
	if state == nil {
		r.state = &State{Revision: in.Revision, Done: true}
		return r.out(r.finished())
	}
	r.state = state.clone()
	if state.Revision != in.Revision {
		r.begin(state)
	}
	if r.state.Done {
		return r.out(r.finished())
	}
	return r.out(r.advance())
}

type run struct {
	Input
	state  *State
	byName map[string]Cluster
	events []Event
}

// begin is for a change: those that have it already, because it is one back to
// what they never left, need no turn.
func (r *run) begin(before *State) {
	next := &State{Revision: r.Revision, Proven: before.Proven, Began: *moment(r.Now)}
	if before.Done {
		next.Proven = before.Revision
	}
	for _, c := range r.Clusters {
		if c.Updated {
			next.Open = append(next.Open, c.Name)
		}
	}
	slices.Sort(next.Open)
	r.state = next
}

// advance returns the phase and what is waited for.
func (r *run) advance() (phase, message string, again time.Duration) {
	s := r.state
	if s.Stopped != "" {
		if r.Held {
			return Stopped, s.Stopped, 0
		}
		r.resume()
	}
	waiting, failed, deadline := r.unready()
	if len(failed) > 0 && r.fail(failed) {
		return Stopped, s.Stopped, 0
	}
	if len(waiting) > 0 {
		s.Ready = nil
		return Progressing, fmt.Sprintf("%s waits for %s to be ready", r.where(), strings.Join(waiting, ", ")), deadline
	}
	if s.Step != "" {
		if s.Ready == nil {
			s.Ready = moment(r.Now)
		}
		if left := s.Ready.Add(r.Wait).Sub(r.Now); left > 0 && r.more() {
			return Waiting, fmt.Sprintf("step %s is ready, the next begins after %s", s.Step, r.Wait), left
		}
	}
	return r.next()
}

// resume goes on without the clusters that made the rollout stop.
func (r *run) resume() {
	s := r.state
	r.tell(false, ReasonResumed, "resumed, without waiting for "+strings.Join(s.Failed, ", "))
	s.Skipped = union(s.Skipped, s.Failed)
	s.Stopped, s.Failed = "", nil
	s.Began = *moment(r.Now)
}

// unready is the clusters that are waited for, and those that have failed, with
// the reason. deadline is when those that wait will have failed.
func (r *run) unready() (waiting, failed []string, deadline time.Duration) {
	s := r.state
	since := s.Began
	if r.Progress.After(since) {
		since = r.Progress
	}
	deadline = since.Add(r.Deadline).Sub(r.Now)
	before := r.before()
	for _, c := range r.Clusters {
		current := slices.Contains(s.Current, c.Name)
		if c.Ready || !current && !(before[c.Name] && slices.Contains(s.Open, c.Name)) || slices.Contains(s.Skipped, c.Name) {
			continue
		}
		switch {
		case c.Away && (!current || deadline <= 0): // has its turn once it is back
		case c.Away:
			waiting = append(waiting, c.Name+" (away)")
		case c.Failed != "":
			failed = append(failed, c.Name)
		case deadline <= 0:
			failed = append(failed, c.Name)
		default:
			waiting = append(waiting, c.Name)
		}
	}
	slices.Sort(waiting)
	slices.Sort(failed)
	return waiting, failed, max(deadline, 0)
}

// before is the clusters of the steps before the next one, and all if there is none.
func (r *run) before() map[string]bool {
	out := make(map[string]bool, len(r.Clusters))
	next, _, _ := r.nextStep()
	for _, step := range r.Steps[:next] {
		for _, name := range step.Clusters {
			out[name] = true
		}
	}
	return out
}

// fail says whether the rollout stops.
func (r *run) fail(failed []string) (stop bool) {
	s := r.state
	reasons := make([]string, len(failed))
	for i, name := range failed {
		reasons[i] = name + ": " + r.byName[name].Failed
		if r.byName[name].Failed == "" {
			reasons[i] = fmt.Sprintf("%s: no progress for %s (%s)", name, r.Deadline, r.byName[name].Note)
		}
	}
	why := strings.Join(reasons, "; ")
	if !r.Stop {
		r.tell(true, ReasonSkipped, "continues without "+why)
		s.Skipped = union(s.Skipped, failed)
		return false
	}
	s.Failed, s.Ready = failed, nil
	s.Stopped = fmt.Sprintf("%s failed in %s", r.where(), why)
	r.tell(true, ReasonStopped, s.Stopped+"; the other clusters keep what they have. Try: hanse rollout undo, or hanse rollout resume to continue without "+strings.Join(failed, ", "))
	return true
}

// where is the step in motion; between steps, clusters of earlier ones may still
// be waited for.
func (r *run) where() string {
	if r.state.Step == "" {
		return "the rollout"
	}
	return "step " + r.state.Step
}

// next begins the next step, if there is one and nothing holds it.
func (r *run) next() (phase, message string, again time.Duration) {
	s := r.state
	next, turn, absent := r.nextStep()
	if next == len(r.Steps) {
		r.stepDone()
		if len(absent) > 0 {
			return Progressing, strings.Join(absent, ", ") + " out of reach, will get it when back", 0
		}
		s.Done, s.Proven = true, ""
		s.Open, s.Began, s.Ready = nil, time.Time{}, nil
		r.tell(false, ReasonComplete, "revision "+s.Revision+" is in all clusters"+r.except())
		return r.finished()
	}
	if r.Paused {
		return Paused, "paused before step " + r.Steps[next].Name + ". Try: hanse rollout resume", 0
	}
	r.stepDone()
	s.Step, s.Current, s.Began, s.Ready = r.Steps[next].Name, turn, *moment(r.Now), nil
	r.tell(false, ReasonStep, fmt.Sprintf("step %s: revision %s goes to %s", s.Step, s.Revision, strings.Join(s.Current, ", ")))
	return Progressing, fmt.Sprintf("step %s waits for %s to be ready", s.Step, strings.Join(s.Current, ", ")), r.Deadline
}

// stepDone counts the step in motion among the earlier ones.
func (r *run) stepDone() {
	s := r.state
	if s.Step == "" {
		return
	}
	r.tell(false, ReasonStepDone, "step "+s.Step+" is done")
	s.Open = union(s.Open, s.Current)
	s.Step, s.Current = "", nil
}

// nextStep is the index of the first step with clusters whose turn is still to come,
// and these, sorted; the number of steps if there is none. absent are those whose turn
// has to wait until they are back.
func (r *run) nextStep() (next int, turn, absent []string) {
	next = len(r.Steps)
	for i, step := range r.Steps {
		for _, name := range step.Clusters {
			c, placed := r.byName[name]
			switch {
			case !placed || r.state.Opens(name, r.state.Revision):
			case c.Away:
				absent = append(absent, name)
			case next >= i:
				next = i
				turn = append(turn, name)
			}
		}
	}
	// One that was let through and went away before it was ready.
	for _, c := range r.Clusters {
		if c.Away && !c.Ready && r.state.Opens(c.Name, r.state.Revision) && !slices.Contains(r.state.Skipped, c.Name) {
			absent = append(absent, c.Name)
		}
	}
	slices.Sort(turn)
	slices.Sort(absent)
	return next, turn, absent
}

// more says whether there is a step to come.
func (r *run) more() bool {
	next, _, _ := r.nextStep()
	return next < len(r.Steps)
}

// finished is the phase when every cluster may have the revision.
func (r *run) finished() (phase, message string, again time.Duration) {
	var missing []string
	for _, c := range r.Clusters {
		if !c.Ready && !slices.Contains(r.state.Skipped, c.Name) {
			missing = append(missing, c.Name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return Progressing, "waits for " + strings.Join(missing, ", ") + " to be ready", 0
	}
	return Complete, "all clusters have it" + r.except(), 0
}

func (r *run) except() string {
	if len(r.state.Skipped) == 0 {
		return ""
	}
	return ", but " + strings.Join(r.state.Skipped, ", ") + " failed and was skipped"
}

func (r *run) tell(warning bool, reason, message string) {
	r.events = append(r.events, Event{Warning: warning, Reason: reason, Message: message})
}

func (r *run) out(phase, message string, again time.Duration) Output {
	return Output{State: r.state, Phase: phase, Message: message, Again: again, Events: r.events}
}

// moment is a time as the state keeps it.
func moment(t time.Time) *time.Time {
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

func union(a, b []string) []string {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}
