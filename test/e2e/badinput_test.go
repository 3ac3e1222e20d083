package e2e

import (
	"context"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// refused fails the test unless the result is exit 1 and one clear error that
// says what to try.
func refused(t *testing.T, r federation.Result, says string) {
	t.Helper()
	var errs []string
	for line := range strings.Lines(r.Stderr) {
		if strings.HasPrefix(line, "Error: ") {
			errs = append(errs, line)
		}
	}
	switch {
	case r.Code != 1:
		t.Errorf("want exit 1: %s", r)
	case len(errs) != 1 || !strings.HasSuffix(strings.TrimSpace(r.Stderr), strings.TrimSpace(errs[0])):
		t.Errorf("want one error, in one line and last: %s", r)
	case !strings.Contains(errs[0], "Try: ") || !strings.Contains(errs[0], says):
		t.Errorf("want an error with %q that says what to try: %s", says, r)
	case strings.Contains(r.Stderr, "goroutine ") || r.Stdout != "":
		t.Errorf("want nothing but the error: %s", r)
	}
}

// busyPort is a port that somebody listens on.
func busyPort(t *testing.T) (host, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	host, port, err = net.SplitHostPort(l.Addr().String())
	must(t, err)
	return host, port
}

func TestServerRefusesBadInput(t *testing.T) {
	f := shared(t)
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	host, port := busyPort(t)
	memberData := filepath.Dir(f.members[0].AdminKubeconfig())
	for _, c := range []struct {
		name, says string
		args       []string
	}{
		{"no directory", "directory", nil},
		{"a port in use", port, []string{"--data-dir", filepath.Join(dir, "a"), "--listen", net.JoinHostPort(host, port)}},
		{"no such address", "192.0.2.1", []string{"--data-dir", filepath.Join(dir, "b"), "--listen", "192.0.2.1:0"}},
		{"not an address", "nonsense", []string{"--data-dir", filepath.Join(dir, "c"), "--listen", "nonsense"}},
		{"a directory that cannot be made", "file", []string{"--data-dir", filepath.Join(file, "below"), "--listen", "127.0.0.1:0"}},
		{"a file for a directory", "file", []string{"--data-dir", file, "--listen", "127.0.0.1:0"}},
		{"the directory of a hub that runs", "in use", []string{"--data-dir", f.hub.DataDir(), "--listen", "127.0.0.1:0"}},
		{"the directory of a cluster", memberData, []string{"--data-dir", memberData, "--listen", "127.0.0.1:0"}},
		{"an etcd that is not there", "127.0.0.1:1", []string{"--data-dir", filepath.Join(dir, "d"), "--listen", "127.0.0.1:0", "--etcd-servers", "http://127.0.0.1:1"}},
		{"an unknown flag", "--nonsense", []string{"--nonsense"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			refused(t, f.hanse(t, append([]string{"server"}, c.args...)...), c.says)
		})
	}
}

func TestLocalRefusesBadInput(t *testing.T) {
	f := shared(t)
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	_, port := busyPort(t)
	for _, c := range []struct {
		name, says string
		args       []string
	}{
		{"no name", "name", []string{"create"}},
		{"a bad name", "Not_A_Name", []string{"create", "Not_A_Name", "--provider", "aws", "--dir", dir}},
		{"the hub's name", "federation", []string{"create", "federation", "--provider", "aws", "--dir", dir}},
		{"a name that is taken", "aws", []string{"create", "aws", "--provider", "aws", "--dir", f.home.Dir}},
		{"an unknown provider", "nonsense", []string{"create", "x", "--provider", "nonsense", "--dir", dir}},
		{"a port in use", port, []string{"create", "x", "--provider", "aws", "--port", port, "--dir", dir}},
		{"a directory that cannot be made", "file", []string{"create", "x", "--provider", "aws", "--dir", filepath.Join(file, "below")}},
		{"to stop what is not there", "nobody", []string{"stop", "nobody", "--dir", dir}},
		{"to delete what is not there", "nobody", []string{"delete", "nobody", "--dir", dir}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := f.hanse(t, append([]string{"local"}, c.args...)...)
			r.Stderr = withoutProgress(r.Stderr)
			refused(t, r, c.says)
		})
	}
	if left, err := filepath.Glob(filepath.Join(dir, "local", "*")); err != nil || len(left) > 0 {
		t.Errorf("something is left: %v %v", left, err)
	}
}

