package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// TestAnonymousSeesHealthOnly asks the hub without a credential.
func TestAnonymousSeesHealthOnly(t *testing.T) {
	f := shared(t)
	t.Parallel()
	eventually(t, soon, func(ctx context.Context) error { // roles are written after the hub has begun to serve
		return f.at.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // who it is does not matter here
	t.Cleanup(transport.CloseIdleConnections)
	for path, allowed := range map[string]bool{
		"/livez": true, "/readyz": true, "/healthz": true,
		"/": false, "/api": false, "/apis": false, "/version": false, "/metrics": false, "/openapi/v3": false, "/logs": false,
		"/debug/pprof/": false, "/hanse/certificates": false, "/api/v1/namespaces": false, "/apis/hanse.dev/v1alpha1/clusters": false, "/apis/hanse.dev/v1alpha1/placements": false,
	} {
		r, err := transport.RoundTrip(request(t, f.at.config.Host+path))
		must(t, err)
		r.Body.Close()
		denied := r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusForbidden
		if allowed && r.StatusCode != http.StatusOK || !allowed && !denied {
			t.Errorf("%s answers an anonymous request with %d", path, r.StatusCode)
		}
	}
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	return r
}

// TestSecretsStaySecret puts Secrets into the hub: one that is propagated, one
// that conflicts with a member's and one that a member refuses with words that
// repeat it. Their contents must be nowhere but in the Secrets.
func TestSecretsStaySecret(t *testing.T) {
	f := shared(t)
	t.Parallel()
	const ns, word = "secrets", "correct-horse-battery-staple"
	ctx, aws := t.Context(), f.in["aws"]
	for _, o := range parseObjects(t, []byte(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: telltale}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: secrets}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [secrets], resourceNames: [refused]}]
  validations: [{expression: "false", messageExpression: "'the value is ' + string(object.data.key)"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: telltale}
spec: {policyName: telltale, validationActions: [Deny]}`)) {
		m, err := f.resource(o.GroupVersionKind())
		must(t, err)
		_, err = aws.dynamic.Resource(m.Resource).Create(ctx, o, metav1.CreateOptions{})
		must(t, err)
		t.Cleanup(func() {
			_ = aws.dynamic.Resource(m.Resource).Delete(context.Background(), o.GetName(), metav1.DeleteOptions{})
		})
	}
	f.namespace(t, ns)
	eventually(t, soon, func(ctx context.Context) error {
		_, err := aws.CoreV1().Secrets(ns).Create(ctx, secret("refused", "dry run"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil || !strings.Contains(err.Error(), "the value is") {
			return fmt.Errorf("the member does not refuse it yet: %v", err)
		}
		return nil
	})
	_, err := aws.CoreV1().Secrets(ns).Create(ctx, secret("conflicting", "the member's "+word), metav1.CreateOptions{})
	must(t, err)
	for _, name := range []string{"plain", "conflicting", "refused"} {
		_, err := f.at.CoreV1().Secrets(ns).Create(ctx, secret(name, word), metav1.CreateOptions{})
		must(t, err)
	}
	eventually(t, soon, func(ctx context.Context) error { return f.synced(ctx, ns, "secrets.plain") })
	eventually(t, soon, func(ctx context.Context) error { return f.conflicts(ctx, ns, "secrets.conflicting") })
	eventually(t, soon, func(ctx context.Context) error {
		p, err := f.placement(ctx, ns, "secrets.refused")
		if err == nil && !slices.ContainsFunc(p.Clusters, func(c v1alpha1.ClusterPlacement) bool { return c.State == v1alpha1.StateError && c.LastError != "" }) {
			err = fmt.Errorf("nothing is refused: %+v", p.Clusters)
		}
		return err
	})

	words := [][]byte{[]byte(word), []byte(base64.StdEncoding.EncodeToString([]byte(word)))}
	none := func(where string, content []byte) {
		for _, w := range words {
			if bytes.Contains(content, w) {
				t.Errorf("the Secret's content is in %s", where)
			}
		}
	}
	placements, err := f.at.dynamic.Resource(v1alpha1.Resource("placements")).List(ctx, metav1.ListOptions{})
	must(t, err)
	content, err := json.Marshal(placements)
	must(t, err)
	none("a Placement", content)
	for _, c := range []*clients{f.at, aws, f.in["azure"]} {
		events, err := c.CoreV1().Events("").List(ctx, metav1.ListOptions{})
		must(t, err)
		content, err := json.Marshal(events)
		must(t, err)
		none("an event at "+c.name, content)
	}
	for _, m := range f.members {
		content, err := os.ReadFile(m.Log())
		must(t, err)
		none("the log of "+m.Name, content)
	}
	// The hub's log, its audit log, and its database, which is encrypted.
	must(t, filepath.WalkDir(f.hub.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // a file that went meanwhile, or a socket
		}
		if info, err := entry.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %s", path, info.Mode())
		}
		if content, err := os.ReadFile(path); err == nil {
			none(path, content)
		}
		return nil
	}))
}

func secret(name, value string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"key": value}}
}

// TestOnlyLoopbackListens goes through the sockets of the hub and the members.
func TestOnlyLoopbackListens(t *testing.T) {
	f := shared(t)
	t.Parallel()
	pids := map[string]int{"the hub": f.hub.PID()}
	for _, m := range f.members {
		pids[m.Name] = m.PID()
	}
	for who, pid := range pids {
		listening := listeners(t, pid)
		if len(listening) == 0 {
			t.Errorf("%s does not seem to listen at all", who)
		}
		for _, address := range listening {
			if !loopback(address) {
				t.Errorf("%s listens on %s, as the kernel writes it", who, address)
			}
		}
	}
}

// listeners are the local addresses of a process's listening TCP sockets, as
// /proc/net/tcp has them.
func listeners(t *testing.T, pid int) []string {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	files, err := filepath.Glob(filepath.Join(proc, "fd", "*"))
	must(t, err)
	sockets := map[string]bool{}
	for _, file := range files {
		if link, err := os.Readlink(file); err == nil && strings.HasPrefix(link, "socket:[") {
			sockets[strings.TrimSuffix(strings.TrimPrefix(link, "socket:["), "]")] = true
		}
	}
	var out []string
	for _, table := range []string{"tcp", "tcp6"} {
		content, err := os.ReadFile(filepath.Join(proc, "net", table))
		if os.IsNotExist(err) {
			continue // no IPv6 here
		}
		must(t, err)
		for line := range strings.Lines(string(content)) {
			const local, state, inode, listen = 1, 3, 9, "0A"
			fields := strings.Fields(line)
			if len(fields) > inode && fields[state] == listen && sockets[fields[inode]] {
				out = append(out, fields[local])
			}
		}
	}
	return out
}

// loopback knows 127.0.0.0/8, ::1 and ::ffff:127.0.0.0/8 in the byte order of a
// little-endian kernel.
func loopback(address string) bool {
	host, _, _ := strings.Cut(address, ":")
	switch len(host) {
	case 8:
		return strings.HasSuffix(host, "7F")
	case 32:
		return host == "00000000000000000000000001000000" || strings.HasPrefix(host, "0000000000000000FFFF0000") && strings.HasSuffix(host, "7F")
	}
	return false
}
