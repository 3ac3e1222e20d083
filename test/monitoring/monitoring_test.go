package monitoring

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/test/dnspeers"
)

const (
	alertsFile    = "../../monitoring/alerts.yaml"
	testsFile     = "../../monitoring/alerts_test.yaml"
	dashboardFile = "../../monitoring/dashboard.json"
	documentFile  = "../../docs/operations.md"
)

// rule is an alert of a rule file.
type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func alerts(t *testing.T) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []rule `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.UnmarshalStrict(read(t, alertsFile), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// queries are all expressions of the dashboard.
func queries(t *testing.T) (all []string) {
	t.Helper()
	var file any
	if err := json.Unmarshal(read(t, dashboardFile), &file); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if expr, ok := v["expr"].(string); ok {
				all = append(all, expr)
			}
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(v[key])
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(file)
	return all
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// names is a Registerer that keeps the names of metrics.
type names map[string]bool

func (n names) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc, 100)
	c.Describe(descs)
	close(descs)
	for d := range descs {
		n[regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1]] = true
	}
	return nil
}

func (n names) MustRegister(...prometheus.Collector) {}
func (n names) Unregister(prometheus.Collector) bool { return false }

// inCode are the names of all metrics of Hanse.
func inCode(t *testing.T) names {
	t.Helper()
	n := names{}
	if _, err := metrics.New(n); err != nil {
		t.Fatal(err)
	}
	return n
}

// named are the metrics of Hanse that an expression asks for.
func named(expr string, exist names) (all []string) {
	for _, name := range regexp.MustCompile(`\bhanse_[a-z_]+`).FindAllString(expr, -1) {
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && exist[base] {
				name = base
			}
		}
		all = append(all, name)
	}
	return all
}

// What dashboard and alerts ask for is measured, and what is measured is on the dashboard.
func TestMetricsExist(t *testing.T) {
	exist, shown := inCode(t), names{}
	if len(exist) < 30 {
		t.Fatalf("only %d metrics in the code", len(exist))
	}
	for _, expr := range queries(t) {
		for _, name := range named(expr, exist) {
			shown[name] = true
			if !exist[name] {
				t.Errorf("the dashboard asks for %s, which is not measured", name)
			}
		}
	}
	for name := range exist {
		if !shown[name] {
			t.Errorf("%s is measured, and not on the dashboard", name)
		}
	}
	for _, r := range alerts(t) {
		for _, name := range named(r.Expr, exist) {
			if !exist[name] {
				t.Errorf("%s asks for %s, which is not measured", r.Alert, name)
			}
		}
	}
}

// Each alert says what has happened, how bad it is and where to read on, and is tested.
func TestAlertsAreComplete(t *testing.T) {
	var tests struct {
		Tests []struct {
			Name string `json:"name"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal(read(t, testsFile), &tests); err != nil {
		t.Fatal(err)
	}
	tested, seen := map[string]bool{}, map[string]bool{}
	for _, c := range tests.Tests {
		tested[c.Name] = true
	}
	document := string(read(t, documentFile))
	for _, r := range alerts(t) {
		seen[r.Alert] = true
		if !strings.Contains(document, "\n### "+r.Alert+"\n") {
			t.Errorf("docs/operations.md does not say what to do about %s", r.Alert)
		}
		if severity := r.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s has severity %q", r.Alert, severity)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || !strings.HasSuffix(r.Annotations["runbook_url"], "docs/operations.md#"+strings.ToLower(r.Alert)) {
			t.Errorf("%s has annotations %v", r.Alert, r.Annotations)
		}
		if !tested[r.Alert] {
			t.Errorf("%s has no test in alerts_test.yaml", r.Alert)
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^### (Hanse\w+)$`).FindAllStringSubmatch(document, -1) {
		if !seen[heading[1]] {
			t.Errorf("docs/operations.md describes %s, which is no alert", heading[1])
		}
	}
}

// promtool runs it and wants success.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(dnspeers.Require(t, "promtool", "prometheus"), args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func TestAlertRules(t *testing.T) {
	promtool(t, "check", "rules", alertsFile)
	promtool(t, "test", "rules", testsFile)
}

// What the dashboard asks is PromQL: promtool is shown it as rules.
func TestDashboardQueries(t *testing.T) {
	type record struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []record
	for _, expr := range queries(t) {
		expr = strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$cluster", ".*").Replace(expr)
		rules = append(rules, record{"dashboard", expr})
	}
	if len(rules) < 40 {
		t.Fatalf("only %d queries", len(rules))
	}
	var text strings.Builder
	for i, r := range rules { // a group each, since the same twice in one is an error
		data, err := yaml.Marshal(map[string]any{"name": fmt.Sprint("query", i), "rules": []record{r}})
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString("- " + strings.ReplaceAll(strings.TrimSpace(string(data)), "\n", "\n  ") + "\n")
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte("groups:\n"+text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", "--lint=none", file)
}
