package needed

import (
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

func secret(name string) template.Key {
	return template.Key{GR: schema.GroupResource{Resource: "secrets"}, Namespace: "shop", Name: name}
}

func deployment(name string) template.Key {
	return template.Key{GR: schema.GroupResource{Group: "apps", Resource: "deployments"}, Namespace: "shop", Name: name}
}

// TestAnIndexIsWhatItsUsersSay, whatever came before, and so is a copy, which does not follow.
func TestAnIndexIsWhatItsUsersSay(t *testing.T) {
	clusters := []string{"aws", "azure", "google"}
	names := []template.Key{secret("a"), secret("b"), secret("c")}
	rapid.Check(t, func(t *rapid.T) {
		x, model := New(), map[template.Key][]Group{}
		in := func(model map[template.Key][]Group, name template.Key, cluster string) (users []template.Key) {
			for user, groups := range model {
				if slices.ContainsFunc(groups, func(g Group) bool { return slices.Contains(g.Names, name) && slices.Contains(g.Clusters, cluster) }) {
					users = append(users, user)
				}
			}
			template.SortKeys(users)
			return users
		}
		check := func(x *Index, model map[template.Key][]Group) {
			for _, name := range names {
				for _, cluster := range clusters {
					want := in(model, name, cluster)
					got, many := x.Users(name, cluster)
					if x.In(name, cluster) != (len(want) > 0) || !many && !slices.Equal(got, want) || many && len(want) == 0 {
						t.Fatalf("%s in %s: %t, %v (%t), want %v", name, cluster, x.In(name, cluster), got, many, want)
					}
				}
			}
			if len(x.users) != len(model) || len(model) == 0 && len(x.names) > 0 {
				t.Fatalf("it remembers %d users and %d names of %d", len(x.users), len(x.names), len(model))
			}
		}
		group := rapid.Custom(func(t *rapid.T) Group {
			return Group{rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID).Draw(t, "names"), rapid.SliceOfNDistinct(rapid.SampledFrom(clusters), 0, 3, rapid.ID).Draw(t, "clusters")}
		})
		for range 30 {
			user := deployment(fmt.Sprint("d", rapid.IntRange(0, 11).Draw(t, "user")))
			groups := rapid.SliceOfN(group, 0, 2).Draw(t, "groups")
			copied, was := x.Clone(), map[template.Key][]Group{}
			for k, v := range model {
				was[k] = v
			}
			var moved []template.Key
			for _, name := range names {
				for _, cluster := range clusters {
					before := len(in(model, name, cluster)) > 0
					next := map[template.Key][]Group{}
					for k, v := range model {
						next[k] = v
					}
					next[user] = groups
					if before != (len(in(next, name, cluster)) > 0) && !slices.Contains(moved, name) {
						moved = append(moved, name)
					}
				}
			}
			if len(groups) == 0 {
				delete(model, user)
			} else {
				model[user] = groups
			}
			before := slices.Clone(was[user])
			changed := x.Set(user, groups)
			for _, name := range moved {
				if !slices.Contains(changed, name) {
					t.Fatalf("%v changed, and so did %s", changed, name)
				}
			}
			for _, name := range changed {
				if !slices.ContainsFunc(append(before, groups...), func(g Group) bool { return slices.Contains(g.Names, name) }) {
					t.Fatalf("%s changed, which %s never named", name, user)
				}
			}
			check(&x, model)
			check(&copied, was)
		}
	})
}

// TestAUserCostsWhatItNames, however many name the same.
func TestAUserCostsWhatItNames(t *testing.T) {
	x, groups := New(), []Group{{[]template.Key{secret("a")}, []string{"aws", "azure"}}}
	for i := range 20_000 {
		x.Set(deployment(fmt.Sprint(i)), groups)
	}
	if _, many := x.Users(secret("a"), "aws"); !many || !x.In(secret("a"), "azure") {
		t.Fatal("it is not known that many name it")
	}
	n := 0
	allocs := testing.AllocsPerRun(100, func() {
		n++
		x.Set(deployment("one"), []Group{{groups[0].Names, groups[0].Clusters[:n%2]}})
	})
	if allocs > 40 {
		t.Errorf("one user takes %.0f allocations", allocs)
	}
}
