package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hanse-dev/hanse/test/federation"
)

// raw reaches an etcd as nobody does who goes by the API server.
func raw(t *testing.T, endpoint string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// stored counts how the values of a resource begin in an etcd; those in plain text are one.
func stored(t *testing.T, etcd *clientv3.Client, resource string) map[string]int {
	t.Helper()
	found, err := etcd.Get(t.Context(), "/registry/"+resource+"/", clientv3.WithPrefix())
	must(t, err)
	all := map[string]int{}
	for _, kv := range found.Kvs {
		how := "plain"
		if bytes.HasPrefix(kv.Value, []byte("k8s:enc:")) {
			how = string(bytes.Join(bytes.SplitN(kv.Value, []byte(":"), 6)[2:5], []byte(":")))
		}
		all[how]++
	}
	return all
}

// only fails unless all values of a resource begin the same.
func only(t *testing.T, etcd *clientv3.Client, resource, how string) {
	t.Helper()
	if all := stored(t, etcd, resource); len(all) != 1 || all[how] == 0 {
		t.Errorf("%s are stored as %v, want %s alone", resource, all, how)
	}
}

// stage is how far the database says that a rotation has come; empty: there is none.
func stage(ctx context.Context, etcd *clientv3.Client) (string, error) {
	found, err := etcd.Get(ctx, "hanse/keys")
	if err != nil {
		return "", err
	}
	var record struct{ Rotation *struct{ Stage string } }
	if len(found.Kvs) == 0 {
		return "", fmt.Errorf("the database does not say which keys it has")
	}
	if err := json.Unmarshal(found.Kvs[0].Value, &record); err != nil || record.Rotation == nil {
		return "", err
	}
	return record.Rotation.Stage, nil
}

func socketOf(h *federation.Hub) string {
	return "unix://" + filepath.Join(h.DataDir(), "run", "etcd.sock")
}

// fillHub makes Secrets and ConfigMaps.
func fillHub(t *testing.T, at *clients, many int) {
	t.Helper()
	for i := range many {
		_, err := at.CoreV1().Secrets("default").Create(t.Context(), secret(fmt.Sprint("s", i), fmt.Sprint("value ", i)), metav1.CreateOptions{})
		must(t, err)
	}
	for i := range many {
		_, err := at.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("c", i)}, Data: map[string]string{"key": fmt.Sprint("value ", i)}}, metav1.CreateOptions{})
		must(t, err)
	}
}

// whole fails unless what fillHub made can be read.
func whole(t *testing.T, at *clients, many int) {
	t.Helper()
	for i := range many {
		s, err := at.CoreV1().Secrets("default").Get(t.Context(), fmt.Sprint("s", i), metav1.GetOptions{})
		must(t, err)
		c, err := at.CoreV1().ConfigMaps("default").Get(t.Context(), fmt.Sprint("c", i), metav1.GetOptions{})
		must(t, err)
		if want := fmt.Sprint("value ", i); string(s.Data["key"]) != want || c.Data["key"] != want {
			t.Fatalf("%q, %q, want %q", s.Data["key"], c.Data["key"], want)
		}
	}
}

func rotate(t *testing.T, h *federation.Hub, flags ...string) {
	t.Helper()
	r, err := suite.home.Run(t.Context(), append([]string{"encryption", "rotate", "--data-dir", h.DataDir()}, flags...)...)
	must(t, err)
	if r.Code != 0 {
		t.Fatal(r)
	}
}

// done waits until no rotation is under way and the key that writes has a name.
func done(t *testing.T, h *federation.Hub, key string) {
	t.Helper()
	var last federation.Result
	eventually(t, 2*soon, func(ctx context.Context) (err error) {
		last, err = suite.home.Run(ctx, "encryption", "status", "--kubeconfig", h.Kubeconfig(), "-o", "jsonpath={.keys[*].name} {.rotation.stage}")
		if err == nil && strings.TrimSpace(last.Stdout) != key {
			err = fmt.Errorf("%s", last)
		}
		return err
	})
}

