package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Keys of a credential Secret.
const (
	keyToken   = "token"
	keyIssued  = "issued"  // RFC 3339
	keyExpires = "expires" // RFC 3339
)

const (
	// tokenLifetime is what is asked for; many API servers give less. It is how
	// long a hub may be off before a member has to be joined again.
	tokenLifetime = 30 * 24 * time.Hour
	// shortLived tokens are replaced at half their life, others once a day.
	shortLived     = 48 * time.Hour
	rotateInterval = 24 * time.Hour
	rotateRetry    = time.Minute
)

// credential is a bearer token with its life. Its token is never printed.
type credential struct {
	token           string
	issued, expires time.Time
}

func (credential) String() string   { return "[credential]" }
func (credential) GoString() string { return "[credential]" }

// secretName is the Secret at the hub that holds the credential for a member.
func secretName(cluster string) string { return "cluster-" + cluster }

// requestToken has the member issue a token for the hub's service account.
func requestToken(ctx context.Context, client kubernetes.Interface, now time.Time) (credential, error) {
	seconds := int64(tokenLifetime / time.Second)
	answer, err := client.CoreV1().ServiceAccounts(v1alpha1.SystemNamespace).CreateToken(ctx, v1alpha1.ServiceAccount,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return credential{}, fmt.Errorf("cannot get a token for %s/%s: %w", v1alpha1.SystemNamespace, v1alpha1.ServiceAccount, err)
	}
	return credential{token: answer.Status.Token, issued: now, expires: answer.Status.ExpirationTimestamp.Time}, nil
}

// data is the credential as a Secret holds it.
func (c credential) data() map[string][]byte {
	return map[string][]byte{
		keyToken:   []byte(c.token),
		keyIssued:  []byte(c.issued.UTC().Format(time.RFC3339)),
		keyExpires: []byte(c.expires.UTC().Format(time.RFC3339)),
	}
}

// credentialFrom reads a Secret; times that it lacks are zero.
func credentialFrom(s *corev1.Secret) credential {
	c := credential{token: string(s.Data[keyToken])}
	c.issued, _ = time.Parse(time.RFC3339, string(s.Data[keyIssued]))
	c.expires, _ = time.Parse(time.RFC3339, string(s.Data[keyExpires]))
	return c
}

// rotateAt is when the credential should be replaced: at once if its life is
// not known.
func (c credential) rotateAt() time.Time {
	if c.issued.IsZero() || c.expires.IsZero() {
		return time.Time{}
	}
	if life := c.expires.Sub(c.issued); life <= shortLived {
		return c.issued.Add(life / 2)
	}
	return c.issued.Add(rotateInterval)
}

// rotate replaces the credential when it is time. The old one stays good until
// it expires, so requests that are under way do not mind.
func (m *member) rotate(ctx context.Context, c *v1alpha1.Cluster) {
	now := m.fleet.clock.Now()
	if !m.health.ok() || c.DeletionTimestamp != nil || now.Before(m.rotateAt) {
		return
	}
	m.rotateAt = now.Add(rotateRetry)
	cred, err := m.renew(ctx, c, now)
	m.fleet.metrics.Rotated(m.name, err)
	if err != nil {
		m.troubles.Failed(klog.FromContext(ctx), "credential", err, "The hub's credential for the cluster could not be replaced", "expires", m.cred.expires)
		m.fleet.events.rotationFailed(c, m.cred, err)
		return
	}
	m.cred, m.rotateAt = cred, cred.rotateAt()
	m.fleet.metrics.Credential(m.name, cred.expires)
	m.token.set(cred.token)
	m.troubles.Worked(klog.FromContext(ctx), "credential", "The hub's credential for the cluster was replaced", "expires", cred.expires)
	m.fleet.events.rotated(c, cred)
}

// renew gets a token from the member and stores it at the hub.
func (m *member) renew(ctx context.Context, c *v1alpha1.Cluster, now time.Time) (credential, error) {
	ctx, cancel := context.WithTimeout(ctx, surveyTimeout)
	defer cancel()
	cred, err := requestToken(ctx, m.link.client(), now)
	if err != nil {
		return credential{}, err
	}
	patch, err := json.Marshal(map[string]any{"data": cred.data()})
	if err != nil {
		return credential{}, fmt.Errorf("cannot encode the credential: %w", err)
	}
	_, err = m.fleet.kube.CoreV1().Secrets(v1alpha1.SystemNamespace).Patch(ctx, c.Spec.CredentialSecret, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	if err != nil {
		return credential{}, fmt.Errorf("cannot store the credential at the hub: %w", err)
	}
	return cred, nil
}
