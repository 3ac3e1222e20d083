package fleet

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"testing"
)

// TestMain lets the test binary stand in for a credential plugin.
func TestMain(m *testing.M) {
	if token := os.Getenv("FLEET_TEST_EXEC_TOKEN"); token != "" {
		fmt.Printf(`{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":%q}}`, token)
		return
	}
	os.Exit(m.Run())
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
