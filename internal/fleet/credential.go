package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

const (
	// shortLived tokens are replaced at half their life, others once a day.
	shortLived     = 48 * time.Hour
	rotateInterval = 24 * time.Hour
	rotateRetry    = time.Minute
)

// rotateAt is when a credential should be replaced: at once if its life is
// not known.
func rotateAt(c access.Credential) time.Time {
	if c.Issued.IsZero() || c.Expires.IsZero() {
		return time.Time{}
	}
	if life := c.Expires.Sub(c.Issued); life <= shortLived {
		return c.Issued.Add(life / 2)
	}
	return c.Issued.Add(rotateInterval)
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
		m.troubles.Failed(klog.FromContext(ctx), "credential", err, "The hub's credential for the cluster could not be replaced", "expires", m.cred.Expires)
		m.fleet.events.rotationFailed(c, m.cred, err)
		return
	}
	m.cred, m.rotateAt = cred, rotateAt(cred)
	m.fleet.metrics.Credential(m.name, cred.Expires)
	m.token.set(cred.Token)
	m.troubles.Worked(klog.FromContext(ctx), "credential", "The hub's credential for the cluster was replaced", "expires", cred.Expires)
	m.fleet.events.rotated(c, cred)
}

// renew gets a token from the member and stores it at the hub.
func (m *member) renew(ctx context.Context, c *v1alpha1.Cluster, now time.Time) (access.Credential, error) {
	ctx, cancel := context.WithTimeout(ctx, surveyTimeout)
	defer cancel()
	cred, err := access.RequestToken(ctx, m.link.client(), now)
	if err != nil {
		return access.Credential{}, err
	}
	cred.For = m.cred.For // that is how it was got
	patch, err := json.Marshal(map[string]any{"data": cred.Data()})
	if err != nil {
		return access.Credential{}, fmt.Errorf("cannot encode the credential: %w", err)
	}
	_, err = m.fleet.kube.CoreV1().Secrets(v1alpha1.SystemNamespace).Patch(ctx, c.Spec.CredentialSecret, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	if err != nil {
		return access.Credential{}, fmt.Errorf("cannot store the credential at the hub: %w", err)
	}
	return cred, nil
}
