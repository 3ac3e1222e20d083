package metrics

import (
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hanse-dev/hanse/test/dnspeers"
)

// Names, types, units and HELP texts are as promtool wants them, for every metric.
func TestPromtool(t *testing.T) {
	promtool := dnspeers.Require(t, "promtool", "prometheus")
	m, r := fresh(t)
	m.Fleet.Joined("a")
	m.DNS.Source(func() DNSSnapshot { return DNSSnapshot{} })
	for _, c := range moves() {
		c.move(m)
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = w.Body
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
	for _, line := range strings.Split(w.Body.String(), "\n") {
		if help, ok := strings.CutPrefix(line, "# HELP "); ok && !strings.HasSuffix(help, ".") {
			t.Errorf("not a sentence: %s", help)
		}
	}
}
