package propagate

import (
	"context"
	"strings"
	"testing"

	"github.com/hanse-dev/hanse/internal/lineage"
)

func TestARunKnowsWhetherItWasRestored(t *testing.T) {
	e := newEngine("hub")
	if now, restored := e.Session("aws", "any"); now != "" || restored {
		t.Errorf("before it has begun: %q, %v", now, restored)
	}
	e.history = lineage.History{}.Begin("A", lineage.Database{Revision: 10}).Begin("B", lineage.Database{Revision: 20})
	e.session, e.running = "B", context.Background()
	for last, want := range map[string]bool{"": false, "A": false, "B": false, "C": true} {
		if now, restored := e.Session("aws-"+last, last); now != "B" || restored != want {
			t.Errorf("after %q: %q, restored %v", last, now, restored)
		}
		if _, told := e.restored.Load("aws-" + last); told != want {
			t.Errorf("after %q: events are told: %v", last, told)
		}
	}
}

func TestFieldsThatAreChangedBackAreFew(t *testing.T) {
	patch := map[string]any{}
	for _, name := range strings.Split("abcdefghij", "") {
		patch[name] = "x"
	}
	if got := changedBack(map[string]any{"data": map[string]any{"k": "v"}}); got != "data.k changed back" {
		t.Errorf("%q", got)
	}
	if got := changedBack(patch); !strings.HasSuffix(got, " and 5 more fields changed back") {
		t.Errorf("%q", got)
	}
}
