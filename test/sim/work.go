package sim

import (
	"strings"
	"time"
)

// given checks that no more work of a Job is given to clusters than there is.
func (m *monitor) given(at *member, c *call, after object) {
	uid := origin(after)
	if uid == "" || c.before != nil {
		return
	}
	if m.begun[uid] == nil {
		m.begun[uid] = map[string]int64{}
	}
	m.begun[uid][at.name] += completionsOf(after)
	var given int64
	for _, n := range m.begun[uid] {
		given += n
	}
	template := m.f.hub.get(c.ref)
	if template == nil || text(template, "metadata", "uid") != uid {
		return
	}
	if total := completionsOf(template); given > total {
		m.fail("%s: %d completions were given to %v, there are %d", c.ref, given, m.begun[uid], total)
	}
}

// worked notes that a pod of a Job has done its work, which no other may have done.
func (m *monitor) worked(at *member, job object) {
	uid := origin(job)
	m.work[uid]++
	template := m.f.hub.get(ref{jobs, text(job, "metadata", "namespace"), text(job, "metadata", "name")})
	if template == nil || text(template, "metadata", "uid") != uid || m.again[uid] {
		return
	}
	if total := completionsOf(template); m.work[uid] > total {
		m.fail("Job %s: work was done in %s that was done already, %d of %d", text(job, "metadata", "name"), at.name, m.work[uid], total)
	}
}

// left is called when a cluster has left: its part of a Job is not done.
func (m *monitor) left(at *member) {
	for uid, given := range m.begun {
		m.again[uid] = true
		if given[at.name] > 0 {
			m.excused[uid] = true
			delete(given, at.name)
		}
	}
	for _, o := range m.f.hub.all(jobs) {
		if strings.Contains(text(o.obj, "metadata", "annotations", "hanse.dev/division"), `"`+at.name+`"`) {
			m.excused[text(o.obj, "metadata", "uid")] = true
			m.parted[text(o.obj, "metadata", "uid")+" "+at.name] = true
		}
	}
	for key := range m.had {
		if strings.HasSuffix(key, " "+at.name) {
			delete(m.had, key)
		}
	}
}

// restored is called when the hub was: what was deleted since the copy is made again, Jobs too.
func (m *monitor) restored() {
	for uid, given := range m.begun {
		m.again[uid] = true
		for _, at := range m.f.members {
			delete(given, at.name)
			if m.f.hub.get(ref{gr: clusters, name: at.name}) == nil || at.faults.lying > 0 {
				continue // it joined after the copy was made, or hides what it has
			}
			for _, o := range at.all(jobs) {
				goes := text(at.get(ref{gr: namespaces, name: text(o.obj, "metadata", "namespace")}), "metadata", "deletionTimestamp") != ""
				if origin(o.obj) == uid && m.puts[text(o.obj, "metadata", "uid")] && !goes {
					given[at.name] = completionsOf(o.obj)
				}
			}
		}
	}
	m.shaken = time.Now().Add(15 * time.Second)
}
