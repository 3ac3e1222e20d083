package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Keys of a credential Secret.
const (
	keyToken   = "token"
	keyIssued  = "issued"  // RFC 3339
	keyExpires = "expires" // RFC 3339
	keyFor     = "endpoint"
	keyForCA   = "ca-sha256"
	keyForName = "tls-server-name"
)

// tokenLifetime is what is asked for; many API servers give less. It is how
// long a hub may be off before a member has to be joined again.
const tokenLifetime = 30 * 24 * time.Hour

// Credential is a bearer token with its life. Its Token is never printed.
type Credential struct {
	Token           string `json:"-"`
	Issued, Expires time.Time
	// For is the only way by which the token is sent: who may change a Cluster may not read its credential, and would
	// otherwise have it sent to themselves.
	For Way
}

// Way is where a member is reached, and by what it is known.
type Way struct {
	Endpoint string
	// CASHA256 is of the bundle as it is in the Cluster, in hexadecimal; that of nothing where the system's roots count.
	CASHA256      string
	TLSServerName string
}

// WayOf is what a Cluster says.
func WayOf(spec *v1alpha1.ClusterSpec) Way {
	sum := sha256.Sum256(spec.CABundle)
	return Way{Endpoint: spec.Endpoint, CASHA256: hex.EncodeToString(sum[:]), TLSServerName: spec.TLSServerName}
}

// Difference says in which of the fields of a Cluster there is another way, for people; empty: in none.
func (w Way) Difference(other Way) string {
	switch {
	case w.Endpoint != other.Endpoint:
		return "endpoint is " + other.Endpoint
	case w.CASHA256 != other.CASHA256:
		return "caBundle is another"
	case w.TLSServerName != other.TLSServerName:
		return fmt.Sprintf("tlsServerName is %q", other.TLSServerName)
	}
	return ""
}

func (Credential) String() string   { return "[credential]" }
func (Credential) GoString() string { return "[credential]" }

// SecretName is the Secret at the hub that holds the credential for a member.
func SecretName(cluster string) string { return "cluster-" + cluster }

// RequestToken has the member issue a token for the hub's service account.
func RequestToken(ctx context.Context, client kubernetes.Interface, now time.Time) (Credential, error) {
	seconds := int64(tokenLifetime / time.Second)
	answer, err := client.CoreV1().ServiceAccounts(v1alpha1.SystemNamespace).CreateToken(ctx, v1alpha1.ServiceAccount,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return Credential{}, fmt.Errorf("cannot get a token for %s/%s: %w", v1alpha1.SystemNamespace, v1alpha1.ServiceAccount, err)
	}
	return Credential{Token: answer.Status.Token, Issued: now, Expires: answer.Status.ExpirationTimestamp.Time}, nil
}

// Data is the credential as a Secret holds it.
func (c Credential) Data() map[string][]byte {
	return map[string][]byte{
		keyToken:   []byte(c.Token),
		keyIssued:  []byte(c.Issued.UTC().Format(time.RFC3339)),
		keyExpires: []byte(c.Expires.UTC().Format(time.RFC3339)),
		keyFor:     []byte(c.For.Endpoint),
		keyForCA:   []byte(c.For.CASHA256),
		keyForName: []byte(c.For.TLSServerName),
	}
}

// CredentialFrom reads a Secret; times that it lacks are zero.
func CredentialFrom(s *corev1.Secret) Credential {
	c := Credential{Token: string(s.Data[keyToken])}
	c.For = Way{Endpoint: string(s.Data[keyFor]), CASHA256: string(s.Data[keyForCA]), TLSServerName: string(s.Data[keyForName])}
	c.Issued, _ = time.Parse(time.RFC3339, string(s.Data[keyIssued]))
	c.Expires, _ = time.Parse(time.RFC3339, string(s.Data[keyExpires]))
	return c
}
