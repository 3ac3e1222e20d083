package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-dev/hanse/test/federation"
)

// outsideEtcd runs an etcd of the test's own and returns its URL.
func outsideEtcd(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	at := url.URL{Scheme: "http", Host: free.Addr().String()}
	must(t, free.Close())
	c := embed.NewConfig()
	c.Dir = t.TempDir()
	c.ListenClientUrls, c.AdvertiseClientUrls, c.ListenPeerUrls = []url.URL{at}, []url.URL{at}, nil
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.UnsafeNoFsync, c.TickMs, c.ElectionMs = true, 50, 250
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	server, err := embed.StartEtcd(c)
	must(t, err)
	t.Cleanup(server.Close)
	<-server.Server.ReadyNotify()
	return at.String()
}

// hub starts one of a test's own, which the test ends.
func hubOf(t *testing.T, name string, flags ...string) *federation.Hub {
	t.Helper()
	h, err := suite.home.NewHub(t.Context(), name, flags...)
	must(t, err)
	t.Cleanup(func() {
		if h.PID() != 0 {
			_ = h.Kill(context.Background())
		}
		if log, err := os.ReadFile(h.Log()); err == nil && t.Failed() {
			t.Logf("the log of hub %s ends: %s", name, log[max(0, len(log)-3000):])
		}
	})
	return h
}

func clientsOf(t *testing.T, h *federation.Hub) *clients {
	t.Helper()
	cfg, err := h.Config()
	c, err := newClients(h.Name, cfg, err)
	must(t, err)
	return c
}

// joinFlags are what hanse admin join-token prints.
func joinFlags(t *testing.T, h *federation.Hub) []string {
	t.Helper()
	at := clientsOf(t, h)
	eventually(t, soon, func(ctx context.Context) error { // before, nobody may ask it for anything
		return at.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
	r, err := suite.home.Run(t.Context(), "admin", "join-token", "--data-dir", h.DataDir())
	must(t, err)
	flags := strings.Fields(r.Stdout)
	if r.Code != 0 || len(flags) != 3 {
		t.Fatal(r)
	}
	return flags
}

// TestHubsOnOneEtcd: a hub without the keys of its database does not start, and leaves none of its own; one that is invited gets
// them, once; both then read what the other one wrote.
func TestHubsOnOneEtcd(t *testing.T) {
	at := outsideEtcd(t)
	one := hubOf(t, "one", "--etcd-servers", at)
	first := clientsOf(t, one)
	_, err := first.CoreV1().Secrets("default").Create(t.Context(), secret("a", "written by the first"), metav1.CreateOptions{})
	must(t, err)

	serve := func(dir string, flags ...string) federation.Result {
		t.Helper()
		r, err := suite.home.Run(t.Context(), append([]string{"server", "--data-dir", dir, "--listen", "127.0.0.1:0", "--dns-listen", "off", "--etcd-servers", at}, flags...)...)
		must(t, err)
		return r
	}
	empty := filepath.Join(t.TempDir(), "empty")
	refused(t, serve(empty), "hanse admin join-token")
	keyless(t, empty)

	flags := joinFlags(t, one)
	with := func(i int, value string) []string {
		changed := append([]string(nil), flags...)
		changed[i] = value
		return changed
	}
	refused(t, serve(empty, with(2, "--ca-cert-hash=sha256:"+strings.Repeat("0", 64))...), "somebody between")
	refused(t, serve(empty, with(1, "--token=guessed")...), "not known at this hub")
	keyless(t, empty)

	two := hubOf(t, "two", append([]string{"--etcd-servers", at}, flags...)...)
	second := clientsOf(t, two)
	got, err := second.CoreV1().Secrets("default").Get(t.Context(), "a", metav1.GetOptions{})
	must(t, err)
	if string(got.Data["key"]) != "written by the first" {
		t.Errorf("the second hub reads %q", got.Data["key"])
	}
	_, err = second.CoreV1().Secrets("default").Create(t.Context(), secret("b", "written by the second"), metav1.CreateOptions{})
	must(t, err)
	_, err = first.CoreV1().Secrets("default").Get(t.Context(), "b", metav1.GetOptions{})
	must(t, err)
	// The kubeconfig of one is good at the other.
	cfg, err := one.Config()
	must(t, err)
	cfg.Host = second.config.Host
	there, err := newClients("the other hub", cfg, nil)
	must(t, err)
	_, err = there.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	must(t, err)

	refused(t, serve(empty, flags...), "was used")
	keyless(t, empty)
	must(t, two.Stop(t.Context()))
	must(t, two.Start(t.Context())) // with the flags that it had: the token is not asked for

	// Somebody else's keys.
	other := filepath.Join(t.TempDir(), "other")
	for _, part := range []string{"pki", "config"} {
		must(t, os.CopyFS(filepath.Join(other, part), os.DirFS(filepath.Join(shared(t).hub.DataDir(), part))))
	}
	refused(t, serve(other), "the signing key of service accounts")
}

// keyless fails if a hub that was refused has left keys.
func keyless(t *testing.T, dir string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".key") || strings.HasSuffix(path, "encryption.yaml") {
			t.Errorf("%s was made", path)
		}
		return err
	}))
}

// relay passes connections on to a member, and counts what each process sends by it.
type relay struct {
	listener net.Listener
	target   string

	mu   sync.Mutex
	pids []int
	sent map[int]int64 // by the process that sent it; 0: another one
}

func newRelay(t *testing.T, target string, pids ...int) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &relay{listener: listener, target: target, pids: pids, sent: map[int]int64{}}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.pass(conn)
		}
	}()
	return r
}

