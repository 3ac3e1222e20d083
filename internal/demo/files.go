package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hanse-dev/hanse/examples/finsolutions"
	"github.com/hanse-dev/hanse/internal/kubeconfig"
	"github.com/hanse-dev/hanse/internal/pki"
)

// writeKubeconfig collects the contexts of the hub and of the members, whose
// kubeconfigs are given in the order of their names. The hub's is the current
// one in a new file.
func (d *Demo) writeKubeconfig(ctx context.Context, members []string) error {
	sources := []kubeconfig.Source{{File: d.at.hubConfig(), Name: HubContext}}
	for i, name := range d.options.Clusters {
		sources = append(sources, kubeconfig.Source{File: members[i], Name: name})
	}
	var contexts []kubeconfig.Context
	for _, source := range sources {
		loaded, err := source.Load()
		if err != nil {
			return err
		}
		contexts = append(contexts, loaded...)
	}
	_, err := kubeconfig.Update(ctx, d.at.kubeconfig(), func(old []byte) ([]byte, error) {
		result, err := kubeconfig.Merge(old, contexts, "")
		return result.Data, err
	})
	if err != nil {
		return fmt.Errorf("cannot write the demo's kubeconfig: %w", err)
	}
	return nil
}

// certificateFiles are the certificate and the key of the application.
func (d *Demo) certificateFiles() (cert, key string) {
	return filepath.Join(d.at.ssl(), finsolutions.Host+".crt"), filepath.Join(d.at.ssl(), finsolutions.Host+".key")
}

// writeCertificate makes the application's certificate, signed by an authority
// of the demo's own, so that nobody needs a tool for it.
func (d *Demo) writeCertificate() error {
	if err := os.MkdirAll(d.at.ssl(), 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of the certificate: %w", err)
	}
	authority, err := pki.EnsureAuthority(filepath.Join(d.at.ssl(), "ca.crt"), filepath.Join(d.at.ssl(), "ca.key"), "Hanse demo", d.clock.Now)
	if err != nil {
		return err
	}
	cert, key := d.certificateFiles()
	_, err = authority.EnsurePair(cert, key, pki.Request{
		CommonName: finsolutions.Host,
		Hosts:      []string{finsolutions.Host, "www." + finsolutions.Host},
	})
	return err
}
