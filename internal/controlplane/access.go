package controlplane

import (
	"errors"
	"maps"
	"slices"

	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
)

// Flags of kube-apiserver that replace what a control plane has of its own.
const (
	authenticationConfig = "authentication-config"
	authorizationConfig  = "authorization-config"
)

// PassedOn are the flags of kube-apiserver that Config.Flags may have, with what they are for, in the order of their names.
func PassedOn() [][2]string {
	return [][2]string{
		{"audit-log-compress", "compress the audit logs that were rotated"},
		{"audit-log-format", "format of the audit log: json or legacy"},
		{"audit-log-maxage", "days to keep audit logs (default 90)"},
		{"audit-log-maxbackup", "audit logs to keep (default 10)"},
		{"audit-log-maxsize", "MiB in an audit log before it is rotated (default 50)"},
		{"audit-log-mode", "how audit events are written: batch, blocking or blocking-strict"},
		{"audit-log-path", "file of the audit log (default DIR/audit/audit.log; -: standard output)"},
		{"audit-policy-file", "file with the audit Policy (default: who changed what, and who read a Secret)"},
		{"audit-webhook-batch-max-size", "audit events in a request to the webhook"},
		{"audit-webhook-batch-max-wait", "how long an audit event may wait for others"},
		{"audit-webhook-config-file", "kubeconfig of a webhook that audit events are sent to as well"},
		{"audit-webhook-initial-backoff", "how long to wait before a request to the webhook is tried again"},
		{"audit-webhook-mode", "how audit events are sent: batch, blocking or blocking-strict"},
		{authenticationConfig, "file with an AuthenticationConfiguration: who is let in; read again when it changes"},
		{authorizationConfig, "file with an AuthorizationConfiguration: who may do what (default: RBAC); read again when it changes"},
	}
}

func (c Config) passedOn() []string {
	var flags []string
	for _, name := range slices.Sorted(maps.Keys(c.Flags)) {
		flags = append(flags, "--"+name+"="+c.Flags[name])
	}
	return flags
}

// accessFlags say who is let in, and who decides what they may do. An AuthenticationConfiguration that says nothing of anonymous
// requests admits none.
func accessFlags(cfg Config, dir *datadir.Dir) ([]string, error) {
	var flags []string
	if cfg.Flags[authorizationConfig] == "" {
		flags = append(flags, "--authorization-mode=RBAC")
	}
	own := cfg.Flags[authenticationConfig]
	if own == "" {
		written, err := dir.WriteAuthentication(cfg.OIDC)
		return append(flags, "--authentication-config="+written), err
	}
	if cfg.OIDC != nil {
		return nil, errors.New("--authentication-config and --oidc-issuer-url both say who is let in. Try: put the provider into the file, below jwt")
	}
	says, err := datadir.SaysAnonymous(own)
	if err == nil && !says {
		flags = append(flags, "--anonymous-auth=false")
	}
	return flags, err
}
