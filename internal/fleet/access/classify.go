package access

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

// Problem says why a request to an API server failed, in a few words that
// complete "SERVER: …". Reason is one of the v1alpha1.Reason… constants.
type Problem struct {
	Reason  string
	Detail  string
	Refused bool // nobody listens there
}

// Classify tells network, certificate, authentication, permission and the
// server's own trouble apart.
func Classify(err error) Problem {
	var checks *NotReadyError
	if errors.As(err, &checks) {
		return Problem{Reason: v1alpha1.ReasonNotReady, Detail: checks.Error()}
	}
	if p, ok := classifyStatus(err); ok {
		return p
	}
	if detail, ok := certificateProblem(err); ok {
		return Problem{Reason: v1alpha1.ReasonCertificateInvalid, Detail: detail}
	}
	return classifyNetwork(err)
}

// classifyStatus is about answers that are not 2xx.
func classifyStatus(err error) (Problem, bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return Problem{}, false
	}
	s := status.Status()
	switch s.Code {
	case http.StatusUnauthorized:
		return Problem{Reason: v1alpha1.ReasonAuthenticationFailed, Detail: "the credential is refused (401)"}, true
	case http.StatusForbidden:
		return Problem{Reason: v1alpha1.ReasonPermissionDenied, Detail: OneLine(s.Message)}, true
	case 0:
		return Problem{}, false
	}
	return Problem{Reason: v1alpha1.ReasonNotReady, Detail: fmt.Sprintf("it answers %d %s", s.Code, http.StatusText(int(s.Code)))}, true
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
		return OneLine(host.Error()), true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired or is not valid yet", true
	case errors.As(err, &invalid), errors.As(err, &verification):
		return "its certificate is not valid: " + OneLine(err.Error()), true
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS", true
	case errors.As(err, &alert):
		return "the TLS handshake fails: " + OneLine(alert.Error()), true
	}
	return "", false
}

func classifyNetwork(err error) Problem {
	p := Problem{Reason: v1alpha1.ReasonNetworkUnreachable}
	var dns *net.DNSError
	var netErr net.Error
	var urlErr *url.Error
	switch {
	case errors.As(err, &dns):
		p.Detail = fmt.Sprintf("the name %s cannot be resolved", OneLine(dns.Name))
	case errors.Is(err, syscall.ECONNREFUSED):
		p.Detail, p.Refused = "connection refused", true
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		p.Detail = "there is no route to it"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		p.Detail = "no answer in time"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		p.Detail = "it closes the connection"
	case errors.As(err, &urlErr):
		p.Detail = OneLine(urlErr.Err.Error())
	default:
		p.Detail = OneLine(err.Error())
	}
	return p
}

// NotReadyError is a /readyz answer that names what fails.
type NotReadyError struct{ Checks string }

func (e *NotReadyError) Error() string { return "/readyz: " + OneLine(e.Checks) + " failed" }

// FailedChecks names the checks that a /readyz answer says have failed.
func FailedChecks(body string) string {
	var failed []string
	for line := range strings.Lines(body) {
		if name, ok := strings.CutPrefix(line, "[-]"); ok {
			name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
			failed = append(failed, name)
		}
	}
	return strings.Join(failed, ", ")
}
