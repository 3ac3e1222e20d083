package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-dev/hanse/internal/pki"
)

// AdminRequest says what kubeconfig an administrator of a hub is to have.
type AdminRequest struct {
	// Path is the hub's data directory. Whoever can read the key in it may do everything there anyway.
	Path string
	// User is the name that the audit log will have.
	User string
	// Life is how long the kubeconfig is valid.
	Life time.Duration
	// BreakGlass gives rights that no RBAC takes away.
	BreakGlass bool
	// Server is the URL of the hub; empty: as the hub knows itself.
	Server string
	Now    func() time.Time
}

// AdminKubeconfig makes a kubeconfig, complete in itself. The hub need not run. It writes nothing.
func AdminKubeconfig(r AdminRequest) ([]byte, error) {
	if r.User == "" || strings.Contains(r.User, ":") {
		return nil, fmt.Errorf("%q cannot be the name of an administrator: names with a colon belong to Kubernetes. Try: --user admin", r.User)
	}
	known, err := clientcmd.LoadFromFile(filepath.Join(r.Path, controllersKubeconfig))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noDirectory(r.Path)
	}
	if err != nil {
		return nil, Explain(r.Path, err)
	}
	files := rotating(r.Path)
	ca, err := pki.LoadAuthority(files.Cert, files.Key, r.Now)
	if err != nil {
		return nil, Explain(r.Path, err)
	}
	group := AdminsGroup
	if r.BreakGlass {
		group = superusers
	}
	crt, key, err := ca.Issue(pki.Request{CommonName: r.User, Organizations: []string{group}, Life: r.Life})
	if err != nil {
		return nil, err
	}
	context := known.CurrentContext
	cluster := &clientcmdapi.Cluster{Server: r.Server, CertificateAuthorityData: ca.CertificatePEM()}
	if cluster.Server == "" {
		cluster.Server = known.Clusters[context].Server
	}
	return kubeconfig(context, r.User, cluster, &clientcmdapi.AuthInfo{ClientCertificateData: crt, ClientKeyData: key})
}

// RenewAdmin replaces the administrator's kubeconfig in the data directory in path, with the rights that it has. A running
// hub leaves it alone until a third of its life is left.
func RenewAdmin(path string, life time.Duration, now func() time.Time) (file string, err error) {
	file = filepath.Join(path, adminKubeconfig)
	data, err := AdminKubeconfig(AdminRequest{Path: path, User: adminUser, Life: life, Now: now})
	if err != nil {
		return "", err
	}
	config, err := clientcmd.Load(data)
	if err != nil {
		return "", err
	}
	info := config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo]
	for name, content := range map[string][]byte{adminPair + ".key": info.ClientKeyData, adminPair + ".crt": info.ClientCertificateData, adminKubeconfig: data} {
		if err := pki.WriteFile(filepath.Join(path, name), content); err != nil {
			return "", Explain(path, err)
		}
	}
	return file, nil
}
