package health

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// refused says why a certificate does not stand for a name. What it says of itself is
// not to be trusted, so that it is cut short.
func refused(err *tls.CertificateVerificationError, now time.Time) string {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return outOfTime(invalid.Cert, err.UnverifiedCertificates, now)
	case errors.As(err, &name) && name.Certificate != nil:
		return fmt.Sprintf("the certificate is for %s, not for %s", names(name.Certificate), brief(name.Host))
	case errors.As(err, &authority):
		return fmt.Sprintf("the certificate is signed by %s, which the hub's machine does not trust", issuer(err.UnverifiedCertificates))
	}
	return "the certificate is not valid: " + brief(strings.TrimPrefix(err.Err.Error(), "x509: "))
}

func outOfTime(c *x509.Certificate, chain []*x509.Certificate, now time.Time) string {
	which := "the certificate"
	if len(chain) > 0 && !c.Equal(chain[0]) {
		which = "the certificate of its issuer " + subject(c.Subject.CommonName, c.Subject.String())
	}
	if now.Before(c.NotBefore) {
		return which + " is not valid before " + moment(c.NotBefore)
	}
	return which + " expired on " + moment(c.NotAfter)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// names are those that a certificate is for, at most three.
func names(c *x509.Certificate) string {
	all := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	more := ""
	if len(all) > 3 {
		all, more = all[:3], fmt.Sprintf(" and %d more", len(all)-3)
	}
	for i := range all {
		all[i] = brief(all[i])
	}
	return cmp.Or(strings.Join(all, ", ")+more, "no host")
}

func issuer(chain []*x509.Certificate) string {
	if len(chain) == 0 {
		return "nobody"
	}
	last := chain[len(chain)-1]
	if len(chain) == 1 && last.CheckSignature(last.SignatureAlgorithm, last.RawTBSCertificate, last.Signature) == nil {
		return "itself"
	}
	return subject(last.Issuer.CommonName, last.Issuer.String())
}

func subject(name, all string) string { return brief(cmp.Or(name, all, "an issuer without a name")) }

// brief is text of others in one line of bounded length.
func brief(text string) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > 80 {
			return b.String() + "…"
		}
		if !unicode.IsPrint(r) {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}
