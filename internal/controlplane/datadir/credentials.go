package datadir

import (
	"bytes"
	"errors"
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

// superusers is the group whose members may do everything, whatever RBAC says.
const superusers = "system:masters"

// AdminsGroup is the group of whoever uses a hub's admin.kubeconfig. It has its rights by a ClusterRoleBinding, so that they can
// be taken away.
const AdminsGroup = "hanse:admins"

// DefaultAdminLife is how long a hub's admin.kubeconfig is valid unless asked.
const DefaultAdminLife = 24 * time.Hour

// Files that Credentials writes and others find again.
const (
	authorityCert = "pki/ca.crt"
	authorityKey  = "pki/ca.key"
	adminPair     = "pki/admin"
	serverPair    = "pki/hanse"
	csrSigner     = "config/csr-signer.crt"
)

// Credentials are the paths of the files that Credentials made sure of.
type Credentials struct {
	CA, CAKey string
	// Signer is the certificate of CAKey alone: CA may hold others that are trusted.
	Signer              string
	Serving, ServingKey string
	// Server is the client certificate of the program itself.
	Server, ServerKey string
	ServiceAccountKey string
	// Kubeconfigs of the administrator and of the parts.
	Admin, Controllers, Scheduler string
}

// Issuance says what certificates a control plane has.
type Issuance struct {
	// Context is the name of the context in the administrator's kubeconfig, and Address the URL in it.
	Context, Address string
	// Hosts are the names and addresses that the API server serves under.
	Hosts []string
	// Now is the clock that certificates go by.
	Now func() time.Time
	// Life is how long the control plane's own certificates live, AdminLife the administrator's; 0: pki.LeafLife.
	Life, AdminLife time.Duration
	// Revocable administrators are in AdminsGroup; others may do everything whatever RBAC says.
	Revocable bool
	// Rotate has the authority replaced in time, and when hanse certs rotate-ca asks for it.
	Rotate bool
}

func (i Issuance) adminGroup() string {
	if i.Revocable {
		return AdminsGroup
	}
	return superusers
}

// Credentials makes sure of every certificate, key and kubeconfig. What is still right is left alone, so that it is called
// again and again while the control plane runs: everything that reads the files takes up the new ones. renewed names the
// certificates that were replaced.
func (d *Dir) Credentials(i Issuance) (c Credentials, renewed []string, err error) {
	d.keys.Lock()
	defer d.keys.Unlock()
	c = Credentials{
		CA: d.Path(authorityCert), CAKey: d.Path(authorityKey), Signer: d.Path(csrSigner),
		Serving: d.Path("pki/apiserver.crt"), ServingKey: d.Path("pki/apiserver.key"),
		Server: d.Path(serverPair + ".crt"), ServerKey: d.Path(serverPair + ".key"),
		ServiceAccountKey: d.Path(serviceAccountKey),
		Admin:             d.Path(adminKubeconfig),
		Controllers:       d.Path(controllersKubeconfig),
		Scheduler:         d.Path(schedulerKubeconfig),
	}
	ca, stepped, err := d.authority(i)
	if err != nil {
		return c, nil, Explain(d.path, err)
	}
	if stepped {
		renewed = append(renewed, "ca")
	}
	if err := pki.EnsureKey(c.ServiceAccountKey); err != nil {
		return c, renewed, Explain(d.path, err)
	}
	for _, pair := range []struct {
		name string
		pki.Request
	}{
		{"apiserver", pki.Request{CommonName: "kube-apiserver", Hosts: i.Hosts, Life: i.Life}},
		{"hanse", pki.Request{CommonName: ServerUser, Organizations: []string{superusers}, Life: i.Life}},
		{"controllers", pki.Request{CommonName: ControllersUser, Organizations: []string{superusers}, Life: i.Life}},
		{"scheduler", pki.Request{CommonName: SchedulerUser, Organizations: []string{superusers}, Life: i.Life}},
		{"admin", pki.Request{CommonName: adminUser, Organizations: []string{i.adminGroup()}, Life: i.AdminLife}},
	} {
		did, err := ca.EnsurePair(d.Path("pki", pair.name+".crt"), d.Path("pki", pair.name+".key"), pair.Request)
		if err != nil {
			return c, renewed, Explain(d.path, err)
		}
		if did {
			renewed = append(renewed, pair.name)
		}
	}
	return c, renewed, d.kubeconfigs(ca, i)
}

// authority is the one that signs, after the step of its replacement that is due.
func (d *Dir) authority(i Issuance) (ca *pki.Authority, stepped bool, err error) {
	files := pki.Rotating{Cert: d.Path(authorityCert), Key: d.Path(authorityKey)}
	if ca, err = pki.EnsureAuthority(files.Cert, files.Key, "hanse "+i.Context, i.Now); err != nil {
		return nil, false, err
	}
	if i.Rotate {
		if stepped, err = files.Advance(ca); err != nil {
			return nil, false, err
		}
	}
	if stepped {
		if ca, err = pki.LoadAuthority(files.Cert, files.Key, i.Now); err != nil {
			return nil, false, err
		}
	}
	return ca, stepped, errors.Join(files.Write(ca), d.update(csrSigner, ca.SignerPEM()))
}

// kubeconfigs writes those of the administrator, complete in itself, and of the control plane's parts, which read the files
// of their certificates again while they run.
func (d *Dir) kubeconfigs(ca *pki.Authority, i Issuance) error {
	for file, part := range map[string]struct{ user, pair string }{
		controllersKubeconfig: {ControllersUser, "controllers"},
		schedulerKubeconfig:   {SchedulerUser, "scheduler"},
	} {
		err := d.kubeconfig(file, i.Context, part.user,
			&clientcmdapi.Cluster{Server: i.Address, CertificateAuthority: d.Path(authorityCert)},
			&clientcmdapi.AuthInfo{ClientCertificate: d.Path("pki", part.pair+".crt"), ClientKey: d.Path("pki", part.pair+".key")})
		if err != nil {
			return err
		}
	}
	crt, err := os.ReadFile(d.Path(adminPair + ".crt"))
	if err != nil {
		return Explain(d.path, err)
	}
	key, err := os.ReadFile(d.Path(adminPair + ".key"))
	if err != nil {
		return Explain(d.path, err)
	}
	return d.kubeconfig(adminKubeconfig, i.Context, adminUser,
		&clientcmdapi.Cluster{Server: i.Address, CertificateAuthorityData: ca.CertificatePEM()},
		&clientcmdapi.AuthInfo{ClientCertificateData: crt, ClientKeyData: key})
}

// kubeconfig makes sure of a kubeconfig with one context.
func (d *Dir) kubeconfig(file, context, user string, cluster *clientcmdapi.Cluster, info *clientcmdapi.AuthInfo) error {
	data, err := kubeconfig(context, user, cluster, info)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", file, err)
	}
	return d.update(file, data)
}

func kubeconfig(context, user string, cluster *clientcmdapi.Cluster, info *clientcmdapi.AuthInfo) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	login := context + "-" + user
	config.Clusters[context] = cluster
	config.AuthInfos[login] = info
	config.Contexts[context] = &clientcmdapi.Context{Cluster: context, AuthInfo: login}
	config.CurrentContext = context
	return clientcmd.Write(*config)
}

// update writes the named file if it has other contents.
func (d *Dir) update(name string, data []byte) error {
	if old, err := os.ReadFile(d.Path(name)); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return d.write(name, data)
}
