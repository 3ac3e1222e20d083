package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/test/federation"
)

// TestNameServerInTrouble starts a hub whose DNS port somebody else has, and whose
// geographic database is cut off: it says so, goes on, and takes both once they
// can be had.
func TestNameServerInTrouble(t *testing.T) {
	t.Parallel()
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { taken.Close() })
	database := filepath.Join(t.TempDir(), "geo.mmdb")
	good := countryDatabase()
	must(t, os.WriteFile(database, good[:len(good)/2], 0o600))
	f := use(t, func() (*fed, error) {
		hub, err := suite.home.NewHub(t.Context(), "trouble", "--dns-listen", taken.LocalAddr().String(), "--dns-geo-database", database)
		if err != nil {
			return nil, err
		}
		f := &fed{name: "trouble", home: suite.home, hub: hub}
		return f, f.connect()
	})
	t.Cleanup(f.end)
	f.create(t, somewhere)
	f.namespace(t, "trouble")
	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: GlobalRoute
metadata: {name: web, namespace: trouble}
spec:
  hosts: [www.trouble.example]
  endpoints: [{cluster: aws, addresses: [198.51.100.1]}, {cluster: azure, addresses: [198.51.100.2]}]
  routing: {geography: [{country: FR, clusters: [azure]}], default: [aws]}
  healthCheck: {protocol: None}`)

	f.zoneIs(t, "trouble.example", "NotListening", taken.LocalAddr().String(), "in use", "Try: ")
	_, err = f.at.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	must(t, err)
	if r := f.dnsCommand(t, "check"); r.Code != 1 || !strings.Contains(r.Stdout, "FAIL zone trouble.example: ") {
		t.Errorf("hanse dns check does not say so: %s", r)
	}

	must(t, taken.Close())
	f.zoneIs(t, "trouble.example", "ServedInPart", database)
	paris := func(want string) {
		t.Helper()
		eventually(t, soon, func(ctx context.Context) error {
			return f.answersAddresses(ctx, "www.trouble.example", fromParis, []string{want})
		})
	}
	paris("198.51.100.2") // by the database in the binary
	if r := f.dnsCommand(t, "about"); r.Code != 0 || !strings.Contains(r.Stdout, "DB-IP") || !strings.Contains(r.Stdout, "problem: ") {
		t.Errorf("hanse dns about does not say so: %s", r)
	}

	replacement := database + ".new"
	must(t, os.WriteFile(replacement, good, 0o600))
	must(t, os.Rename(replacement, database))
	f.zoneIs(t, "trouble.example", "Served")
	paris("198.51.100.1") // which the new database takes for Singapore
	if r := f.dnsCommand(t, "query", "www.trouble.example", "--from", fromParis); !strings.Contains(r.Stdout, "(SG, AS") {
		t.Errorf("the new database is not asked: %s", r)
	}
}

func (f *fed) dnsCommand(t *testing.T, args ...string) federation.Result {
	t.Helper()
	return f.hanse(t, append(append([]string{"dns"}, args...), "--kubeconfig", f.hub.Kubeconfig())...)
}

// countryDatabase is the smallest MaxMind DB: the lower half of IPv4 is Singapore,
// the upper one the United States.
func countryDatabase() []byte {
	text := func(s string) string { return fmt.Sprintf("%c%s", 2<<5|len(s), s) }
	number := func(kind, n int) string { return string([]byte{byte(kind<<5 | 2), byte(n >> 8), byte(n)}) }
	table := func(pairs ...string) string {
		return string([]byte{byte(7<<5 | len(pairs)/2)}) + strings.Join(pairs, "")
	}
	country := func(code string) string { return table(text("country"), table(text("iso_code"), text(code))) }
	singapore, america := country("SG"), country("US")
	const nodes, separator = 1, 16
	low, high := nodes+separator, nodes+separator+len(singapore)
	return []byte("\x00\x00" + string([]byte{byte(low)}) + "\x00\x00" + string([]byte{byte(high)}) +
		strings.Repeat("\x00", separator) + singapore + america +
		"\xab\xcd\xefMaxMind.com" + table(
		text("node_count"), number(6, nodes), text("record_size"), number(5, 24), text("ip_version"), number(5, 4),
		text("database_type"), text("GeoLite2-Country"), text("languages"), "\x00\x04", text("description"), table(),
		text("binary_format_major_version"), number(5, 2), text("binary_format_minor_version"), number(5, 0),
		text("build_epoch"), "\x04\x02\x6a\x00\x00\x00"))
}
