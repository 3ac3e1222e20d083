package lineage

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func configMap(name string) Object {
	return Object{Resource: schema.GroupResource{Resource: "configmaps"}, Namespace: "shop", Name: name}
}

// metadata is that of an object that was created then, with a mark that each owner says
// to have written at that time.
func metadata(mark string, created time.Time, owners ...any) map[string]any {
	return map[string]any{
		"annotations":       map[string]any{v1alpha1.AnnotationOrigin: mark},
		"creationTimestamp": created.UTC().Format(time.RFC3339),
		"managedFields":     owners,
	}
}

func owner(manager string, at time.Time) any {
	return map[string]any{
		"manager": manager, "operation": "Update", "time": at.UTC().Format(time.RFC3339),
		"fieldsV1": map[string]any{"f:metadata": map[string]any{"f:annotations": map[string]any{".": map[string]any{}, "f:" + v1alpha1.AnnotationOrigin: map[string]any{}}}},
	}
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestReadMark(t *testing.T) {
	const legacy = "hub/session@7/template"
	named := legacy + "/configmaps/shop/web"
	status := owner("hanse", noon)
	status.(map[string]any)["subresource"] = "status"
	timeless := owner("hanse", noon)
	delete(timeless.(map[string]any), "time")
	bare := map[string]any{"manager": "hanse", "time": "2026-01-01T12:00:00Z", "fieldsV1": map[string]any{"f:data": map[string]any{}}}
	for name, c := range map[string]struct {
		metadata   map[string]any
		ok, proven bool
	}{
		"as the hub wrote it":                         {metadata(named, noon, owner("hanse", noon)), true, true},
		"a webhook took its time":                     {metadata(named, noon, owner("hanse", noon.Add(-30*time.Second))), true, true},
		"adopted later":                               {metadata(named, noon, owner("kubectl", noon), owner("hanse", noon.Add(time.Hour))), true, true},
		"restored without owners":                     {metadata(named, noon, owner("velero", noon)), true, false},
		"restored with owners":                        {metadata(named, noon, owner("hanse", noon.Add(-time.Hour))), true, false},
		"no owners are kept":                          {metadata(named, noon), true, false},
		"the hub owns something else":                 {metadata(named, noon, bare), true, false},
		"the hub's status":                            {metadata(named, noon, status), true, false},
		"an entry without a time":                     {metadata(named, noon, timeless), true, false},
		"of an earlier version":                       {metadata(legacy, noon, owner("hanse", noon)), true, true},
		"of an earlier version, copied":               {metadata(legacy, noon, owner("operator", noon)), false, false},
		"of an earlier version, restored with owners": {metadata(legacy, noon, owner("hanse", noon.Add(-2*time.Minute))), false, false},
		"of another name":                             {metadata(legacy+"/configmaps/shop/other", noon, owner("hanse", noon)), false, false},
		"of another namespace":                        {metadata(legacy+"/configmaps/bank/web", noon, owner("hanse", noon)), false, false},
		"of another resource":                         {metadata(legacy+"/secrets/shop/web", noon, owner("hanse", noon)), false, false},
		"of another group":                            {metadata(legacy+"/configmaps.example.com/shop/web", noon, owner("hanse", noon)), false, false},
		"rubbish":                                     {metadata("rubbish", noon, owner("hanse", noon)), false, false},
		"endless":                                     {metadata(named+strings.Repeat("x", longestMark), noon, owner("hanse", noon)), false, false},
		"none":                                        {map[string]any{}, false, false},
		"metadata that is none":                       {map[string]any{"annotations": "x", "managedFields": 7}, false, false},
		"owners that are none":                        {metadata(named, noon, "x", map[string]any{"manager": "hanse", "fieldsV1": 7}), true, false},
	} {
		m, ok := ReadMark(configMap("web"), c.metadata)
		if ok != c.ok || m.Proven && ok != c.proven {
			t.Errorf("%s: %+v, %v; want a mark %v, proven %v", name, m, ok, c.ok, c.proven)
		}
		if ok { // the same is read from what is kept of the owners
			c.metadata["managedFields"] = m.Evidence()
			if again, _ := ReadMark(configMap("web"), c.metadata); again != m {
				t.Errorf("%s: from the evidence %+v, want %+v", name, again, m)
			}
		}
	}
}

func TestDecide(t *testing.T) {
	history := History{}.Begin("then", Database{Revision: 1}).Begin("now", Database{Revision: 100})
	own := Mark{Origin: Origin{Hub: "hub", Session: "then", Revision: 50, Template: "t"}, Proven: true}
	unproven, stranger, others := own, own, own
	unproven.Proven = false
	stranger.Origin.Session = "never"
	others.Origin.Hub = "other"
	for name, c := range map[string]struct {
		found  Found
		wanted Wanted
		want   Action
		reason Reason
	}{
		"no mark":                                   {Found{}, Wanted{}, Ignore, ""},
		"no mark, approved":                         {Found{}, Wanted{Approved: true}, Ignore, ""},
		"no mark, leaving":                          {Found{}, Wanted{Leaving: true, Template: "t", Placed: true}, Ignore, ""},
		"no mark, wanted":                           {Found{}, Wanted{Template: "t", Placed: true}, Adopt, ""},
		"the template's":                            {Found{Mark: own, Marked: true}, Wanted{Template: "t", Placed: true}, Keep, ""},
		"the template's, restored":                  {Found{Mark: unproven, Marked: true}, Wanted{Template: "t", Placed: true}, Keep, ""},
		"the template's, of an unknown run":         {Found{Mark: stranger, Marked: true}, Wanted{Template: "t", Placed: true}, Keep, ""},
		"another hub's, wanted":                     {Found{Mark: others, Marked: true}, Wanted{Template: "t", Placed: true}, Adopt, ""},
		"a namesake":                                {Found{Mark: own, Marked: true}, Wanted{Template: "u", Placed: true}, Delete, ""},
		"a namesake, restored":                      {Found{Mark: unproven, Marked: true}, Wanted{Template: "u", Placed: true}, Adopt, ""},
		"a namesake of an unknown run":              {Found{Mark: stranger, Marked: true}, Wanted{Template: "u", Placed: true}, Adopt, ""},
		"a namesake that was there before":          {Found{Mark: own, Marked: true, Lasting: true}, Wanted{Template: "u", Placed: true}, Adopt, ""},
		"deleted at the hub":                        {Found{Mark: own, Marked: true}, Wanted{}, Delete, ""},
		"deleted at the hub, was there before":      {Found{Mark: own, Marked: true, Lasting: true}, Wanted{}, Release, ""},
		"elsewhere now":                             {Found{Mark: own, Marked: true}, Wanted{Template: "t"}, Delete, ""},
		"elsewhere now, of an unknown run":          {Found{Mark: stranger, Marked: true}, Wanted{Template: "t"}, Delete, ""},
		"a namesake elsewhere, of an unknown run":   {Found{Mark: stranger, Marked: true}, Wanted{Template: "u"}, Hold, UnknownSession},
		"of an unknown run":                         {Found{Mark: stranger, Marked: true}, Wanted{}, Hold, UnknownSession},
		"of an unknown run, approved":               {Found{Mark: stranger, Marked: true}, Wanted{Approved: true}, Delete, ""},
		"another hub's":                             {Found{Mark: others, Marked: true}, Wanted{}, Hold, AnotherHub},
		"another hub's, approved, was there before": {Found{Mark: others, Marked: true, Lasting: true}, Wanted{Approved: true}, Release, ""},
		"restored":                                  {Found{Mark: unproven, Marked: true}, Wanted{}, Hold, RestoredInCluster},
		"restored, elsewhere now":                   {Found{Mark: unproven, Marked: true}, Wanted{Template: "t"}, Hold, RestoredInCluster},
		"restored, but written since":               {Found{Mark: unproven, Marked: true, Written: true}, Wanted{}, Delete, ""},
		"restored, approved":                        {Found{Mark: unproven, Marked: true}, Wanted{Approved: true}, Delete, ""},
		"leaving":                                   {Found{Mark: own, Marked: true}, Wanted{Leaving: true, Template: "t", Placed: true}, Delete, ""},
		"leaving, stays":                            {Found{Mark: own, Marked: true}, Wanted{Leaving: true, Stays: true, Template: "t", Placed: true}, Release, ""},
		"leaving, stays, restored":                  {Found{Mark: unproven, Marked: true}, Wanted{Leaving: true, Stays: true}, Release, ""},
		"leaving, stays, another hub's":             {Found{Mark: others, Marked: true}, Wanted{Leaving: true, Stays: true}, Ignore, ""},
		"leaving, restored":                         {Found{Mark: unproven, Marked: true}, Wanted{Leaving: true}, Ignore, ""},
		"leaving, another hub's":                    {Found{Mark: others, Marked: true}, Wanted{Leaving: true}, Ignore, ""},
	} {
		c.wanted.Hub, c.wanted.History = "hub", history
		if got, reason := Decide(c.found, c.wanted); got != c.want || reason != c.reason {
			t.Errorf("%s: %v %q, want %v %q", name, got, reason, c.want, c.reason)
		}
	}
}
