package datadir

// Files that the API server reads, below config/.
const (
	authenticationFile = "config/authentication.yaml"
	encryptionFile     = "config/encryption.yaml"
	auditPolicyFile    = "config/audit-policy.yaml"
)

// auditPolicy records who changed what, who read a Secret and who read the audit log, never contents.
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
- level: Metadata
  nonResourceURLs: ["/hanse/audit"]
- level: None
  verbs: [get, list, watch]
- level: Metadata
`

// WriteAuditPolicy writes the audit policy and returns its path.
func (d *Dir) WriteAuditPolicy() (string, error) {
	return d.Path(auditPolicyFile), d.write(auditPolicyFile, []byte(auditPolicy))
}
