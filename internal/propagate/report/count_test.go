package report

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// unsettled is a member that says of nothing that it is settled, so that each object is looked at.
type unsettled struct{ *testMember }

func (unsettled) Settled(template.Key, template.Target) bool { return false }

// What is settled counts for nothing, whatever else is the case.
func TestWhatIsSettledNeedNotBeLookedAt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig("aws")
		m := r.member("aws")
		switch rapid.IntRange(0, 3).Draw(t, "reach") {
		case 1:
			m.away = true
		case 2:
			m.unread = errors.New("refused")
		}
		var all []*decide.Assignment
		for i := range rapid.IntRange(1, 8).Draw(t, "objects") {
			a := drawAssignment(t, fmt.Sprint("o", i))
			m.objects[a.Key] = drawObserved(t, a)
			all = append(all, a)
		}
		none := maps.All(map[template.Key]*decide.Observed{})
		quick, plain := Count(m, r.facts, slices.Values(all), none), Count(unsettled{m}, r.facts, slices.Values(all), none)
		if quick != plain {
			t.Fatalf("%+v, want %+v", quick, plain)
		}
	})
}

func drawAssignment(t *rapid.T, name string) *decide.Assignment {
	obj := configMap()
	(&unstructured.Unstructured{Object: obj}).SetName(name)
	read, err := template.Read(configMaps(), &unstructured.Unstructured{Object: obj}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	read.Division = rapid.SampledFrom([]kinds.Division{kinds.Everywhere, kinds.Replicas, kinds.OneActive}).Draw(t, "division")
	a := &decide.Assignment{Template: read, Policy: policy.NoPolicy(), Shares: map[string]template.Share{}, Undecided: rapid.IntRange(0, 3).Draw(t, "decided") == 0}
	a.Decision.Hold = rapid.IntRange(0, 3).Draw(t, "no hold") == 0
	if rapid.Bool().Draw(t, "placed") {
		a.Shares["aws"] = template.Share{Replicas: 2}
	}
	return a
}

// drawObserved is of an object that is as it is to be, but for up to two things.
func drawObserved(t *rapid.T, a *decide.Assignment) *decide.Observed {
	target := a.Target("aws")
	o := &decide.Observed{UID: "u", InSync: true, Left: &target}
	for range rapid.IntRange(0, 2).Draw(t, "odd") {
		switch rapid.IntRange(0, 7).Draw(t, "what") {
		case 0:
			return nil
		case 1:
			o.UID = ""
		case 2:
			o.Deleting = true
		case 3:
			o.InSync = false
		case 4:
			target.Share.Replicas++
		case 5:
			o.Fault = &decide.Problem{Message: "refused"}
		case 6:
			o.Withheld = lineage.AnotherHub
		case 7:
			o.Dropped = []fieldmerge.Path{{"spec", "x"}}
		}
	}
	return o
}
