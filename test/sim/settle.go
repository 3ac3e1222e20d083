package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/internal/lineage"
)

const (
	// settling is how long all may take to be as it should once the faults have ended.
	settling = 10 * time.Minute
	// settlingButWork is the same for all but Jobs, which take as long as they take.
	settlingButWork = 90 * time.Second
	// silence is how long nothing may be written afterwards.
	silence = time.Minute
)

// calm ends all faults; with one member that stays dead, if there is one and stay is true.
func (f *federation) calm(stay bool) {
	f.mu.Lock()
	f.note("all faults end")
	for _, m := range f.members {
		switch {
		case m.dead && stay && len(f.joined()) > 2:
			f.note("… but %s stays dead", m.name)
			continue
		case m.dead:
			m.revive()
		}
		m.faults = faults{}
		m.dropped, m.events = m.version, nil
		m.cut()
		for _, o := range m.all(autoscalers) {
			m.server.drop(ref{autoscalers, text(o.obj, "metadata", "namespace"), text(o.obj, "metadata", "name")})
		}
		for _, r := range sortedRefs(m.objects) {
			m.release(r)
		}
	}
	for _, m := range f.joined() {
		r := ref{gr: clusters, name: m.name}
		obj := runtime.DeepCopyJSON(f.hub.get(r))
		spec := obj["spec"].(object)
		for _, field := range []string{"drain", "unschedulable", "taints"} {
			delete(spec, field)
		}
		f.hub.put(r, obj)
	}
	f.hubWay = faults{}
	f.hub.cut()
	f.mu.Unlock()
}

