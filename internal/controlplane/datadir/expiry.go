package datadir

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// CertificateExpiries is when each certificate of the directory expires, by its file's name without the extension. What
// cannot be read is missing. It reads a handful of small files.
func (d *Dir) CertificateExpiries() map[string]time.Time {
	files, _ := filepath.Glob(d.Path("pki", "*.crt")) // the pattern is not malformed
	expires := map[string]time.Time{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		block, _ := pem.Decode(data)
		if block == nil {
			continue
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			expires[strings.TrimSuffix(filepath.Base(file), ".crt")] = certificate.NotAfter
		}
	}
	return expires
}
