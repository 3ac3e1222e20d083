package datadir

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hanse-dev/hanse/internal/pki"
)

// Files that the API server reads, below config/.
const (
	authenticationFile = "config/authentication.yaml"
	encryptionFile     = "config/encryption.yaml"
	auditPolicyFile    = "config/audit-policy.yaml"
)

// auditPolicy records who changed what and who read a Secret, never contents.
// What the control plane's own parts do is not recorded: it follows from what is.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  users: [` + ServerUser + `, ` + ControllersUser + `, ` + SchedulerUser + `, "system:apiserver"]
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/metrics*", "/openapi/*", "/version", "/api", "/api/*", "/apis", "/apis/*"]
- level: None
  resources:
  - group: ""
    resources: [events]
  - group: events.k8s.io
  - group: coordination.k8s.io
- level: Metadata
  resources:
  - group: ""
    resources: [secrets]
- level: None
  verbs: [get, list, watch]
- level: Metadata
`

// encryption is a format: the key, base64. The identity provider comes second so
// that what an earlier version wrote in plain text can still be read.
const encryption = `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - secretbox:
      keys:
      - name: key1
        secret: %s
  - identity: {}
`

// WriteAuditPolicy writes the audit policy and returns its path.
func (d *Dir) WriteAuditPolicy() (string, error) {
	return d.Path(auditPolicyFile), d.write(auditPolicyFile, []byte(auditPolicy))
}

// EnsureEncryption returns the path of the EncryptionConfiguration with the key
// of this directory, which is made once: without it no Secret can be read again.
func (d *Dir) EnsureEncryption() (string, error) {
	path := d.encryption
	if _, err := os.Stat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", Explain(d.path, err)
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return "", fmt.Errorf("drawing the encryption key: %w", err)
	}
	if err := pki.WriteFile(path, fmt.Appendf(nil, encryption, base64.StdEncoding.EncodeToString(key))); err != nil {
		return "", Explain(filepath.Dir(path), err)
	}
	return path, nil
}
