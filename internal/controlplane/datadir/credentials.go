package datadir

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/hanse-dev/hanse/internal/pki"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// The users as which the parts of the control plane are known to the API server.
const (
	ServerUser      = "system:hanse"
	ControllersUser = "system:kube-controller-manager"
	SchedulerUser   = "system:kube-scheduler"
	adminUser       = "admin"
)

const (
	adminKubeconfig       = "admin.kubeconfig"
	controllersKubeconfig = "config/controllers.kubeconfig"
	schedulerKubeconfig   = "config/scheduler.kubeconfig"
)

// superusers is the group whose members may do everything.
const superusers = "system:masters"

// Credentials are the paths of the files that Credentials made sure of.
type Credentials struct {
	CA, CAKey           string
	Serving, ServingKey string
	// Server is the client certificate of the program itself.
	Server, ServerKey string
	ServiceAccountKey string
	// Kubeconfigs of the administrator and of the parts.
	Admin, Controllers, Scheduler string
}

// Credentials makes sure of every certificate, key and kubeconfig: hosts are the
// names and addresses that the API server serves under, address its URL, name the
// context in the administrator's kubeconfig, now the clock that certificates go by. What
// is still right is left alone.
func (d *Dir) Credentials(name, address string, hosts []string, now func() time.Time) (Credentials, error) {
	c := Credentials{
		CA: d.Path("pki/ca.crt"), CAKey: d.Path("pki/ca.key"),
		Serving: d.Path("pki/apiserver.crt"), ServingKey: d.Path("pki/apiserver.key"),
		Server: d.Path("pki/hanse.crt"), ServerKey: d.Path("pki/hanse.key"),
		ServiceAccountKey: d.Path("pki/service-account.key"),
		Admin:             d.Path(adminKubeconfig),
		Controllers:       d.Path(controllersKubeconfig),
		Scheduler:         d.Path(schedulerKubeconfig),
	}
	ca, err := pki.EnsureAuthority(c.CA, c.CAKey, "hanse "+name, now)
	if err != nil {
		return c, Explain(d.path, err)
	}
	if err := pki.EnsureKey(c.ServiceAccountKey); err != nil {
		return c, Explain(d.path, err)
	}
	serving := pki.Request{CommonName: "kube-apiserver", Hosts: hosts}
	if err := ca.EnsurePair(c.Serving, c.ServingKey, serving); err != nil {
		return c, Explain(d.path, err)
	}
	server := pki.Request{CommonName: ServerUser, Organizations: []string{superusers}}
	if err := ca.EnsurePair(c.Server, c.ServerKey, server); err != nil {
		return c, Explain(d.path, err)
	}
	for _, k := range []struct{ file, user, pair string }{
		{adminKubeconfig, adminUser, "pki/admin"},
		{controllersKubeconfig, ControllersUser, "pki/controllers"},
		{schedulerKubeconfig, SchedulerUser, "pki/scheduler"},
	} {
		if err := d.kubeconfig(ca, k.file, name, k.user, k.pair, address); err != nil {
			return c, err
		}
	}
	return c, nil
}

// kubeconfig writes a self-contained kubeconfig with one context to the named file.
func (d *Dir) kubeconfig(ca *pki.Authority, file, context, user, pair, address string) error {
	crt, key := d.Path(pair+".crt"), d.Path(pair+".key")
	err := ca.EnsurePair(crt, key, pki.Request{CommonName: user, Organizations: []string{superusers}})
	if err != nil {
		return Explain(d.path, err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[context] = &clientcmdapi.Cluster{Server: address, CertificateAuthorityData: ca.CertificatePEM()}
	login := context + "-" + user
	info := &clientcmdapi.AuthInfo{}
	if info.ClientCertificateData, err = os.ReadFile(crt); err != nil {
		return Explain(d.path, err)
	}
	if info.ClientKeyData, err = os.ReadFile(key); err != nil {
		return Explain(d.path, err)
	}
	config.AuthInfos[login] = info
	config.Contexts[context] = &clientcmdapi.Context{Cluster: context, AuthInfo: login}
	config.CurrentContext = context
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", file, err)
	}
	if old, err := os.ReadFile(d.Path(file)); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return d.write(file, data)
}
