package workloads

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/hanse-dev/hanse/internal/cli/hubtest"
	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/internal/propagate/census"
)

func TestResidencyReport(t *testing.T) {
	h := hubtest.New(t)
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clean := census.Report{Clean: true, Complete: true, Residencies: []census.Residency{{
		Name: "eu", Namespaces: []string{"shop"}, Hub: census.Hub{Outside: "False"},
		Clusters: []census.Cluster{{Name: "aws", Why: "Residency eu keeps it out"}, {Name: "azure", Allowed: true, Objects: 7, Unlisted: []string{"controllerrevisions.apps"}}},
	}}}
	answer := clean
	var queries []string
	h.Handle("GET "+propagate.PathResidency, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		hubtest.Respond(w, http.StatusOK, &answer)
	})
	const table = `RESIDENCY   CLUSTER   ALLOWED   OBJECTS   VIOLATIONS   SINCE   MESSAGE
eu          aws       no        0         0            -       Residency eu keeps it out
eu          azure     yes       7         0            -       the hub's account may not list controllerrevisions.apps there
eu          (hub)     yes       -         -            -       -
`
	try(t, h, NewResidencyCommand,
		example{line: "report", out: table},
		example{line: "report eu", out: table},
		example{line: "report -o jsonpath={.residencies[*].name}", out: "eu"},
		example{line: "report -o table", error: `suitable for the output format "table"`},
	)
	if len(queries) != 3 || queries[1] != "name=eu" {
		t.Errorf("asked was %q", queries)
	}

	answer.Residencies = []census.Residency{clean.Residencies[0]}
	of := &answer.Residencies[0]
	of.Clusters = []census.Cluster{{
		Name: "aws", Why: "Residency eu keeps it out", Objects: 3, Violations: 3, Since: &since, Others: 2,
		Found: []census.Found{{Kind: "Secret", Resource: "secrets", Namespace: "shop", Name: "key", Created: since}, {Kind: "Pod", Resource: "pods", Namespace: "shop", Name: "web", Created: since}},
	}, {Name: "google", Unknown: "it is out of reach"}}
	of.Hub = census.Hub{Outside: "Unknown", Message: "its region is not declared. Try: hanse server --region"}
	const worse = `RESIDENCY   CLUSTER   ALLOWED   OBJECTS   VIOLATIONS   SINCE                  MESSAGE
eu          aws       no        3         3            2026-01-02T03:04:05Z   Residency eu keeps it out; 2 objects of others in a namespace of that name
eu          google    no        unknown   unknown      -                      it is out of reach
eu          (hub)     unknown   -         -            -                      its region is not declared. Try: hanse server --region

CLUSTER   NAMESPACE   OBJECT        THERE SINCE            RESIDENCY
aws       shop        secrets/key   2026-01-02T03:04:05Z   eu
aws       shop        pods/web      2026-01-02T03:04:05Z   eu
aws       and 1 more
`
	try(t, h, NewResidencyCommand, example{line: "report", out: worse, error: "3 objects in aws may not be there. Try: kubectl get residencies -o wide, for what is being done"})
	if _, _, err := h.Run(t, NewResidencyCommand, "", "report"); errors.Is(err, ErrResidencyUnknown) {
		t.Error("a violation has the exit code of what nobody knows")
	}
	of.Clusters = of.Clusters[1:]
	if _, _, err := h.Run(t, NewResidencyCommand, "", "report"); !errors.Is(err, ErrResidencyUnknown) {
		t.Errorf("what nobody knows: %v", err)
	}
	of.Clusters, of.Hub.Outside = nil, "True"
	if _, _, err := h.Run(t, NewResidencyCommand, "", "report"); err == nil || err.Error() != "the hub stores what it may not, by 1 Residency" {
		t.Errorf("a hub that is outside: %v", err)
	}
	of.Hub.Outside, of.Problem = "False", "spec.clusters makes no sense"
	if _, _, err := h.Run(t, NewResidencyCommand, "", "report"); !errors.Is(err, ErrResidencyUnknown) {
		t.Errorf("a Residency that is not valid: %v", err)
	}
	answer.Residencies = nil
	try(t, h, NewResidencyCommand, example{line: "report", out: "There are no Residencies: everything may be everywhere.\n"})
}
