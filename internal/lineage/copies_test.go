package lineage

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// thing is an object in a member as its API server keeps it.
type thing struct {
	uid     types.UID
	created time.Time
	mark    string
	owner   string // who wrote the mark last, as managedFields say
	owned   time.Time
}

// place is a member and a hub, and what people and programs do to both. It keeps the truth
// that a hub cannot see: which objects hubs put there, or took over because they were as wanted.
type place struct {
	now      time.Time
	serial   int
	revision uint64
	objects  map[Object]thing
	backups  map[Object]thing
	whole    map[Object]thing // of the member's etcd

	hub       types.UID
	legacy    bool // the hub is of a version whose marks name no object
	history   History
	session   string
	templates map[Object]types.UID
	snapshot  *place // of the hub
	written   map[types.UID]bool
	leaving   bool

	puts map[types.UID]bool
}

func (p *place) uid(of string) types.UID {
	p.serial++
	return types.UID(fmt.Sprint(of, p.serial))
}

func (p *place) begin() {
	p.session = string(p.uid("session"))
	p.history = p.history.Begin(p.session, Database{Revision: p.revision})
	p.written = map[types.UID]bool{}
}

// write has the hub mark an object.
func (p *place) write(key Object, o thing) {
	origin := Origin{Hub: p.hub, Session: p.session, Revision: p.revision, Template: p.templates[key]}
	if !p.legacy {
		origin.On = key
	}
	o.mark, o.owner, o.owned = origin.String(), "hanse", p.now
	p.objects[key] = o
	p.written[o.uid], p.puts[o.uid] = true, true
}

// reconcile has the hub look at an object, as a worker does.
func (p *place) reconcile(t *rapid.T, key Object) {
	placed := p.templates[key] != "" && rapid.IntRange(0, 3).Draw(t, "placed") > 0
	o, there := p.objects[key]
	if !there {
		if placed && !p.leaving {
			p.write(key, thing{uid: p.uid("object"), created: p.now})
		}
		return
	}
	mark, ok := ReadMark(key, metadata(o.mark, o.created, owner(o.owner, o.owned)))
	action, _ := Decide(
		Found{Mark: mark, Marked: ok, Written: p.written[o.uid]},
		Wanted{Hub: p.hub, History: p.history, Template: p.templates[key], Placed: placed, Leaving: p.leaving},
	)
	switch action {
	case Keep:
		if rapid.Bool().Draw(t, "writes") {
			p.write(key, o)
		}
	case Adopt:
		if rapid.Bool().Draw(t, "equal") {
			p.write(key, o)
		}
	case Delete, Release:
		if !p.puts[o.uid] {
			t.Fatalf("%s was deleted, which no hub had put there: %+v", key, o)
		}
		delete(p.objects, key)
	case Hold, Ignore:
	}
}

// put has somebody who is no hub put what was copied under a name: over what is there, or
// as a new object.
func (p *place) put(t *rapid.T, key Object, copied thing) {
	o, there := p.objects[key]
	switch {
	case there && o.mark != copied.mark: // kubectl apply
		o.mark, o.owner, o.owned = copied.mark, "kubectl", p.now
	case !there:
		o = thing{uid: p.uid("object"), created: p.now, mark: copied.mark, owner: "kubectl", owned: p.now}
		if rapid.Bool().Draw(t, "with owners") {
			// A copy within the minute of a hub's write, with its owners, and under its own name
			// is beyond what can be told.
			p.now = p.now.Add(2 * clockTolerance)
			o.created, o.owner, o.owned = p.now, copied.owner, copied.owned
		}
	}
	p.objects[key] = o
}

// TestCopiesAreNeverDeleted: no sequence of copies, renames and restores in a member, of restarts and
// restores of the hub, ever leads to the deletion of what no hub put there.
func TestCopiesAreNeverDeleted(t *testing.T) {
	keys := []Object{configMap("a"), configMap("b")}
	rapid.Check(t, func(t *rapid.T) {
		p := &place{
			now: noon, revision: 10, hub: "hub", objects: map[Object]thing{}, backups: map[Object]thing{}, whole: map[Object]thing{},
			templates: map[Object]types.UID{}, puts: map[types.UID]bool{}, legacy: rapid.Bool().Draw(t, "legacy"),
		}
		p.begin()
		key := func(what string) Object { return rapid.SampledFrom(keys).Draw(t, what) }
		happenings := map[string]func(*rapid.T){
			"create at the hub": func(*rapid.T) {
				if k := key("key"); p.templates[k] == "" {
					p.templates[k] = p.uid("template")
				}
			},
			"delete at the hub": func(*rapid.T) { delete(p.templates, key("key")) },
			"restart the hub":   func(*rapid.T) { p.begin() },
			"upgrade the hub":   func(*rapid.T) { p.legacy = false; p.begin() },
			"copy the hub": func(*rapid.T) {
				p.snapshot = &place{revision: p.revision, templates: maps.Clone(p.templates), history: History{Sessions: slices.Clone(p.history.Sessions)}}
			},
			"restore the hub": func(*rapid.T) {
				if s := p.snapshot; s != nil {
					p.revision, p.templates, p.history = s.revision+1, maps.Clone(s.templates), s.history
					p.begin()
				}
			},
			"another hub takes over": func(*rapid.T) {
				p.hub, p.templates, p.history, p.snapshot = p.uid("hub"), map[Object]types.UID{}, History{}, nil
				p.begin()
			},
			"unjoin": func(*rapid.T) { p.leaving = !p.leaving },
			"copy": func(t *rapid.T) {
				if o, ok := p.objects[key("from")]; ok {
					p.put(t, key("to"), o)
				}
			},
			"rename": func(t *rapid.T) {
				from := key("from")
				if o, ok := p.objects[from]; ok {
					delete(p.objects, from)
					p.put(t, key("to"), o)
				}
			},
			"back up": func(*rapid.T) {
				k := key("key")
				if o, ok := p.objects[k]; ok {
					p.backups[k] = o
				}
			},
			"restore a backup": func(t *rapid.T) {
				k := key("key")
				if o, ok := p.backups[k]; ok {
					if rapid.Bool().Draw(t, "deleted before") {
						delete(p.objects, k)
					}
					p.put(t, k, o)
				}
			},
			"copy the member's etcd":    func(*rapid.T) { p.whole = maps.Clone(p.objects) },
			"restore the member's etcd": func(*rapid.T) { p.objects = maps.Clone(p.whole) },
			"delete in the member":      func(*rapid.T) { delete(p.objects, key("key")) },
			"unmark": func(*rapid.T) {
				k := key("key")
				if o, ok := p.objects[k]; ok {
					o.mark, o.owner = "", "kubectl"
					p.objects[k] = o
				}
			},
			"wait": func(*rapid.T) { p.now = p.now.Add(time.Hour) },
		}
		names := slices.Sorted(maps.Keys(happenings))
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			happenings[rapid.SampledFrom(names).Draw(t, "next")](t)
			for _, k := range keys { // workers are quick, but not always quick enough
				if rapid.Bool().Draw(t, "looks") {
					p.reconcile(t, k)
				}
			}
			p.now = p.now.Add(time.Second)
			p.revision++
		}
	})
}
