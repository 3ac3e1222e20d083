package aggregate_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kubectl/pkg/polymorphichelpers"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/internal/aggregate"
)

var update = flag.Bool("update", false, "write the golden files' outputs instead of checking them")

// scenario is what a golden file says. Its inputs are hub.yaml and members.yaml.
type scenario struct {
	hub     map[string]any
	members []aggregate.MemberStatus
}

func (s scenario) object() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: s.hub}
}

func (s scenario) status() map[string]any {
	return aggregate.Status(s.object().GroupVersionKind().GroupKind(), s.hub, s.members)
}

// merged is the hub's object as it is once the status has been written.
func (s scenario) merged() *unstructured.Unstructured {
	o := s.object().DeepCopy()
	if status := s.status(); status != nil {
		o.Object["status"] = runtime.DeepCopyJSON(status)
	}
	return o
}

// memberYAML is a member in a golden file. It is in sync and reachable unless
// it says otherwise, and has observed its generation unless it says which.
type memberYAML struct {
	Cluster    string         `json:"cluster"`
	Replicas   *int32         `json:"replicas"`
	Generation int64          `json:"generation"`
	Observed   *int64         `json:"observed"`
	Pending    bool           `json:"pending"`
	Away       bool           `json:"away"`
	Lost       bool           `json:"lost"`
	Spec       map[string]any `json:"spec"`
	Status     map[string]any `json:"status"`
}

func (m memberYAML) status() aggregate.MemberStatus {
	observed := m.Generation
	if m.Observed != nil {
		observed = *m.Observed
	}
	return aggregate.MemberStatus{
		Cluster: m.Cluster, Replicas: m.Replicas, Generation: m.Generation, ObservedGeneration: observed,
		Synced: !m.Pending, Reachable: !m.Away && !m.Lost, Lost: m.Lost, Spec: m.Spec, Status: m.Status,
	}
}

func decode(t testing.TB, data []byte, into any) {
	t.Helper()
	b, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	if strict, err := json.UnmarshalStrict(b, into); err != nil || len(strict) > 0 {
		t.Fatal(err, strict)
	}
}

func read(t testing.TB, a *txtar.Archive) scenario {
	t.Helper()
	var s scenario
	for _, f := range a.Files {
		switch f.Name {
		case "hub.yaml":
			decode(t, f.Data, &s.hub)
		case "members.yaml":
			var members []memberYAML
			decode(t, f.Data, &members)
			for _, m := range members {
				s.members = append(s.members, m.status())
			}
		}
	}
	return s
}

// outputs is what follows from a scenario, in the order of the file: the
// status, what kubectl rollout status says about it, and what is ready where.
func (s scenario) outputs(t testing.TB) []txtar.File {
	status := []byte("# left alone\n")
	if merged := s.status(); merged != nil {
		var err error
		if status, err = yaml.Marshal(merged); err != nil {
			t.Fatal(err)
		}
	}
	files := []txtar.File{{Name: "want/status.yaml", Data: status}}
	gk := s.object().GroupVersionKind().GroupKind()
	if viewer, err := polymorphichelpers.StatusViewerFor(gk); err == nil {
		message, done, err := viewer.Status(s.merged(), 0)
		if err != nil {
			message = "error: " + err.Error() + "\n"
		}
		files = append(files, txtar.File{Name: "want/kubectl-rollout-status", Data: fmt.Appendf(nil, "%sdone: %t\n", message, done)})
	}
	var ready bytes.Buffer
	for _, m := range s.members {
		if r, want, ok := aggregate.Ready(gk, m); ok {
			fmt.Fprintf(&ready, "%s %d/%d\n", m.Cluster, r, want)
		}
	}
	if ready.Len() > 0 {
		files = append(files, txtar.File{Name: "want/ready", Data: ready.Bytes()})
	}
	return files
}

func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := read(t, a)
			got := &txtar.Archive{Comment: a.Comment}
			for _, f := range a.Files {
				if !strings.HasPrefix(f.Name, "want/") {
					got.Files = append(got.Files, f)
				}
			}
			got.Files = append(got.Files, s.outputs(t)...)
			if *update {
				if err := os.WriteFile(path, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if want := string(txtar.Format(a)); string(txtar.Format(got)) != want {
				t.Errorf("got:\n%s\nwant:\n%s", txtar.Format(got), want)
			}
			checkCanonical(t, s)
			checkFixedPoint(t, s)
		})
	}
}

// checkCanonical sees to it that the status is as the API server would show it
// after it was written: else it would be written for ever.
func checkCanonical(t testing.TB, s scenario) {
	t.Helper()
	o := s.merged()
	typed, err := scheme.Scheme.New(o.GroupVersionKind())
	if runtime.IsNotRegisteredError(err) {
		return // a custom resource is kept as it is
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, typed, true); err != nil {
		t.Fatalf("not a valid %s: %v", o.GetKind(), err)
	}
	shown, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.status(); got != nil && !reflect.DeepEqual(shown["status"], any(got)) {
		t.Errorf("the API server would show\n%v\nfor\n%v", shown["status"], got)
	}
}

// checkFixedPoint aggregates again with the result as the hub's status.
func checkFixedPoint(t testing.TB, s scenario) {
	t.Helper()
	first := s.status()
	if first == nil {
		return
	}
	s.hub = s.merged().Object
	if again := s.status(); !reflect.DeepEqual(again, first) {
		t.Errorf("aggregated again:\n%v\nat first:\n%v", again, first)
	}
}