func (r *relay) pass(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		_, _ = io.Copy(from, to)
		_ = from.Close()
	}()
	_, _ = io.Copy(to, io.TeeReader(from, &counter{r, r.owner(from.RemoteAddr().(*net.TCPAddr).Port)}))
}

// owner is the process that has the other end.
func (r *relay) owner(port int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, pid := range r.pids {
		if hasPort(pid, port) {
			return pid
		}
	}
	return 0
}

type counter struct {
	relay *relay
	pid   int
}

func (c *counter) Write(b []byte) (int, error) {
	c.relay.mu.Lock()
	defer c.relay.mu.Unlock()
	c.relay.sent[c.pid] += int64(len(b))
	return len(b), nil
}

func (r *relay) of(pid int) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent[pid]
}

// hasPort says whether a process has a TCP connection from a port of 127.0.0.1.
func hasPort(pid, port int) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	table, err := os.ReadFile(filepath.Join(proc, "net", "tcp"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(table)) {
		const local, inode = 1, 9
		fields := strings.Fields(line)
		if len(fields) <= inode || fields[local] != fmt.Sprintf("0100007F:%04X", port) {
			continue
		}
		files, _ := filepath.Glob(filepath.Join(proc, "fd", "*"))
		for _, file := range files {
			if link, err := os.Readlink(file); err == nil && link == "socket:["+fields[inode]+"]" {
				return true
			}
		}
	}
	return false
}

// TestAStaleLeaderSendsNothing stops the process of the hub that leads while it writes to a member, has the other one take over
// and change what was being written, and has the first one go on: it does not send the member one byte more, and ends.
func TestAStaleLeaderSendsNothing(t *testing.T) {
	ctx := t.Context()
	at := outsideEtcd(t)
	one := hubOf(t, "stale", "--etcd-servers", at)
	two := hubOf(t, "next", append([]string{"--etcd-servers", at}, joinFlags(t, one)...)...)
	member, err := suite.home.NewMember(ctx, federation.MemberSpec{Name: "relayed"})
	must(t, err)
	t.Cleanup(func() {
		_, _ = suite.home.Run(context.Background(), "local", "delete", "relayed", "--dir", suite.home.Dir)
	})
	admin, err := clientcmd.LoadFromFile(member.AdminKubeconfig())
	must(t, err)
	there, err := member.Config()
	must(t, err)
	in, err := newClients("the member", there, nil)
	must(t, err)
	stale, next := one.PID(), two.PID()
	line := newRelay(t, strings.TrimPrefix(there.Host, "https://"), stale, next)
	admin.Clusters[admin.Contexts[admin.CurrentContext].Cluster].Server = "https://" + line.listener.Addr().String()
	by := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*admin, by))
	r, err := suite.home.Run(ctx, "join", "relayed", "--role", "full", "--kubeconfig", by, "--hub-kubeconfig", one.Kubeconfig())
	must(t, err)
	if r.Code != 0 {
		t.Fatal(r)
	}

	hub := clientsOf(t, two)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "fenced"}}
	_, err = hub.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
	must(t, err)
	const many = 400
	for i := range many {
		_, err := hub.CoreV1().ConfigMaps("fenced").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("c", i)}, Data: map[string]string{"by": "the first"}}, metav1.CreateOptions{})
		must(t, err)
		if i == many/2 { // it is writing now
			eventually(t, soon, func(ctx context.Context) error {
				_, err := in.CoreV1().ConfigMaps("fenced").Get(ctx, "c0", metav1.GetOptions{})
				return err
			})
		}
	}
	must(t, syscall.Kill(stale, syscall.SIGSTOP))
	resumed := false
	t.Cleanup(func() {
		if !resumed {
			_ = syscall.Kill(stale, syscall.SIGCONT)
		}
	})
	if line.of(stale) == 0 || line.of(next) != 0 {
		t.Fatalf("sent before it was stopped: %d by the first hub, %d by the second", line.of(stale), line.of(next))
	}
	// What it would have written is not what is wanted any more.
	for i := range many {
		_, err := hub.CoreV1().ConfigMaps("fenced").Update(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("c", i)}, Data: map[string]string{"by": "the second"}}, metav1.UpdateOptions{})
		must(t, err)
	}
	all := func(ctx context.Context) error {
		list, err := in.CoreV1().ConfigMaps("fenced").List(ctx, metav1.ListOptions{LabelSelector: "hanse.dev/managed"})
		if err != nil {
			return err
		}
		if len(list.Items) != many {
			return fmt.Errorf("%d of %d are there", len(list.Items), many)
		}
		for _, c := range list.Items {
			if c.Data["by"] != "the second" {
				return fmt.Errorf("%s is by %s", c.Name, c.Data["by"])
			}
		}
		return nil
	}
	eventually(t, 2*soon, all)
	sent := line.of(stale)
	must(t, syscall.Kill(stale, syscall.SIGCONT))
	resumed = true
	eventually(t, soon, func(context.Context) error {
		if one.PID() != 0 {
			return fmt.Errorf("the first hub runs on")
		}
		return nil
	})
	if now := line.of(stale); now != sent {
		t.Errorf("the first hub sent %d bytes to the member after the second one had taken over", now-sent)
	}
	must(t, all(ctx))
	log, err := os.ReadFile(one.Log())
	must(t, err)
	if !bytes.Contains(log, []byte("the lease hanse-system/hanse-hub was lost")) {
		t.Error("the first hub does not say why it ended")
	}
	// It waits for its turn when it is started again.
	must(t, one.Start(ctx))
}
