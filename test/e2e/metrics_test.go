package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/test/dnspeers"
)

// TestMetrics: who may read /metrics gets Hanse's own beside upstream's, which is all that the dashboard asks for.
func TestMetrics(t *testing.T) {
	f := shared(t)
	if _, err := f.as(t, "metrics", "view").scrape(t.Context()); !apierrors.IsForbidden(err) {
		t.Errorf("the role view reads /metrics: %v", err)
	}
	reader := f.as(t, "metrics", "system:monitoring")
	var all string
	eventually(t, soon, func(ctx context.Context) (err error) {
		if all, err = reader.scrape(ctx); err != nil {
			return err
		}
		for _, line := range []string{
			`hanse_hub_leading 1`,
			`hanse_cluster_ready{cluster="aws"} 1`,
			`hanse_cluster_session_open{cluster="azure"} 1`,
			`hanse_cluster_objects_unreadable{cluster="aws"} 0`,
			`hanse_cluster_probes_total{cluster="aws",result="Reachable"} `,
			`hanse_cluster_credential_expiry_timestamp_seconds{cluster="aws"} `,
			`hanse_cluster_ca_expiry_timestamp_seconds{cluster="aws"} `,
			`hanse_certificate_expiry_timestamp_seconds{certificate="apiserver"} `,
			`hanse_objects{cluster="aws",state="failing"} `,
			`hanse_panics_recovered_total{component="fleet"} `,
			`hanse_dns_probes_total{result="passed"} `,
			`hanse_workqueue_depth{cluster="",name="inputs"} `,
			`hanse_workqueue_depth{cluster="",name="statuses"} `,
			`hanse_workqueue_depth{cluster="aws",name="member"} `,
			`hanse_workqueue_queue_duration_seconds_count{name="member"} `,
			`hanse_panics_recovered_total{component="propagation"} 0`,
		} {
			if !strings.Contains(all, "\n"+line) {
				return fmt.Errorf("/metrics has not %q, but\n%s", line, strings.Join(regexp.MustCompile(`(?m)^hanse_cluster.*$`).FindAllString(all, -1), "\n"))
			}
		}
		return nil
	})
	upstreamIsThere(t, all)
	f.namespace(t, "measured")                                    // a write, if there was none
	eventually(t, 2*soon, func(ctx context.Context) (err error) { // what would survive a loss is looked at once a minute
		if all, err = reader.scrape(ctx); err != nil {
			return err
		}
		return everythingIsThere(t, all)
	})
	own := strings.Join(regexp.MustCompile(`(?m)^(# (HELP|TYPE) )?hanse_.*$`).FindAllString(all, -1), "\n") + "\n"
	check := exec.Command(dnspeers.Require(t, "promtool", "prometheus"), "check", "metrics")
	check.Stdin = strings.NewReader(own)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v: %s", err, out)
	}
}

// scrape reads what Prometheus would.
func (c *clients) scrape(ctx context.Context) (string, error) {
	body, err := c.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	return string(body), err
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

// everythingIsThere holds all that package metrics can measure, which is what the dashboard shows, against a scrape.
func everythingIsThere(t *testing.T, all string) error {
	t.Helper()
	exist := names{}
	_, err := metrics.New(exist)
	must(t, err)
	for _, seldom := range []string{
		"hanse_cluster_credential_rotations_total",    // once a day
		"hanse_dns_zone_ready", "hanse_dns_listening", // where there are DNSZones
	} {
		delete(exist, seldom)
	}
	var missing []string
	for name := range exist {
		if !regexp.MustCompile(`(?m)^` + name + `(_count)?[{ ]`).MatchString(all) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not measured are %v", missing)
	}
	return nil
}

// upstreamIsThere holds what the dashboard and the alerts ask for beside Hanse's own against a scrape.
func upstreamIsThere(t *testing.T, all string) {
	t.Helper()
	data, err := os.ReadFile("../../monitoring/dashboard.json")
	must(t, err)
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	must(t, json.Unmarshal(data, &dashboard))
	alerts, err := os.ReadFile("../../monitoring/alerts.yaml")
	must(t, err)
	text := string(alerts)
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			text += target.Expr + "\n"
		}
	}
	names := regexp.MustCompile(`\b(process|apiserver|etcd|go)_[a-z0-9_]+`).FindAllString(text, -1)
	if len(names) < 5 {
		t.Errorf("only %v are asked for", names)
	}
	for _, name := range names {
		if !strings.Contains(all, "\n"+name+"{") && !strings.Contains(all, "\n"+name+" ") {
			t.Errorf("%s is asked for, and the hub does not have it", name)
		}
	}
}

// TestLog: what changes is a line of the hub's log, with the object that it is about.
func TestLog(t *testing.T) {
	f := shared(t)
	eventually(t, soon, func(context.Context) error {
		log, err := os.ReadFile(f.hub.Log())
		if err != nil {
			return err
		}
		line := regexp.MustCompile(`(?m)^I\d{4} .*member.go:\d+\] "Cluster changed health" cluster="aws" from="Connecting" to="Reachable"`)
		starts := strings.Count(string(log), "hub ready at ") // other tests kill the hub
		if n := len(line.FindAll(log, -1)); n < 1 || n > starts {
			return fmt.Errorf("the log has %d lines of the cluster's health: %w", n, errors.New(string(log)))
		}
		return nil
	})
}
