package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/test/sim/served"
)

const (
	// hubUID is the hub's identity.
	hubUID = "11111111-2222-3333-4444-555555555555"
	// failoverAfter is how long a cluster is away until it counts as lost.
	failoverAfter = 20 * time.Second
	// revisionJump is how far the revision of a restored hub's database is set forward.
	revisionJump = 1_000_000
)

// federation is a hub and its members, and what happens to them. mu guards all of it, servers included.
type federation struct {
	ctx     context.Context
	seed    uint64
	random  *rand.Rand
	began   time.Time
	mu      sync.Mutex
	hub     *server
	hubWay  faults
	members []*member
	ends    []uint64
	copy    *hubCopy
	people  people
	watch   *monitor

	run     *hubRun
	runs    int
	trace   []string
	verbose bool
	vault   bool // it has a namespace that Residencies restrict
}

// hubCopy is a backup of the hub, with what people had said until then.
type hubCopy struct {
	copied
	ends   []uint64
	people people
}

// people is what was said at the hub, in the past that its database knows.
type people struct {
	deleted map[string]bool // UIDs
}

func (p people) clone() people {
	out := people{deleted: map[string]bool{}}
	for uid := range p.deleted {
		out.deleted[uid] = true
	}
	return out
}

// hubRun is the hub from a start to its death.
type hubRun struct {
	engine *propagate.Engine
	ctx    context.Context
	end    context.CancelFunc
	began  time.Time
	links  map[string]*link // by cluster; "" is the hub itself
	mu     sync.Mutex
}

func newFederation(ctx context.Context, seed uint64) *federation {
	f := &federation{
		ctx: klog.NewContext(ctx, logr.Discard()), seed: seed, random: rand.New(rand.NewPCG(seed, 1)), began: time.Now(), ends: []uint64{},
		people: people{deleted: map[string]bool{}},
	}
	f.hub = newServer("hub", &f.mu, served.Hub())
	f.hub.changed = f.hubChanged
	for _, ns := range []string{"kube-system", "hanse-system", "default"} {
		f.hub.put(ref{gr: namespaces, name: ns}, f.hub.newObject("v1", "Namespace", "", ns, object{"status": object{"phase": "Active"}}))
	}
	f.watch = newMonitor(f)
	for _, name := range []string{"aws", "azure", "google", "local"} {
		m := newMember(name, seed, &f.mu)
		m.onWork, m.onDrop, m.onReady, m.onGone = f.watch.worked, f.watch.dropped, f.watch.risen, f.watch.gone
		f.members = append(f.members, m)
	}
	return f
}

// note adds a line to the replay.
func (f *federation) note(format string, args ...any) {
	line := fmt.Sprintf("%9.3fs  ", time.Since(f.began).Seconds()) + fmt.Sprintf(format, args...)
	f.trace = append(f.trace, line)
	if f.verbose {
		fmt.Println(line)
	}
}

// start begins a run of the hub. mu is not held.
func (f *federation) start() {
	f.runs++
	ctx, end := context.WithCancel(f.ctx)
	run := &hubRun{ctx: ctx, end: end, began: time.Now(), links: map[string]*link{}}
	cfg := &rest.Config{Host: "http://hub", Transport: f.link(run, f.hub, &f.hubWay), QPS: -1}
	engine, err := propagate.New(cfg, propagate.Options{HubUID: types.UID(hubUID), FailoverAfter: failoverAfter, Ends: append([]uint64{}, f.ends...)})
	if err != nil {
		panic(err)
	}
	run.engine = engine
	f.mu.Lock()
	f.run = run
	f.mu.Unlock()
	go func() {
		if err := engine.Run(ctx); err != nil {
			panic(err)
		}
	}()
	for _, m := range f.members {
		go f.tend(run, m)
	}
	time.Sleep(100 * time.Millisecond) // until it has its place in the lineage: what fails before ends the process
}

func (f *federation) link(run *hubRun, s *server, way *faults) *link {
	name := s.name
	if s == f.hub {
		name = ""
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	l := newLink(s, way, f.seed*1000+uint64(f.runs), run.ctx.Done(), f.watch.heard)
	run.links[name] = l
	return l
}

// each calls do with the links of a server in the present run.
func (r *hubRun) link(s string) *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.links[s]
}

// kill ends the run: nothing of what it has under way is done any more.
func (f *federation) kill() { f.run.end() }