// withoutProgress drops the lines that say what is being done.
func withoutProgress(stderr string) string {
	var out strings.Builder
	for line := range strings.Lines(stderr) {
		if trimmed := strings.TrimSpace(line); !strings.HasPrefix(trimmed, "✗") && !strings.HasPrefix(trimmed, "•") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func TestJoinRefusesBadInput(t *testing.T) {
	f := shared(t)
	dir := t.TempDir()
	member := f.members[0]
	admin, err := clientcmd.LoadFromFile(member.AdminKubeconfig())
	must(t, err)
	other := httptest.NewTLSServer(nil)
	t.Cleanup(other.Close)
	write := func(name string, change func(*clientcmdapi.Cluster, *clientcmdapi.AuthInfo)) string {
		cfg := admin.DeepCopy()
		current := cfg.Contexts[cfg.CurrentContext]
		change(cfg.Clusters[current.Cluster], cfg.AuthInfos[current.AuthInfo])
		path := filepath.Join(dir, name)
		must(t, clientcmd.WriteToFile(*cfg, path))
		return path
	}
	wrongCA := write("ca", func(c *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
		c.CertificateAuthority = ""
		c.CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw})
	})
	nobody := write("nobody", func(c *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) { c.Server = "https://127.0.0.1:1" })
	expired := write("token", func(_ *clientcmdapi.Cluster, a *clientcmdapi.AuthInfo) {
		*a = clientcmdapi.AuthInfo{Token: deadToken(t, f.in[member.Name])}
	})
	garbage := filepath.Join(dir, "garbage")
	must(t, os.WriteFile(garbage, []byte("this is: [no kubeconfig"), 0o600))
	stranger, err := suite.chaos() // another hub's
	must(t, err)
	before := f.joined(t)
	hub := f.hub.Kubeconfig()
	for _, c := range []struct {
		name, says string
		args       []string
	}{
		{"no name", "name", nil},
		{"no kubeconfig", "--kubeconfig", []string{"x"}},
		{"a kubeconfig that is not there", "missing", []string{"x", "--kubeconfig", filepath.Join(dir, "missing")}},
		{"a file that is no kubeconfig", "garbage", []string{"x", "--kubeconfig", garbage}},
		{"an unknown context", "nonsense", []string{"x", "--kubeconfig", member.AdminKubeconfig(), "--context", "nonsense"}},
		{"a server that is not there", "cannot be reached", []string{"x", "--kubeconfig", nobody}},
		{"a wrong CA", "cannot be trusted", []string{"x", "--kubeconfig", wrongCA}},
		{"an expired token", "expired", []string{"x", "--kubeconfig", expired}},
		{"a bad name", "Not_A_Name", []string{"Not_A_Name", "--kubeconfig", member.AdminKubeconfig()}},
		{"the hub's name", "federation", []string{"federation", "--kubeconfig", member.AdminKubeconfig()}},
		{"a name that is taken", "taken", []string{"aws", "--kubeconfig", stranger.members[0].AdminKubeconfig()}},
		{"a member under another name", "already", []string{"other", "--kubeconfig", member.AdminKubeconfig()}},
		{"the hub itself", "itself", []string{"self", "--kubeconfig", hub}},
		{"to something that is no hub", "no hub", []string{"x", "--kubeconfig", f.members[1].AdminKubeconfig(), "--hub-kubeconfig", member.AdminKubeconfig(), "--hub-context", member.Name}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"join"}, c.args...)
			if !slices.Contains(args, "--hub-kubeconfig") {
				args = append(args, "--hub-kubeconfig", hub)
			}
			r := f.hanse(t, args...)
			r.Stderr = withoutProgress(r.Stderr)
			refused(t, r, c.says)
		})
	}
	if after := f.joined(t); !slices.Equal(after, before) {
		t.Errorf("the hub had %v, and has %v", before, after)
	}
}

// joined are the names of the hub's Clusters and credentials.
func (f *fed) joined(t *testing.T) []string {
	t.Helper()
	var out []string
	clusters, err := f.at.dynamic.Resource(v1alpha1.Resource("clusters")).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, c := range clusters.Items {
		out = append(out, "cluster "+c.GetName())
	}
	secrets, err := f.at.CoreV1().Secrets(v1alpha1.SystemNamespace).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, s := range secrets.Items {
		out = append(out, "secret "+s.Name)
	}
	slices.Sort(out)
	return out
}

// deadToken is a token of a service account that is no more.
func deadToken(t *testing.T, c *clients) string {
	t.Helper()
	ctx, accounts := context.Background(), c.CoreV1().ServiceAccounts(metav1.NamespaceDefault)
	_, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "dead"}}, metav1.CreateOptions{})
	must(t, err)
	token, err := accounts.CreateToken(ctx, "dead", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	must(t, accounts.Delete(ctx, "dead", metav1.DeleteOptions{}))
	return token.Status.Token
}
