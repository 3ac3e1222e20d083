package controlplane

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/attribution"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/controlplane/hubs"
)

// Config says what control plane to start.
type Config struct {
	// DataDir holds everything that outlives the process (mode 0700). It is
	// created when it does not exist.
	DataDir string
	// Name is the name of the context in DataDir/admin.kubeconfig.
	Name string
	Role Role
	// Clock is what certificates and the database's revision go by.
	Clock clock.WithTicker
	// CertificateLife and AdminLife are how long the control plane's own certificates and the administrator's kubeconfig are
	// valid; 0: a year. They are replaced in time.
	CertificateLife, AdminLife time.Duration
	// Renewed is told after every look at the certificates which ones were replaced, or why one could not be; may be nil.
	Renewed func(names []string, err error)
	// OIDC is the provider whose users the API server knows; nil: there is none.
	OIDC *datadir.OIDC
	// Flags are further flags of kube-apiserver, of those that PassedOn names, by their names.
	Flags map[string]string
	// Listen is HOST:PORT. Port 0 is chosen once and remembered in DataDir, so
	// that a restart has the same.
	Listen string
	// EtcdServers are the URLs of an outside etcd. Empty: etcd runs in this
	// process, in DataDir/etcd, behind a Unix socket that only its owner reaches.
	EtcdServers []string
	// EtcdTLS is what an outside etcd on https needs.
	EtcdTLS EtcdTLS
	// Encryption says by what the database is encrypted.
	Encryption Encryption
	// Join says where the keys of an outside etcd are got from, into a data directory that has none yet.
	Join hubs.Invited
	// Filter wraps the API server's handler, inside authentication and
	// authorization; may be nil.
	Filter func(http.Handler) http.Handler
	// Admission are plugins of the API server besides upstream's.
	Admission []AdmissionPlugin
	// Authors remember who wrote which object last; nil: nobody does.
	Authors *attribution.Authors
	// ReadyChecks are part of /readyz. Start does not wait for them.
	ReadyChecks []ReadyCheck
	// Controllers are the kube-controller-manager controllers to run; nil: the
	// Role's default; empty: none.
	Controllers []string
	// Scheduler says whether to run kube-scheduler.
	Scheduler bool
	// UnsafeNoFsync lets etcd answer before its log is on the disk: quicker, and
	// a power failure loses data. For throw-away clusters only.
	UnsafeNoFsync bool
	// Log receives what klog and etcd log as errors between Start and Stop; nil:
	// nobody does. klog is one per process, so that is the caller's too.
	Log io.Writer
	// EmulatedVersion is the version of Kubernetes, as 1.34, that the API server behaves as,
	// with its API versions and features; empty: its own.
	EmulatedVersion string
	// Audit has a control plane keep an audit log whose Role does not; the hub's always does.
	Audit bool
}

// EtcdTLS are files in PEM: the authority of an outside etcd, and the client's
// certificate with its key. Each may be empty.
type EtcdTLS struct{ CA, Cert, Key string }

// Encryption says where the keys are that encrypt a hub's database, and what they encrypt.
type Encryption struct {
	// Dir is where the hub keeps its keys; empty: in its data directory.
	Dir string
	// File is an EncryptionConfiguration of somebody else's instead, such as one that names a KMS.
	File string
	// Resources are encrypted from the first start on; nil: Secrets.
	Resources []string
}

func (e Encryption) place(dir *datadir.Dir) error {
	switch {
	case e.File != "":
		return dir.UseEncryptionFile(e.File)
	case e.Dir != "":
		return dir.KeepEncryptionIn(e.Dir)
	}
	return nil
}

// AdmissionPlugin is an admission plugin of the API server. New is called for each of the servers that are in it, before
// anything is served.
type AdmissionPlugin struct {
	Name string
	New  admission.Factory
}

// ReadyCheck is one line of /readyz. Check is called at every request for it,
// concurrently, and must not block; an error means not ready.
type ReadyCheck struct {
	Name  string
	Check func() error
}

// listen opens cfg.Listen, with the port of the last start when it leaves the
// choice to us.
func listen(cfg Config, dir *datadir.Dir) (net.Listener, error) {
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("%q is not an address to listen on: %w. Try: 127.0.0.1:6443", cfg.Listen, err)
	}
	if port == "0" {
		remembered, err := dir.Port()
		if err != nil {
			return nil, err
		}
		port = strconv.Itoa(remembered)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w. Try: %s", net.JoinHostPort(host, port), err, listenHint(err))
	}
	return listener, dir.SavePort(listener.Addr().(*net.TCPAddr).Port)
}

func listenHint(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "stop what uses that port, or choose another one"
	case errors.Is(err, fs.ErrPermission):
		return "a port above 1023"
	default:
		return "an address of this machine, such as 127.0.0.1:6443"
	}
}

// address is the URL by which this machine reaches the listener.
func address(listener net.Listener) string {
	tcp := listener.Addr().(*net.TCPAddr)
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}

// hosts are the names and addresses under which the API server is reached and
// which its certificate therefore has. listenHost may be a name.
func hosts(listenHost string, listener net.Listener) []string {
	names := []string{
		"127.0.0.1", "::1", "localhost", serviceIP,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	}
	ip := listener.Addr().(*net.TCPAddr).IP
	if ip.IsUnspecified() {
		return append(names, machineAddresses()...)
	}
	if listenHost != ip.String() {
		names = append(names, listenHost)
	}
	return append(names, ip.String())
}

func machineAddresses() []string {
	found, _ := net.InterfaceAddrs()
	var all []string
	for _, a := range found {
		if network, ok := a.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			all = append(all, network.IP.String())
		}
	}
	return all
}

// reachable are the URLs at which other machines, or other processes of this one, may reach the listener.
func reachable(listener net.Listener) []string {
	tcp := listener.Addr().(*net.TCPAddr)
	if !tcp.IP.IsUnspecified() {
		return []string{address(listener)}
	}
	var all []string
	for _, host := range machineAddresses() {
		all = append(all, "https://"+net.JoinHostPort(host, strconv.Itoa(tcp.Port)))
	}
	return append(all, address(listener))
}