// TestEncryptionKeyIsRotated replaces the key of a hub that is killed in each stage: it goes on, everything can be read all the time,
// and afterwards nothing in the database is encrypted by the old key, which is gone.
func TestEncryptionKeyIsRotated(t *testing.T) {
	const many = 120
	elsewhere := filepath.Join(t.TempDir(), "keys")
	h := hubOf(t, "rotated", "--encryption-dir", elsewhere)
	at := clientsOf(t, h)
	fillHub(t, at, many)
	etcd := raw(t, socketOf(h))
	only(t, etcd, "secrets", "secretbox:v1:key1")
	only(t, etcd, "configmaps", "plain")
	rotate(t, h, "--encrypt", "secrets,configmaps")
	reading, stop := context.WithCancel(t.Context())
	read := make(chan error, 1)
	go func() { read <- readable(reading, at) }()
	for _, want := range []string{"Requested", "Added", "Rewriting", "Retiring"} {
		killedAt(t, h, etcd, want)
	}
	must(t, h.Start(t.Context()))
	done(t, h, "key2")
	stop()
	if err := <-read; !wait.Interrupted(err) {
		t.Error(err)
	}
	whole(t, at, many)
	only(t, etcd, "secrets", "secretbox:v1:key2")
	only(t, etcd, "configmaps", "secretbox:v1:key2")
	keys, err := os.ReadFile(filepath.Join(elsewhere, "encryption.yaml"))
	must(t, err)
	if bytes.Contains(keys, []byte("key1")) || bytes.Count(keys, []byte("secret:")) != 1 {
		t.Error("the old key is still there")
	}
	if left, err := filepath.Glob(filepath.Join(h.DataDir(), "*", "encryption*.yaml")); err != nil || len(left) > 0 {
		t.Errorf("keys are beside the database: %v %v", left, err)
	}
	// Nothing is left to be done, and ConfigMaps go back to plain text.
	rotate(t, h, "--encrypt", "secrets")
	done(t, h, "key3")
	only(t, etcd, "secrets", "secretbox:v1:key3")
	only(t, etcd, "configmaps", "plain")
	whole(t, at, many)
}

// killedAt starts a hub, if it does not run, and kills it as soon as the rotation has come to a stage, which may be before it serves.
func killedAt(t *testing.T, h *federation.Hub, etcd *clientv3.Client, want string) {
	t.Helper()
	started := make(chan error, 1)
	if h.PID() == 0 {
		go func() { started <- h.Start(t.Context()) }()
	} else {
		started <- nil
	}
	eventually(t, soon, func(ctx context.Context) error {
		got, err := stage(ctx, etcd)
		if err == nil && got != want {
			err = fmt.Errorf("stage %q, want %s", got, want)
		}
		return err
	})
	must(t, h.Kill(t.Context()))
	<-started // an error: it was killed while it started
}

// readable reads all Secrets again and again until ctx ends. That the hub does not answer is no error, that it cannot read is one.
func readable(ctx context.Context, at *clients) error {
	return wait.PollUntilContextCancel(ctx, poll, true, func(ctx context.Context) (bool, error) {
		_, err := at.CoreV1().Secrets("").List(ctx, metav1.ListOptions{ResourceVersion: ""})
		if apierrors.IsInternalError(err) && strings.Contains(err.Error(), "transform") {
			return false, fmt.Errorf("while the key was replaced: %w", err)
		}
		return false, nil
	})
}

// TestHubsRotateTogether replaces the encryption key and the authority of two hubs on one etcd, while both write.
func TestHubsRotateTogether(t *testing.T) {
	const many = 40
	endpoint := outsideEtcd(t)
	one := hubOf(t, "first", "--etcd-servers", endpoint)
	two := hubOf(t, "second", append([]string{"--etcd-servers", endpoint}, joinFlags(t, one)...)...)
	a, b := clientsOf(t, one), clientsOf(t, two)
	fillHub(t, a, many)
	etcd := raw(t, endpoint)
	rotate(t, two) // whichever is asked
	writing, stop := context.WithCancel(t.Context())
	wrote := make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			at := a
			if i%2 == 1 {
				at = b
			}
			name := fmt.Sprint("w", i)
			if _, err := at.CoreV1().Secrets("default").Create(writing, secret(name, name), metav1.CreateOptions{}); err != nil {
				wrote <- err
				return
			}
			// The other one reads it.
			other := map[*clients]*clients{a: b, b: a}[at]
			if _, err := other.CoreV1().Secrets("default").Get(writing, name, metav1.GetOptions{}); err != nil {
				wrote <- err
				return
			}
		}
	}()
	done(t, one, "key2")
	done(t, two, "key2")
	stop()
	if err := <-wrote; err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("while the key was replaced: %v", err)
	}
	whole(t, a, many)
	whole(t, b, many)
	only(t, etcd, "secrets", "secretbox:v1:key2")
	for _, h := range []*federation.Hub{one, two} {
		keys, err := os.ReadFile(filepath.Join(h.DataDir(), "config", "encryption.yaml"))
		must(t, err)
		if bytes.Contains(keys, []byte("key1")) {
			t.Errorf("hub %s still has the old key", h.Name)
		}
	}

	r, err := suite.home.Run(t.Context(), "certs", "rotate-ca", "--data-dir", one.DataDir(), "--overlap", "10m")
	must(t, err)
	if r.Code != 0 {
		t.Fatal(r)
	}
	eventually(t, soon, func(context.Context) error {
		first, err := os.ReadFile(filepath.Join(one.DataDir(), "pki", "ca.crt"))
		if err != nil {
			return err
		}
		second, err := os.ReadFile(filepath.Join(two.DataDir(), "pki", "ca.crt"))
		if err == nil && (!bytes.Equal(first, second) || bytes.Count(first, []byte("BEGIN")) != 2) {
			err = fmt.Errorf("the hubs do not trust the same two authorities")
		}
		return err
	})

	// A hub that was off meanwhile follows when it starts; one that cannot find another that has the key refuses.
	must(t, two.Stop(t.Context()))
	rotate(t, one)
	done(t, one, "key3")
	must(t, one.Stop(t.Context()))
	r, err = suite.home.Run(t.Context(), "server", "--data-dir", two.DataDir(), "--listen", "127.0.0.1:0", "--dns-listen", "off", "--etcd-servers", endpoint)
	must(t, err)
	refused(t, r, "the encryption key key3")
	must(t, one.Start(t.Context()))
	must(t, two.Start(t.Context()))
	whole(t, b, many)
}

