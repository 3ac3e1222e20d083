package schedule_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// TestGolden runs testdata/*.txt. Each has the sections
//
//	clusters   a line per cluster: NAME and words such as region=eu zones=a,b
//	           free=cpu:4,memory:8Gi per zone, taint=KEY:EFFECT, price=CPU/GIB,
//	           away, lost, cordoned, drained, runs=APP:COUNT (pods of others)
//	workload   a Deployment, or FILE NAME of one in the examples
//	replicas   in place of the Deployment's, if there
//	current    aws=2,azure=1, if there
//	policy     the schedule.Policy, if there
//	decision   what comes out
//
// and go test -run Golden -update writes the last.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { golden(t, file) })
	}
}

var update = flag.Bool("update", false, "write the decisions into testdata")

func golden(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section := map[string]string{}
	for _, f := range archive.Files {
		section[f.Name] = string(f.Data)
	}
	clusters := readClusters(t, section["clusters"])
	w := readWorkload(t, section)
	d := schedule.NewSnapshot(clusters, schedule.Surroundings{}).Schedule(&w)
	var b strings.Builder
	if err := d.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	if d.Problem != "" {
		fmt.Fprintf(&b, "\nProblem (hold %v): %s.\n", d.Hold, d.Problem)
	}
	if got := b.String(); got != section["decision"] {
		if !*update {
			t.Fatalf("got:\n%s\nwant:\n%s", got, section["decision"])
		}
		archive.Files = archive.Files[:len(archive.Files)-1]
		archive.Files = append(archive.Files, txtar.File{Name: "decision", Data: []byte(got)})
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readWorkload(t *testing.T, section map[string]string) schedule.Workload {
	t.Helper()
	manifest, name := []byte(section["workload"]), ""
	if words := strings.Fields(section["workload"]); len(words) == 2 {
		all, err := os.ReadFile(filepath.Join("../../examples/finsolutions", words[0]))
		if err != nil {
			t.Fatal(err)
		}
		manifest, name = all, words[1]
	}
	var found *appsv1.Deployment
	for doc := range strings.SplitSeq(string(manifest), "\n---\n") {
		var d appsv1.Deployment
		if err := yaml.Unmarshal([]byte(doc), &d); err != nil {
			t.Fatal(err)
		}
		if found == nil && (name == "" || d.Name == name && d.Kind == "Deployment") {
			found = &d
		}
	}
	if found == nil {
		t.Fatalf("no Deployment %s", name)
	}
	w := schedule.Workload{Key: "deployments.apps/default/" + found.Name, Namespace: "default", Divided: true, Total: 1, Template: &found.Spec.Template}
	if found.Spec.Replicas != nil {
		w.Total = *found.Spec.Replicas
	}
	if s := strings.TrimSpace(section["replicas"]); s != "" {
		w.Total = int32(number(t, s))
	}
	for pair := range strings.SplitSeq(strings.TrimSpace(section["current"]), ",") {
		if cluster, n, ok := strings.Cut(pair, "="); ok {
			if w.Current == nil {
				w.Current = map[string]int32{}
			}
			w.Current[cluster] = int32(number(t, n))
		}
	}
	if p := section["policy"]; p != "" {
		w.Policy = &schedule.Policy{}
		if err := yaml.UnmarshalStrict([]byte(p), w.Policy); err != nil {
			t.Fatal(err)
		}
	}
	w.ReadFederation(found.Annotations, schedule.AnnotationDeploymentPreferences)
	return w
}

func readClusters(t *testing.T, text string) (cs []schedule.Cluster) {
	t.Helper()
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		c := schedule.Cluster{Name: words[0], Ready: true, Labels: map[string]string{}}
		zones, free := []string(nil), (*schedule.Resources)(nil)
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			switch key {
			case "away":
				c.Ready = false
			case "lost":
				c.Ready, c.Lost = false, true
			case "cordoned":
				c.Cordoned = true
			case "drained":
				c.Drained = true
			case "region":
				c.Labels[corev1.LabelTopologyRegion] = value
			case "zones":
				zones = strings.Split(value, ",")
			case "free":
				list := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("110")}
				for pair := range strings.SplitSeq(value, ",") {
					name, n, _ := strings.Cut(pair, ":")
					list[corev1.ResourceName(name)] = resource.MustParse(n)
				}
				r := schedule.NewResources(list)
				free = &r
			case "taint":
				name, effect, _ := strings.Cut(value, ":")
				c.Taints = append(c.Taints, corev1.Taint{Key: name, Effect: corev1.TaintEffect(effect)})
			case "price":
				if _, err := fmt.Sscanf(value, "%g/%g", &c.Price.CPU, &c.Price.GiB); err != nil {
					t.Fatal(err)
				}
			case "runs":
				app, n, _ := strings.Cut(value, ":")
				c.Pods = append(c.Pods, schedule.PodGroup{Workload: "deployments.apps/default/" + app, Namespace: "default",
					Labels: map[string]string{"app": app}, Count: int32(number(t, n))})
			default:
				c.Labels[key] = value
			}
		}
		for _, zone := range zones {
			c.Domains = append(c.Domains, schedule.Domain{Labels: map[string]string{corev1.LabelTopologyZone: zone}, Free: free})
		}
		if len(zones) == 0 && free != nil {
			c.Domains = []schedule.Domain{{Free: free}}
		}
		cs = append(cs, c)
	}
	return cs
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestOutput is the form that `hanse plan -o json` promises.
func TestOutput(t *testing.T) {
	w := schedule.Workload{Key: "deployments.apps/default/whoami", Total: 2, Divided: true, Current: map[string]int32{"aws": 1}}
	d := schedule.Schedule(w, clusters("aws azure google"))
	got, err := json.Marshal(schedule.Output{Decisions: []schedule.OutputDecision{
		d.Output(schedule.OutputObject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "default", Name: "whoami"})}})
	want := `{"decisions":[{"object":{"apiVersion":"apps/v1","kind":"Deployment","namespace":"default","name":"whoami"},` +
		`"clusters":[{"name":"aws","replicas":1,"reason":"as before"},{"name":"google","replicas":1,"reason":"raised from 0: had the fewest"}],` +
		`"unplaced":0,"rejected":[{"name":"azure","reason":"no replicas left for it"}]}]}`
	if err != nil || string(got) != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
}
