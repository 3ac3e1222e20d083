package federation

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Member is a local cluster.
type Member struct {
	Name  string
	Proxy *Proxy // nil: the hub reaches it directly

	home   *Home
	joinBy string // kubeconfig for hanse join
}

// MemberSpec says what kind of member to make.
type MemberSpec struct {
	Name     string
	Provider string // aws by default
	// Nodes is how many nodes it has; with 0 it is an API server alone: objects
	// are kept and nothing happens to them.
	Nodes int
	// NodeCPU is the CPU of a node; empty for the default.
	NodeCPU string
	// EmulatedVersion is the version of Kubernetes that it behaves as; empty: its own.
	EmulatedVersion string
	// Audit has it keep an audit log.
	Audit bool
	// Proxied puts a Proxy between the hub and the member.
	Proxied bool
}

// NewMember makes a member cluster and returns when it is ready. It has joined
// nothing yet.
func (h *Home) NewMember(ctx context.Context, spec MemberSpec) (*Member, error) {
	if spec.Provider == "" {
		spec.Provider = "aws"
	}
	args := []string{"local", "create", spec.Name, "--dir", h.Dir, "--provider", spec.Provider}
	if spec.Nodes == 0 {
		args = append(args, "--components", "apiserver")
	} else {
		args = append(args, "--nodes", strconv.Itoa(spec.Nodes))
		if spec.NodeCPU != "" {
			args = append(args, "--node-cpu", spec.NodeCPU)
		}
	}
	if spec.EmulatedVersion != "" {
		args = append(args, "--emulated-version", spec.EmulatedVersion)
	}
	if spec.Audit {
		args = append(args, "--audit")
	}
	if err := h.must(ctx, args...); err != nil {
		return nil, err
	}
	m := &Member{Name: spec.Name, home: h}
	m.joinBy = m.AdminKubeconfig()
	if !spec.Proxied {
		return m, nil
	}
	return m, m.interpose(ctx)
}

func (m *Member) dir() string { return filepath.Join(m.home.Dir, "local", m.Name) }

// AdminKubeconfig reaches the member directly.
func (m *Member) AdminKubeconfig() string { return filepath.Join(m.dir(), "data", "admin.kubeconfig") }

// Kubeconfig is what hanse join is given: through the proxy if there is one.
func (m *Member) Kubeconfig() string { return m.joinBy }

// Config reaches the member directly, as its administrator.
func (m *Member) Config() (*rest.Config, error) { return LoadConfig(m.AdminKubeconfig()) }

// Log is what the member's process writes.
func (m *Member) Log() string { return filepath.Join(m.dir(), "log") }

// AuditLog is where it keeps its audit log, if it does.
func (m *Member) AuditLog() string { return filepath.Join(m.dir(), "data", "audit", "audit.log") }

// PID of the member's process, 0 if it does not run.
func (m *Member) PID() int { return pidOf(filepath.Join(m.dir(), pidFile)) }

// Kill ends the member as kill -9 does.
func (m *Member) Kill(ctx context.Context) error { return kill(ctx, filepath.Join(m.dir(), pidFile)) }

// Start starts the member again, the same as it was, and returns when it is
// ready.
func (m *Member) Start(ctx context.Context) error {
	return m.home.must(ctx, "local", "start", m.Name, "--dir", m.home.Dir)
}

// interpose starts a proxy before the member, with a kubeconfig that goes
// through it. That one holds a token: a client certificate would end at the
// proxy.
func (m *Member) interpose(ctx context.Context) error {
	cfg, err := m.Config()
	if err != nil {
		return err
	}
	if m.Proxy, err = NewProxy(cfg); err != nil {
		return err
	}
	token, err := adminToken(ctx, cfg)
	if err != nil {
		return fmt.Errorf("make a token for %s: %w", m.Name, err)
	}
	through := clientcmdapi.NewConfig()
	through.Clusters[m.Name] = &clientcmdapi.Cluster{Server: m.Proxy.URL(), CertificateAuthorityData: m.Proxy.CA()}
	through.AuthInfos[m.Name] = &clientcmdapi.AuthInfo{Token: token}
	through.Contexts[m.Name] = &clientcmdapi.Context{Cluster: m.Name, AuthInfo: m.Name}
	through.CurrentContext = m.Name
	m.joinBy = filepath.Join(m.home.Dir, m.Name+"-proxied.kubeconfig")
	if err := clientcmd.WriteToFile(*through, m.joinBy); err != nil {
		return fmt.Errorf("write a kubeconfig for %s: %w", m.Name, err)
	}
	return os.Chmod(m.joinBy, 0o600)
}

// adminToken makes a service account with all rights and a token for it.
func adminToken(ctx context.Context, cfg *rest.Config) (string, error) {
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return "", err
	}
	const ns, name = metav1.NamespaceDefault, "test-admin"
	accounts := client.CoreV1().ServiceAccounts(ns)
	if _, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		return "", err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: name}},
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return "", err
	}
	seconds := int64((6 * time.Hour).Seconds())
	request, err := accounts.CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return request.Status.Token, nil
}
