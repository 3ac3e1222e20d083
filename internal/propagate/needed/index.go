// Package needed knows who needs the objects that follow those that name them: by what the hub has decided (Index), and by what a
// member has (There). It is pure.
package needed

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Group is clusters in which an object names the same. It is not to be changed.
type Group struct {
	Names    []template.Key // each once
	Clusters []string       // each once
}

// Index says in which clusters something is to run, or be, that names an object. A change of one user costs as much as that
// user names in its clusters, however many others name the same.
type Index struct {
	owner *owner
	names map[template.Key]*entry
	users map[template.Key][]Group
}

// owner tells who may change an entry: the Index that has the same. All others copy it first.
type owner struct{ _ byte }

// entry is what is known of one name.
type entry struct {
	owner    *owner
	users    map[template.Key]struct{}
	clusters map[string]int // by how many users it is needed there
}

// New is an Index of nothing.
func New() Index {
	return Index{owner: &owner{}, names: map[template.Key]*entry{}, users: map[template.Key][]Group{}}
}

// Clone is a copy. Either may be changed without the other, by another goroutine, from then on.
func (x *Index) Clone() Index {
	x.owner = &owner{}
	return Index{owner: &owner{}, names: maps.Clone(x.names), users: maps.Clone(x.users)}
}

// Set notes what a user names where; nothing: it is gone. It says for which names In or By say something else than before, in
// order.
func (x *Index) Set(user template.Key, groups []Group) (changed []template.Key) {
	before := x.users[user]
	if len(groups) == 0 && len(before) == 0 || slices.EqualFunc(before, groups, same) {
		return nil
	}
	news := map[template.Key]map[string]int{} // by how many more users; what is in and out again is 0
	count(news, groups, 1)
	count(news, before, -1)
	if len(groups) == 0 {
		delete(x.users, user)
	} else {
		x.users[user] = groups
	}
	few := map[template.Key]bool{}
	for name := range news {
		e := x.own(name)
		few[name] = len(e.users) <= shownUsers
	}
	x.name(user, before, groups)
	for name, clusters := range news {
		e := x.own(name)
		another := few[name] || len(e.users) <= shownUsers
		for cluster, n := range clusters {
			was := e.clusters[cluster]
			if e.clusters[cluster] = was + n; was+n == 0 {
				delete(e.clusters, cluster)
			}
			another = another || (was == 0) != (was+n == 0)
		}
		if another {
			changed = append(changed, name)
		}
		if len(e.users) == 0 {
			delete(x.names, name)
		}
	}
	template.SortKeys(changed)
	return changed
}

func same(a, b Group) bool {
	return slices.Equal(a.Names, b.Names) && slices.Equal(a.Clusters, b.Clusters)
}

func count(news map[template.Key]map[string]int, groups []Group, by int) {
	for _, g := range groups {
		for _, name := range g.Names {
			of := news[name]
			if of == nil {
				of = make(map[string]int, len(g.Clusters))
				news[name] = of
			}
			for _, cluster := range g.Clusters {
				of[cluster] += by
			}
		}
	}
}

// name notes who names what.
func (x *Index) name(user template.Key, before, after []Group) {
	for _, g := range before {
		for _, name := range g.Names {
			delete(x.own(name).users, user)
		}
	}
	for _, g := range after {
		for _, name := range g.Names {
			x.own(name).users[user] = struct{}{}
		}
	}
}

func (x *Index) own(name template.Key) *entry {
	e := x.names[name]
	switch {
	case e == nil:
		e = &entry{owner: x.owner, users: map[template.Key]struct{}{}, clusters: map[string]int{}}
	case e.owner != x.owner:
		e = &entry{owner: x.owner, users: maps.Clone(e.users), clusters: maps.Clone(e.clusters)}
	}
	x.names[name] = e
	return e
}

// In says whether something that is to run, or be, in a cluster names an object.
func (x *Index) In(name template.Key, cluster string) bool {
	e := x.names[name]
	return e != nil && e.clusters[cluster] > 0
}

const (
	// shownUsers is how many users of an object are looked at to say who they are, shownNames how many are named.
	shownUsers = 8
	shownNames = 2
)

// By says who names an object in a cluster.
func (x *Index) By(name template.Key, cluster string) string {
	users, many := x.Users(name, cluster)
	if many {
		return "many objects name it"
	}
	var names []string
	for _, user := range users[:min(len(users), shownNames)] {
		names = append(names, user.Label())
	}
	said := "named by " + strings.Join(names, ", ")
	if more := len(users) - shownNames; more > 0 {
		said += fmt.Sprintf(" and %d more", more)
	}
	return said
}

// Users is who names an object in a cluster, in order, and whether there are more of them than is looked at: then nobody is named.
func (x *Index) Users(name template.Key, cluster string) (users []template.Key, many bool) {
	e := x.names[name]
	if e == nil {
		return nil, false
	}
	if len(e.users) > shownUsers {
		return nil, e.clusters[cluster] > 0
	}
	for user := range e.users {
		if slices.ContainsFunc(x.users[user], func(g Group) bool { return slices.Contains(g.Names, name) && slices.Contains(g.Clusters, cluster) }) {
			users = append(users, user)
		}
	}
	template.SortKeys(users)
	return users, false
}