// TestKMS moves a hub's database to a KMS, which is a process of its own, and forgets the hub's own key.
func TestKMS(t *testing.T) {
	const many = 40
	dir := t.TempDir()
	binary, socket, kek, file := filepath.Join(dir, "kmsplugin"), filepath.Join(dir, "kms.sock"), filepath.Join(dir, "kek"), filepath.Join(dir, "e.yaml")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../kmsplugin")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	must(t, os.WriteFile(kek, []byte("0123456789abcdef0123456789abcdef"), 0o600))
	plugin := exec.Command(binary, socket, kek)
	must(t, plugin.Start())
	t.Cleanup(func() {
		_ = plugin.Process.Kill()
		_ = plugin.Wait()
	})

	h := hubOf(t, "kms")
	at := clientsOf(t, h)
	fillHub(t, at, many)
	own, err := os.ReadFile(filepath.Join(h.DataDir(), "config", "encryption.yaml"))
	must(t, err)
	_, key, _ := strings.Cut(string(own), "- name: key1\n")
	_, key, _ = strings.Cut(key, "secret: ")
	key, _, _ = strings.Cut(key, "\n")
	providers := func(names ...string) {
		t.Helper()
		config := "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets, configmaps]\n  providers:\n"
		for _, name := range names {
			config += map[string]string{
				"kms": "  - kms: {apiVersion: v2, name: vault, endpoint: unix://" + socket + "}\n",
				"own": "  - secretbox: {keys: [{name: key1, secret: " + key + "}]}\n",
				"new": "  - secretbox: {keys: [{name: key9, secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}]}\n",
			}[name]
		}
		must(t, os.WriteFile(file, []byte(config+"  - identity: {}\n"), 0o600))
	}
	providers("kms", "own")
	must(t, h.Stop(t.Context()))
	external := federationHub(t, h, "--encryption-provider-config", file)
	whole(t, at, many)
	etcd := raw(t, socketOf(h))
	if all := stored(t, etcd, "secrets"); all["secretbox:v1:key1"] < many {
		t.Fatalf("stored as %v before anything was written again", all)
	}
	rotate(t, h)
	eventually(t, soon, func(ctx context.Context) error {
		got, err := stage(ctx, etcd)
		if all := stored(t, etcd, "secrets"); err == nil && (got != "" || all["kms:v2:vault"] < many) {
			err = fmt.Errorf("stage %q, stored as %v", got, all)
		}
		return err
	})
	only(t, etcd, "secrets", "kms:v2:vault")
	only(t, etcd, "configmaps", "kms:v2:vault")
	whole(t, at, many)

	// Nothing needs the hub's own key any more, and everything needs the KMS.
	must(t, external.Stop(t.Context()))
	providers("new", "own")
	r, err := suite.home.Run(t.Context(), "server", "--data-dir", h.DataDir(), "--listen", "127.0.0.1:0", "--dns-listen", "off", "--encryption-provider-config", file)
	must(t, err)
	refused(t, r, "the encryption key vault (kms)")
	providers("kms")
	must(t, external.Start(t.Context()))
	whole(t, at, many)
	status, err := suite.home.Run(t.Context(), "encryption", "status", "--kubeconfig", h.Kubeconfig())
	must(t, err)
	if status.Code != 0 || !strings.Contains(status.Stdout, "vault") || strings.Contains(status.Stdout, "key1") {
		t.Error(status)
	}
}

// federationHub is a hub's directory with other flags.
func federationHub(t *testing.T, h *federation.Hub, flags ...string) *federation.Hub {
	t.Helper()
	again, err := suite.home.NewHub(t.Context(), h.Name, flags...)
	must(t, err)
	return again
}
