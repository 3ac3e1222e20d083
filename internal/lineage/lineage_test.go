package lineage

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

func TestKnowsItsOwnPastOnly(t *testing.T) {
	// The hub ran as A (from 100) and as B (from 300). A snapshot was taken at
	// 200, while A ran; later it is restored and started as C.
	before := History{}.Begin("A", Database{Revision: 100})
	truth := before.Begin("B", Database{Revision: 300})
	restored := before.Begin("C", Database{Revision: 201})
	bumped := before.Begin("C", Database{Revision: 1_000_000_201, Seen: 200})
	forward := before.Begin("C", Database{Revision: 5_000, Ends: []uint64{90, 200}})
	// Two starts failed before C, the second of them after some writes.
	failed := before.Begin("C", Database{Revision: 7_000, Ends: []uint64{90, 200, 5_000, 6_010}})

	for _, c := range []struct {
		name    string
		history History
		session string
		at      uint64
		want    bool
	}{
		{"own session", truth, "B", 350, true},
		{"earlier session", truth, "A", 250, true},
		{"before the snapshot", restored, "A", 150, true},
		{"after the snapshot, same session", restored, "A", 250, false},
		{"after the snapshot, later session", restored, "B", 350, false},
		{"bumped revisions, before the snapshot", bumped, "A", 150, true},
		{"bumped revisions, after the snapshot", bumped, "A", 250, false},
		{"set forward, before the snapshot", forward, "A", 200, true},
		{"set forward, after the snapshot", forward, "A", 250, false},
		{"starts that failed, before the snapshot", failed, "A", 200, true},
		{"starts that failed, after the snapshot", failed, "A", 250, false},
		{"a fresh hub", History{}.Begin("Z", Database{Revision: 10}), "A", 150, false},
		{"a session nobody had", truth, "X", 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.history.Knows(Origin{Session: c.session, Revision: c.at}); got != c.want {
				t.Errorf("Knows(%s@%d) = %v, want %v in %v", c.session, c.at, got, c.want, c.history)
			}
		})
	}
}

// A hub that is only ever restarted, never restored, knows all it ever made,
// as long as it remembers the session.
func TestRestartsForgetNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h History
		var made []Origin
		revision := uint64(1)
		for i := range rapid.IntRange(1, 50).Draw(t, "restarts") {
			name := string(rune('A' + i))
			h = h.Begin(name, Database{Revision: revision})
			for range rapid.IntRange(0, 5).Draw(t, "objects") {
				revision += rapid.Uint64Range(0, 1000).Draw(t, "writes")
				made = append(made, Origin{Session: name, Revision: revision})
			}
			encoded, err := h.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if h, err = Decode(encoded); err != nil {
				t.Fatal(err)
			}
		}
		for _, o := range made {
			if !h.Knows(o) {
				t.Fatalf("%v forgotten by %v", o, h)
			}
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	var h History
	for i := range 3 * maxSessions {
		h = h.Begin(string(rune(i)), Database{Revision: uint64(i)})
	}
	if len(h.Sessions) != maxSessions {
		t.Errorf("%d sessions kept, want %d", len(h.Sessions), maxSessions)
	}
}

func FuzzParseOrigin(f *testing.F) {
	f.Add("hub/session@12/template")
	f.Add("//@/")
	f.Add("hub/session@12/template/deployments.apps/shop/web")
	f.Add("hub/session@12/template/clusterroles.rbac.authorization.k8s.io//system:node@x")
	f.Add("h/s@1/t/a..b/./")
	f.Fuzz(func(t *testing.T, s string) {
		o, err := ParseOrigin(s)
		if err != nil {
			return
		}
		again, err := ParseOrigin(o.String())
		if err != nil || again != o {
			t.Errorf("%q read as %v, written as %q, read again as %v: %v", s, o, o.String(), again, err)
		}
	})
}

func TestParseOrigin(t *testing.T) {
	o := Origin{Hub: types.UID("h"), Session: "s", Revision: 7, Template: "t"}
	roles := o
	roles.On = Object{Resource: schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}, Name: "hanse:a@b:c.d"}
	secret := o
	secret.On = Object{Resource: schema.GroupResource{Resource: "secrets"}, Namespace: "shop", Name: "tls"}
	for _, o := range []Origin{o, roles, secret} {
		got, err := ParseOrigin(o.String())
		if err != nil || got != o {
			t.Errorf("ParseOrigin(%q) = %v, %v", o, got, err)
		}
	}
	for _, bad := range []string{"", "h", "h/s/t", "h/s@x/t", "h/@1/t", "/s@1/t", "h/s@1/", "h/s@1/t/u", "h/s@1/t/r/ns", "h/s@1/t/r/ns/n/x", "h/s@1/t//ns/n", "h/s@1/t/r/ns/", "h/s@1/t/.g/ns/n"} {
		if _, err := ParseOrigin(bad); err == nil {
			t.Errorf("ParseOrigin(%q) accepted it", bad)
		}
	}
}

func TestOriginsAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`[^/@]{1,20}`)
		o := Origin{
			Hub: types.UID(part.Draw(t, "hub")), Session: part.Draw(t, "session"), Revision: rapid.Uint64().Draw(t, "revision"), Template: types.UID(part.Draw(t, "template")),
			On: Object{
				Resource:  schema.GroupResource{Resource: rapid.StringMatching(`[a-z0-9-]{1,20}`).Draw(t, "resource"), Group: rapid.StringMatching(`([a-z0-9-]+\.)*[a-z]*`).Draw(t, "group")},
				Namespace: rapid.StringMatching(`[a-z0-9-]{0,20}`).Draw(t, "namespace"),
				Name:      rapid.StringMatching(`[^/]{1,40}`).Draw(t, "name"),
			},
		}
		if got, err := ParseOrigin(o.String()); err != nil || got != o {
			t.Fatalf("%q is read as %+v, %v; want %+v", o, got, err, o)
		}
	})
}
