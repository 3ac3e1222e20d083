package member

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// holding is a member that has objects of three kinds of strangers.
func holding(t *testing.T) *memberRig {
	r := newMemberRig(t)
	others, later := r.origin("b-other"), r.origin("c-later")
	others.Hub, later.Session = "another", "never"
	r.there("a-restored", "uid-a", "value", r.origin("a-restored").String(), "velero", 0)
	r.there("b-other", "uid-b", "value", others.String(), "hanse", 0)
	r.there("c-later", "uid-c", "value", later.String(), "hanse", 0)
	r.did("for strangers", nil)
	return r
}

func TestHeldIsListedAndApprovedByTheObject(t *testing.T) {
	r := holding(t)
	list, _ := r.member.Withheld(10)
	var got []string
	for _, h := range list {
		got = append(got, fmt.Sprint(h.Key, " ", h.UID, " ", h.Hub, " ", h.Reason))
		if h.Since.IsZero() || h.Message() == string(h.Reason) || h.Approved {
			t.Errorf("%+v", h)
		}
	}
	want := []string{
		"configmaps/shop/a-restored uid-a " + hubUID + " RestoredInCluster",
		"configmaps/shop/b-other uid-b another AnotherHub",
		"configmaps/shop/c-later uid-c " + hubUID + " UnknownSession",
	}
	if !slices.Equal(got, want) {
		t.Errorf("held:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if short, more := r.member.Withheld(1); len(short) != 1 || more != 2 {
		t.Errorf("with a limit: %+v, %d more", short, more)
	}

	// Since it was listed, one became another object, and a fourth came to be held.
	r.sees.remove(mustGet(t, r, "b-other"))
	if err := r.client.Tracker().Delete(configMaps().WithVersion("v1"), "shop", "b-other"); err != nil {
		t.Fatal(err)
	}
	r.there("b-other", "uid-b2", "value", r.origin("b-other").String(), "velero", 0)
	r.there("d-new", "uid-d", "value", r.origin("d-new").String(), "velero", 0)
	r.did("for news", nil)
	for range 2 { // two people at once
		var stale []string
		for _, h := range list {
			if !r.member.Approve(h.Key, h.UID) {
				stale = append(stale, h.Key.Name)
			}
		}
		if !slices.Equal(stale, []string{"b-other"}) {
			t.Errorf("not approved are %v", stale)
		}
	}
	r.did("for what was approved", []string{"delete", "delete"})
	if list, _ = r.member.Withheld(10); len(list) != 4 || !list[0].Approved || list[1].Approved || list[3].Approved {
		t.Errorf("afterwards: %+v", list)
	}
	if r.member.Approve(keyOf("d-new"), "") {
		t.Error("approved without a UID")
	}
}
