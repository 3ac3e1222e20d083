package workloads

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/hanse-dev/hanse/internal/cli/hubtest"
	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/internal/propagate/survive"
)

func scenario(kind, name string, clusters ...string) survive.Scenario {
	return survive.Scenario{Kind: kind, Name: name, Clusters: clusters, Survives: true, Affected: 2, Kept: 4, FailedOver: 2}
}

func TestSurvive(t *testing.T) {
	h := hubtest.New(t)
	aws, pair := scenario(survive.KindCluster, "aws", "aws"), scenario(survive.KindPair, "aws+azure", "aws", "azure")
	aws.Also = []survive.Name{{Kind: survive.KindRegion, Name: "us-east-1"}}
	pair.ByHand = true
	answer := &survive.Report{Survives: true, Scenarios: []survive.Scenario{aws, pair}, LeftOut: "769 pairs"}
	var queries []string
	h.Handle("GET "+propagate.PathSurvive, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		hubtest.Respond(w, http.StatusOK, answer)
	})
	const table = `LOSS                            SURVIVED   WORKLOADS   KEPT   FAILED OVER   UNPLACED   MESSAGE
cluster aws, region us-east-1   yes        2           4      2             0          -
aws + azure                     by hand    2           4      2             0          nothing fails over until hanse drain
`
	try(t, h, NewSurviveCommand,
		example{line: "", out: table, errOut: "not shown: 769 pairs\n"},
		example{line: "aws azure", out: table, errOut: "not shown: 769 pairs\n"},
		example{line: "-o jsonpath={.scenarios[*].name}", out: "aws aws+azure", errOut: "not shown"},
		example{line: "-o table", error: `suitable for the output format "table"`},
	)
	answer.LeftOut, answer.Survives = "", false
	s := &answer.Scenarios[0]
	s.Survives, s.Unplaced, s.QuorumLost, s.UnansweredServices, s.UnansweredHostnames, s.BrokenBudgets, s.Affected = false, 2, 1, 1, 2, 1, 3
	s.Workloads = []survive.Workload{
		{Kind: "Deployment", Namespace: "shop", Name: "web", Replicas: 6, Kept: 3, FailedOver: 1, Unplaced: 2, Reason: "no room", Try: "more nodes"},
		{Kind: "StatefulSet", Namespace: "shop", Name: "db", Replicas: 2, Kept: 1, FailedOver: 1, QuorumLost: true},
	}
	s.Services, s.Hostnames = []string{"shop/web"}, []string{"web.example.com", "www.example.com"}
	s.Budgets = []survive.Budget{{Namespace: "shop", Name: "web", Wants: 4, Remain: 3, After: 4}, {Namespace: "shop", Name: "all", Wants: 6, Remain: 3, After: 4}}
	const worse = `LOSS                            SURVIVED   WORKLOADS   KEPT   FAILED OVER   UNPLACED   MESSAGE
cluster aws, region us-east-1   no         3           4      2             2          2 replicas without a place, 1 StatefulSet without its quorum, 1 Service without an answer, 2 hostnames without an answer (deployment shop/web, statefulset shop/db); 1 PodDisruptionBudget broken
aws + azure                     by hand    2           4      2             0          nothing fails over until hanse drain
`
	const details = `
cluster aws, region us-east-1
WORKLOAD              REPLICAS   KEPT   FAILED OVER   UNPLACED   REASON
deployment shop/web   6          3      1             2          no room
statefulset shop/db   2          1      1             0          its quorum is lost
and 1 more workload
without an answer: service shop/web
without an answer: web.example.com
without an answer: www.example.com
broken: poddisruptionbudget shop/web wants 4, 3 would be left, until what fails over is ready
broken: poddisruptionbudget shop/all wants 6, 3 would be left
`
	try(t, h, NewSurviveCommand,
		example{line: "", out: worse, error: "1 of 2 losses would not be survived. Try: for deployment shop/web: more nodes; for the reasons: hanse survive -v"},
		example{line: "-v", out: worse + details, error: "1 of 2 losses would not be survived. Try: for deployment shop/web: more nodes"},
		example{line: "--of deploy/web", out: worse + details, error: "1 of 2 losses would not be survived"},
	)
	if _, _, err := h.Run(t, NewSurviveCommand, ""); !errors.Is(err, ErrNotSurvived) {
		t.Errorf("the exit code is that of an error: %v", err)
	}
	want := "\ncluster=aws&cluster=azure\n\n\nall=true\nall=true&of=web\n"
	if got := strings.Join(queries, "\n"); got != want {
		t.Errorf("asked was %q, want %q", got, want)
	}
	*answer = survive.Report{Scenarios: []survive.Scenario{{Kind: survive.KindCluster, Name: "aws", Survives: true}}}
	if _, _, err := h.Run(t, NewSurviveCommand, "", "--of", "mars"); err == nil || err.Error() != "no workload named mars runs in what would be lost. Try: kubectl get placements -A" {
		t.Error(err)
	}
	answer.Incomplete = true
	if _, _, err := h.Run(t, NewSurviveCommand, ""); err == nil || errors.Is(err, ErrNotSurvived) {
		t.Errorf("what nobody knows is taken for an answer: %v", err)
	}
}