// settle waits until all is as it should be, and nothing is written any more.
func (f *federation) settle() error {
	begun := time.Now()
	var missing []string
	for time.Since(begun) < settling {
		time.Sleep(2 * time.Second)
		f.mu.Lock()
		f.watch.look()
		missing = f.missing()
		wrong := len(f.watch.wrong)
		f.mu.Unlock()
		if wrong > 0 {
			return nil
		}
		if len(missing) == 0 {
			break
		}
		soon := slices.DeleteFunc(slices.Clone(missing), func(what string) bool { return strings.HasPrefix(what, "jobs/") })
		if time.Since(begun) > settlingButWork && len(soon) > 0 {
			return fmt.Errorf("%s after the faults have ended: %s", settlingButWork, strings.Join(missing, "; "))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s after the faults have ended: %s", settling, strings.Join(missing, "; "))
	}
	f.mu.Lock()
	f.note("all is as it should be after %s", time.Since(begun))
	f.mu.Unlock()
	for tries := 0; ; tries++ {
		f.untilNobodyWorks()
		f.mu.Lock()
		before := f.watch.writes
		f.mu.Unlock()
		time.Sleep(silence)
		f.mu.Lock()
		n := f.watch.writes - before
		f.mu.Unlock()
		if n == 0 {
			break
		}
		if tries == 3 {
			return fmt.Errorf("%d writes in the last of four minutes in which nothing was to be done", n)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if missing = f.missing(); len(missing) > 0 {
		return fmt.Errorf("it did not last: %s", strings.Join(missing, "; "))
	}
	return nil
}

// untilNobodyWorks waits for Jobs that nobody waits for, of which the hub tells all the same. mu is not held.
func (f *federation) untilNobodyWorks() {
	for begun := time.Now(); time.Since(begun) < settling; time.Sleep(2 * time.Second) {
		f.mu.Lock()
		works := slices.ContainsFunc(f.members, func(m *member) bool { return m.works() })
		f.mu.Unlock()
		if !works {
			break
		}
	}
	time.Sleep(2 * time.Second) // until it is told
}

// missing is what is not as it should be. mu is held.
func (f *federation) missing() (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, m := range f.members {
		if c := f.hub.get(ref{gr: clusters, name: m.name}); c != nil && text(c, "metadata", "deletionTimestamp") != "" && !m.dead {
			say("%s has not left", m.name)
		}
	}
	joined, history := f.joined(), f.history()
	// Somebody has to be asked about what this hub does not know to be its own: it is in conflict, or stays.
	foreign := func(m *member, r ref) bool {
		obj := m.get(r)
		return obj != nil && (!f.watch.puts[text(obj, "metadata", "uid")] || !knows(history, obj))
	}
	for _, gr := range []resource{namespaces, configMaps, deployments, jobs} {
		for _, o := range f.hub.all(gr) {
			r := ref{gr, text(o.obj, "metadata", "namespace"), text(o.obj, "metadata", "name")}
			if r.namespace == "hanse-system" || r.namespace == "" && (r.name == "hanse-system" || r.name == "kube-system") {
				continue
			}
			if r == (ref{gr: namespaces, name: vault}) {
				continue // see trespasses
			}
			if slices.ContainsFunc(joined, func(m *member) bool { return foreign(m, r) || foreign(m, ref{gr: namespaces, name: r.namespace}) }) {
				continue
			}
			switch gr {
			case deployments:
				f.missingReplicas(r, o.obj, joined, say)
			case jobs:
				f.missingWork(r, o.obj, joined, say)
			default:
				f.missingCopies(r, o.obj, joined, say)
			}
		}
	}
	for _, m := range joined {
		if m.dead {
			continue
		}
		for _, r := range append(m.theirs(), ref{gr: namespaces, name: vault}) {
			obj := m.get(r)
			if f.trespasses(m, r, obj, history) {
				say("%s is in %s, where no Residency lets it be", r, m.name)
			}
			if f.watch.puts[text(obj, "metadata", "uid")] && f.people.deleted[origin(obj)] && f.hub.get(r) == nil && knows(history, obj) {
				say("%s is still in %s", r, m.name)
			}
		}
	}
	return all
}

// history is the lineage as the hub has written it. mu is held.
func (f *federation) history() lineage.History {
	h, err := lineage.Decode(text(f.hub.get(ref{configMaps, "hanse-system", "hanse-lineage"}), "data", "history"))
	if err != nil {
		panic(err)
	}
	return h
}

func knows(h lineage.History, obj object) bool {
	o, err := lineage.ParseOrigin(text(obj, "metadata", "annotations", "hanse.dev/origin"))
	return err == nil && h.Knows(o)
}

func (f *federation) missingCopies(r ref, obj object, joined []*member, say func(string, ...any)) {
	how := f.propagation(r)
	if how != "None" && !slices.ContainsFunc(joined, func(m *member) bool { return f.allows(r, m.name) }) {
		return // the policy is taken for a mistake, and the object is left alone
	}
	for _, m := range joined {
		if m.dead {
			continue
		}
		there := m.get(r)
		named, wanted := f.named(m, r)
		switch allowed := f.allows(r, m.name); {
		case allowed && how == "Needed" && !wanted:
			if !named && there != nil && f.watch.puts[text(there, "metadata", "uid")] {
				say("%s is in %s, where nothing names it", r, m.name)
			}
		case allowed && there == nil:
			say("%s is not in %s", r, m.name)
		case allowed && fmt.Sprint(there["data"]) != fmt.Sprint(obj["data"]):
			say("%s in %s is another", r, m.name)
		case !allowed && there != nil && f.watch.puts[text(there, "metadata", "uid")] && f.resides(r, m.name): // else see trespasses
			say("%s is in %s, where it may not be", r, m.name)
		}
	}
}

func (f *federation) missingReplicas(r ref, obj object, joined []*member, say func(string, ...any)) {
	wanted, places := number(obj, "spec", "replicas"), 0
	var told, ready, pending int64
	for _, m := range joined {
		if m.dead {
			continue
		}
		if f.allowsMore(r, m.name) {
			places++
		}
		if d := m.get(r); d != nil {
			told += number(d, "spec", "replicas")
			ready += m.ready(r)
			pending += int64(len(m.pods[r])) - m.ready(r)
		}
	}
	if places == 0 {
		return
	}
	if cpuOf(obj) > 0 && (told < wanted || pending > 0) && f.isFull(joined) {
		return
	}
	said := number(obj, "status", "readyReplicas")
	observed, generation := number(obj, "status", "observedGeneration"), number(obj, "metadata", "generation")
	if told != wanted || ready != wanted || said != wanted || observed != generation {
		say("%s: %d wanted, %d told, %d ready, %d ready at the hub, generation %d of %d", r, wanted, told, ready, said, observed, generation)
	}
}

// isFull says whether some members may have no room for what is large: somebody's copies take some, too.
func (f *federation) isFull(joined []*member) bool {
	var sum int64
	for _, o := range f.hub.all(deployments) {
		sum += cpuOf(o.obj) * number(o.obj, "spec", "replicas")
	}
	return sum > nodeCPU-3 || slices.ContainsFunc(joined, func(m *member) bool {
		taken := int64(0)
		for _, all := range m.pods {
			for _, p := range all {
				taken += p.cpu
			}
		}
		return taken > nodeCPU-6
	})
}

// isComplete says whether the hub has a Job as done.
func isComplete(job object) bool {
	status, _ := job["status"].(object)
	conditions, _ := status["conditions"].([]any)
	return slices.ContainsFunc(conditions, func(c any) bool {
		m, _ := c.(object)
		return m["type"] == "Complete" && m["status"] == "True"
	})
}

// divisionOf is what the hub has recorded on an object.
func divisionOf(obj object) (division map[string]int64) {
	_ = json.Unmarshal([]byte(text(obj, "metadata", "annotations", "hanse.dev/division")), &division)
	return division
}

// awaitsReading says whether a Job rightly waits for a member that stays dead: the hub was restored, and says that the Job may have
// begun there.
func (f *federation) awaitsReading(job object, joined []*member) bool {
	conditions, _ := at(job, "status", "conditions").([]any)
	return slices.ContainsFunc(conditions, func(c any) bool {
		m, _ := c.(object)
		said, _ := m["message"].(string)
		return strings.Contains(said, "restored from an older copy") && slices.ContainsFunc(joined, func(one *member) bool {
			return one.dead && strings.Contains(said, one.name)
		})
	})
}

func (f *federation) missingWork(r ref, obj object, joined []*member, say func(string, ...any)) {
	uid := text(obj, "metadata", "uid")
	places := 0
	for _, m := range joined {
		if f.allowsMore(r, m.name) && !m.dead {
			places++
		}
	}
	if places == 0 || f.watch.excused[uid] {
		return
	}
	if (len(f.watch.begun[uid]) == 0 || f.watch.again[uid]) && isComplete(obj) {
		return // a copy from which the hub was restored has it as done: it was, and what was deleted since is not done again
	}
	if f.awaitsReading(obj, joined) {
		return
	}
	var done int64
	for _, m := range f.members {
		if j := m.get(r); j != nil && origin(j) == uid {
			done += number(j, "status", "succeeded")
		}
		if m.dead && (f.watch.begun[uid][m.name] > 0 || divisionOf(obj)[m.name] > 0) {
			return // it cannot be done again by itself
		}
	}
	if done < completionsOf(obj) {
		say("%s: %d of %d done, given to %v", r, done, completionsOf(obj), f.watch.begun[uid])
	} else if number(obj, "status", "succeeded") != done {
		say("%s: %d done, %d at the hub", r, done, number(obj, "status", "succeeded"))
	}
}

// rollWithoutTheDead has every Deployment change while a cluster is lost: nobody waits for that one. mu is not held.
func (f *federation) rollWithoutTheDead() error {
	f.mu.Lock()
	lost := slices.ContainsFunc(f.joined(), func(m *member) bool { return m.dead })
	var all []ref
	for _, o := range f.hub.all(deployments) {
		all = append(all, ref{deployments, text(o.obj, "metadata", "namespace"), text(o.obj, "metadata", "name")})
	}
	f.mu.Unlock()
	if !lost {
		return nil
	}
	for _, r := range all {
		f.as("kubectl", f.hub, http.MethodPatch, "/apis/apps/v1/namespaces/"+r.namespace+"/deployments/"+r.name, object{"spec": object{"progressDeadlineSeconds": int64(77)}})
	}
	time.Sleep(30 * time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, what := range f.missing() {
		if strings.HasPrefix(what, "deployments/") {
			return fmt.Errorf("30s after a change while a cluster is lost: %s", what)
		}
	}
	return nil
}