// tend is what package fleet does for a member: it looks whether it answers, and has it engaged or not.
func (f *federation) tend(run *hubRun, m *member) {
	var disengage context.CancelFunc
	failures, uid := 0, ""
	var again atomic.Bool // a withdrawal may begin
	again.Store(true)
	release := func() {
		if disengage != nil {
			disengage()
			disengage = nil
		}
	}
	defer release()
	for run.ctx.Err() == nil {
		f.mu.Lock()
		cluster := f.hub.get(ref{gr: clusters, name: m.name})
		refused, hung := m.faults.refused, m.faults.hung
		f.mu.Unlock()
		if now := text(cluster, "metadata", "uid"); now != uid {
			release() // it is another one
			uid = now
		}
		if cluster == nil {
			pause(run.ctx, time.Second)
			continue
		}
		began := time.Now()
		if hung {
			pause(run.ctx, 4*time.Second)
		}
		ok := !refused && !hung
		run.engine.Looked(m.name, began, ok)
		switch {
		case ok:
			failures = 0
			f.mu.Lock()
			last := m.session
			f.mu.Unlock()
			if disengage != nil {
				break
			}
			now, _ := run.engine.Session(m.name, last)
			if now == "" {
				pause(run.ctx, 200*time.Millisecond)
				continue
			}
			f.mu.Lock()
			m.session = now
			f.mu.Unlock()
			var ctx context.Context
			ctx, disengage = context.WithCancel(run.ctx)
			run.engine.Engage(ctx, m.name, &rest.Config{Host: "http://" + m.name, Transport: f.link(run, m.server, &m.faults), QPS: -1})
			f.setReady(m, true)
		default:
			failures++
			if failures >= 3 || failures >= 2 && refused {
				release()
				f.setReady(m, false)
			}
		}
		if text(cluster, "metadata", "deletionTimestamp") != "" && disengage != nil && again.CompareAndSwap(true, false) {
			go func() {
				ctx, cancel := context.WithTimeout(run.ctx, 5*time.Minute)
				defer cancel()
				defer again.Store(true)
				if err := run.engine.Withdraw(ctx, m.name, false); err == nil && run.ctx.Err() == nil {
					f.mu.Lock()
					defer f.mu.Unlock()
					f.note("cluster %s has left", m.name)
					f.hub.drop(ref{gr: clusters, name: m.name})
					f.watch.left(m)
				}
			}()
		}
		if failures > 0 && failures < 6 {
			pause(run.ctx, 400*time.Millisecond)
		} else {
			pause(run.ctx, 2*time.Second)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// setReady writes the condition of a Cluster.
func (f *federation) setReady(m *member, ready bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := ref{gr: clusters, name: m.name}
	before := f.hub.get(r)
	status, phase := "False", "Unreachable"
	if ready {
		status, phase = "True", "Ready"
	}
	if before == nil || text(before, "status", "phase") == phase {
		return
	}
	obj := runtime.DeepCopyJSON(before)
	obj["status"] = object{
		"phase": phase, "version": "v1.37.0", "provider": m.name, "region": "r-" + m.name, "nodes": int64(1),
		"allocatable": object{"cpu": strconv.Itoa(nodeCPU), "memory": "400Gi", "pods": "1000"},
		"conditions":  []any{object{"type": "Ready", "status": status, "reason": "Reachable", "message": "", "lastTransitionTime": stamp()}},
	}
	f.watch.away()
	f.hub.put(r, obj)
	f.watch.away()
	f.note("cluster %s is %s", m.name, phase)
}

// hubChanged is called with each change at the hub. mu is held.
func (f *federation) hubChanged(r ref, before, after object) {
	if r.gr == namespaces && after != nil && text(after, "metadata", "deletionTimestamp") != "" {
		f.emptyHub(r, 300*time.Millisecond)
	}
	if f.watch != nil {
		f.watch.hubChanged(r, before, after)
	}
}

func (f *federation) emptyHub(r ref, d time.Duration) {
	time.AfterFunc(d, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.hub.empty(r, f.emptyHub)
	})
}

// as does something at a server as somebody who is not the hub. mu is not held.
func (f *federation) as(who string, s *server, method, path string, body object) *answer {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	a := s.serve(request{method: method, path: path, manager: who, contentType: "application/merge-patch+json", body: data, query: map[string]string{}})
	said := ""
	if method != "DELETE" {
		said = " " + clip(string(data), 200)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note("%s at %s: %s %s%s -> %d", who, s.name, method, strings.TrimPrefix(strings.TrimPrefix(path, "/apis"), "/api/v1"), said, a.code)
	return a
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// joined are the members of which the hub has a Cluster that does not leave. mu is held.
func (f *federation) joined() (all []*member) {
	for _, m := range f.members {
		if c := f.hub.get(ref{gr: clusters, name: m.name}); c != nil && text(c, "metadata", "deletionTimestamp") == "" {
			all = append(all, m)
		}
	}
	return all
}

func (f *federation) member(s *server) *member {
	for _, m := range f.members {
		if m.server == s {
			return m
		}
	}
	return nil
}
