package datadir

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hanse-dev/hanse/internal/pki"
)

// Certificate is one of a control plane's own.
type Certificate struct {
	// Name is that of its file in pki/, without the extension; ca-next and ca-previous are those of an authority that is
	// being replaced.
	Name    string    `json:"name"`
	Subject string    `json:"subject"`
	Groups  []string  `json:"groups,omitempty"`
	Expires time.Time `json:"expires"`
	// Renews is when it is to be replaced; nil: it is not.
	Renews *time.Time `json:"renews,omitempty"`
}

// PathCertificates is where a hub tells of its certificates, as a Report.
const PathCertificates = "/hanse/certificates"

// Report is what there is to know of a data directory's certificates.
type Report struct {
	Certificates []Certificate `json:"certificates"`
	// Rotation is the replacement of the authority that is under way.
	Rotation *pki.Rotation `json:"rotation,omitempty"`
	// Problem says what cannot be read, and what was to be renewed long ago.
	Problem string `json:"problem,omitempty"`
}

// overdueAfter is how late a renewal is a problem; a hub that runs is seconds late.
const overdueAfter = time.Hour

// NewReport is that of the data directory in path.
func NewReport(path string, now time.Time) Report {
	all, err := Certificates(path)
	rotation, rotationErr := Rotation(path)
	r := Report{Certificates: all, Rotation: rotation}
	problems := []error{err, rotationErr}
	for _, c := range all {
		if c.Renews != nil && now.Sub(*c.Renews) > overdueAfter {
			problems = append(problems, fmt.Errorf("the certificate %s was to be renewed at %s and expires at %s. Try: start the hub, or see its log",
				c.Name, c.Renews.Format(time.RFC3339), c.Expires.Format(time.RFC3339)))
		}
	}
	if err := errors.Join(problems...); err != nil {
		r.Problem = err.Error()
	}
	return r
}

// Certificates are those of the data directory in path, by name. What cannot be read is in the error, and missing. It
// reads a handful of small files.
func Certificates(path string) ([]Certificate, error) {
	files, err := filepath.Glob(filepath.Join(path, "pki", "*.crt"))
	if err != nil {
		return nil, err
	}
	var all []Certificate
	var failed []error
	for _, file := range files {
		found, err := pki.ReadCertificates(file)
		name := strings.TrimSuffix(filepath.Base(file), ".crt")
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("the certificate %s cannot be read: %w", name, err))
		case name == "ca":
			all = append(all, authorities(path, found)...)
		case name != "ca-next": // it is in ca.crt, or not yet trusted
			all = append(all, certificate(name, found[0], true))
		}
	}
	slices.SortFunc(all, func(a, b Certificate) int { return strings.Compare(a.Name, b.Name) })
	return all, errors.Join(failed...)
}

// authorities are the one that signs, and another one that is trusted.
func authorities(path string, trusted []*x509.Certificate) []Certificate {
	other := "ca-previous"
	if _, err := os.Stat(filepath.Join(path, "pki", "ca-next.crt")); err == nil {
		other = "ca-next"
	}
	all := []Certificate{certificate("ca", trusted[0], len(trusted) == 1)}
	for _, c := range trusted[1:] {
		all = append(all, certificate(other, c, false))
	}
	return all
}

func certificate(name string, c *x509.Certificate, renewed bool) Certificate {
	out := Certificate{Name: name, Subject: c.Subject.CommonName, Groups: c.Subject.Organization, Expires: c.NotAfter.UTC()}
	if renewed {
		at := pki.RenewalTime(c).UTC()
		out.Renews = &at
	}
	return out
}

// RequestRotation has the authority of the data directory in path replaced by the hub that has the directory, or will have
// it. overlap is how long clients have before each step.
func RequestRotation(path string, overlap time.Duration, now time.Time) error {
	files := rotating(path)
	if _, err := os.Stat(files.Cert); errors.Is(err, fs.ErrNotExist) {
		return noDirectory(path)
	}
	return files.Request(overlap, now)
}

// Rotation is the replacement of the authority that is under way, nil if there is none.
func Rotation(path string) (*pki.Rotation, error) { return rotating(path).State() }

func rotating(path string) pki.Rotating {
	return pki.Rotating{Cert: filepath.Join(path, authorityCert), Key: filepath.Join(path, authorityKey)}
}

func noDirectory(path string) error {
	return fmt.Errorf("%s is not the data directory of a hub that has been started. Try: the --data-dir of hanse server", path)
}
