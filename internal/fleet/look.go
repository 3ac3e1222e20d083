package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/fleet/survey"
	"github.com/hanse-dev/hanse/internal/rights"
)

// How often the nodes are looked at: rarely, for a list of them is what costs,
// but soon while some are not ready, as in a cluster that has just been made.
const (
	surveyInterval = time.Minute
	surveySoon     = 5 * time.Second
	surveyTimeout  = 30 * time.Second
)

// look finds out how the member is: whether it is ready, still the same
// cluster, still this hub's, and lets the hub read; and every now and then, and before it is
// engaged, what its nodes are.
func (m *member) look(ctx context.Context, c *v1alpha1.Cluster) verdict {
	if first := m.fleet.first(c); first != "" {
		return duplicate(c, first)
	}
	if other := m.astray(c); other != "" {
		return verdict{reason: v1alpha1.ReasonCredentialForOther, sure: true, message: fmt.Sprintf(
			"%s, and the hub's credential was not given for that: it is not sent there. Try: hanse join %s --kubeconfig FILE, which gets one for where the cluster is now", other, c.Name)}
	}
	if m.link == nil {
		return verdict{reason: v1alpha1.ReasonCertificateInvalid, message: fmt.Sprintf(
			"the endpoint %s or the CA bundle of the Cluster cannot be used. Try: hanse join %s --kubeconfig FILE again", c.Spec.Endpoint, c.Name)}
	}
	if m.cred.Token == "" {
		return verdict{reason: v1alpha1.ReasonAuthenticationFailed, message: fmt.Sprintf(
			"the hub has no credential for it: Secret %s/%s has no token. Try: hanse join %s --kubeconfig FILE again", v1alpha1.SystemNamespace, c.Spec.CredentialSecret, c.Name)}
	}
	now := m.fleet.clock.Now()
	surveyed := m.health.ok() && now.Before(m.surveyAt)
	said, v := m.ask(ctx, !surveyed || m.health.failures > 0 || m.said.namespace == "")
	if !v.ok() {
		return v
	}
	m.said = said
	if m.spec.UID != "" && said.uid != m.spec.UID {
		return verdict{reason: v1alpha1.ReasonIdentityChanged, sure: true, message: fmt.Sprintf(
			"another cluster answers at %s than the one that was joined. Try: hanse unjoin %s, then join again", m.spec.Endpoint, m.name)}
	}
	if said.otherHub != "" {
		return verdict{reason: v1alpha1.ReasonPermissionDenied, sure: true, foreign: true, message: fmt.Sprintf(
			"another hub (%s) has taken over the cluster at %s. Try: hanse unjoin %s, or to have it back hanse join %s --kubeconfig FILE --take-over", access.OneLine(said.otherHub), m.spec.Endpoint, m.name, m.name)}
	}
	if surveyed {
		return reachable(m.spec.Endpoint)
	}
	if v := m.survey(ctx, now); !v.ok() {
		return v
	}
	if !m.health.ok() {
		if err := access.EnsureRole(ctx, m.link.client(), rights.RoleName, rights.Read(c.Spec.Access).Rules()); err != nil {
			m.troubles.Failed(klog.FromContext(ctx), "role", err, "The hub's ClusterRole in the cluster could not be updated")
			m.fleet.events.roleOutdated(c, err)
		} else {
			m.troubles.Worked(klog.FromContext(ctx), "role", "The hub's ClusterRole in the cluster was updated")
		}
	}
	return reachable(m.spec.Endpoint)
}

func reachable(endpoint string) verdict {
	return verdict{reason: v1alpha1.ReasonReachable, message: endpoint + " answers and accepts the hub's credential"}
}

func (m *member) judge(err error) verdict {
	return judge(m.name, m.spec.Endpoint, access.Classify(err))
}

// survey refreshes the facts. Only a refusal counts against the member; facts
// that cannot be had otherwise stay as they were.
func (m *member) survey(ctx context.Context, now time.Time) verdict {
	ctx, cancel := context.WithTimeout(ctx, surveyTimeout)
	defer cancel()
	m.surveyAt = now.Add(surveySoon)
	found, err := survey.Read(ctx, m.link.client())
	if err != nil {
		p := access.Classify(err)
		if p.Reason == v1alpha1.ReasonAuthenticationFailed || p.Reason == v1alpha1.ReasonPermissionDenied {
			m.surveyAt = now
			return judge(m.name, m.spec.Endpoint, p)
		}
		klog.FromContext(ctx).V(2).Info("Cannot look at the nodes", "err", err)
		return reachable(m.spec.Endpoint)
	}
	if !reflect.DeepEqual(found, m.facts) {
		m.facts = found
		m.surveys++
	}
	if found.Nodes > 0 && found.Ready == found.Nodes {
		m.surveyAt = now.Add(surveyInterval)
	}
	return reachable(m.spec.Endpoint)
}

// readyz asks a member whether it is ready, once.
func readyz(ctx context.Context, client kubernetes.Interface) error {
	ctx, cancel := context.WithTimeout(ctx, longestPatience)
	defer cancel()
	body, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").MaxRetries(0).DoRaw(ctx)
	if err == nil {
		return nil
	}
	if failed := access.FailedChecks(string(body)); failed != "" {
		return &access.NotReadyError{Checks: failed}
	}
	var answer metav1.Status
	if json.Unmarshal(body, &answer) == nil && answer.Code != 0 {
		return &apierrors.StatusError{ErrStatus: answer} // err has lost its message
	}
	return err
}

// systemNamespace is the hub's Namespace in a member, nil if there is none.
func systemNamespace(ctx context.Context, client kubernetes.Interface) (*corev1.Namespace, error) {
	ctx, cancel := context.WithTimeout(ctx, longestPatience)
	defer cancel()
	return access.Found(client.CoreV1().Namespaces().Get(ctx, v1alpha1.SystemNamespace, metav1.GetOptions{}))
}
