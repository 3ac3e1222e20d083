package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// problem says why a request to an API server failed, in a few words that
// complete "SERVER: …". reason is one of the v1alpha1.Reason… constants.
type problem struct {
	reason  string
	detail  string
	refused bool // nobody listens there
}

// classify tells network, certificate, authentication, permission and the
// server's own trouble apart.
func classify(err error) problem {
	var checks *notReadyError
	if errors.As(err, &checks) {
		return problem{reason: v1alpha1.ReasonNotReady, detail: checks.Error()}
	}
	if p, ok := classifyStatus(err); ok {
		return p
	}
	if detail, ok := certificateProblem(err); ok {
		return problem{reason: v1alpha1.ReasonCertificateInvalid, detail: detail}
	}
	return classifyNetwork(err)
}

// classifyStatus is about answers that are not 2xx.
func classifyStatus(err error) (problem, bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return problem{}, false
	}
	s := status.Status()
	switch s.Code {
	case http.StatusUnauthorized:
		return problem{reason: v1alpha1.ReasonAuthenticationFailed, detail: "the credential is refused (401)"}, true
	case http.StatusForbidden:
		return problem{reason: v1alpha1.ReasonPermissionDenied, detail: oneLine(s.Message)}, true
	case 0:
		return problem{}, false
	}
	return problem{reason: v1alpha1.ReasonNotReady, detail: fmt.Sprintf("it answers %d %s", s.Code, http.StatusText(int(s.Code)))}, true
}

func certificateProblem(err error) (string, bool) {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &unknown):
		return "its certificate is signed by an authority that is not trusted", true
	case errors.As(err, &host):
		return oneLine(host.Error()), true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired or is not valid yet", true
	case errors.As(err, &invalid), errors.As(err, &verification):
		return "its certificate is not valid: " + oneLine(err.Error()), true
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS", true
	case errors.As(err, &alert):
		return "the TLS handshake fails: " + oneLine(alert.Error()), true
	}
	return "", false
}

func classifyNetwork(err error) problem {
	p := problem{reason: v1alpha1.ReasonNetworkUnreachable}
	var dns *net.DNSError
	var netErr net.Error
	var urlErr *url.Error
	switch {
	case errors.As(err, &dns):
		p.detail = fmt.Sprintf("the name %s cannot be resolved", oneLine(dns.Name))
	case errors.Is(err, syscall.ECONNREFUSED):
		p.detail, p.refused = "connection refused", true
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		p.detail = "there is no route to it"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		p.detail = "no answer in time"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		p.detail = "it closes the connection"
	case errors.As(err, &urlErr):
		p.detail = oneLine(urlErr.Err.Error())
	default:
		p.detail = oneLine(err.Error())
	}
	return p
}

// judge is the verdict on a member of the federation, for its status.
func judge(name, endpoint string, p problem) verdict {
	v := verdict{reason: p.reason, refused: p.refused}
	rejoin := "Try: hanse join " + name + " --kubeconfig FILE"
	switch p.reason {
	case v1alpha1.ReasonAuthenticationFailed:
		v.message = fmt.Sprintf("%s refuses the hub's credential (401). %s again", endpoint, rejoin)
	case v1alpha1.ReasonPermissionDenied:
		v.message = fmt.Sprintf("%s knows the hub, but forbids what it needs: %s. %s again", endpoint, p.detail, rejoin)
	case v1alpha1.ReasonCertificateInvalid:
		v.message = fmt.Sprintf("%s cannot be trusted: %s. Try: if its CA has changed, hanse join %s --kubeconfig FILE again", endpoint, p.detail, name)
	case v1alpha1.ReasonNotReady:
		v.message = fmt.Sprintf("%s is not ready: %s. Try: look at that cluster's control plane", endpoint, p.detail)
	default:
		v.message = fmt.Sprintf("%s cannot be reached: %s. Try: see whether the cluster runs and the hub's network lets it through", endpoint, p.detail)
	}
	return v
}

// notReadyError is a /readyz answer that names what fails.
type notReadyError struct{ checks string }

func (e *notReadyError) Error() string { return "/readyz: " + oneLine(e.checks) + " failed" }

// failedChecks names the checks that a /readyz answer says have failed.
func failedChecks(body string) string {
	var failed []string
	for line := range strings.Lines(body) {
		if name, ok := strings.CutPrefix(line, "[-]"); ok {
			name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
			failed = append(failed, name)
		}
	}
	return strings.Join(failed, ", ")
}
