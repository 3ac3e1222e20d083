package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// A member that is well is only glanced at: one request, in turn whether it is ready
// and for the hub's Namespace there. A read of that needs the hub's rights and, from
// etcd, much of what being ready takes; its UID, which no other cluster has, says that
// this is the cluster still, and its annotations whose. So one look shows all that is
// amiss but a member that calls itself not ready and answers all the same, which the
// next one shows. Whatever a glance does not find as it was, a whole look decides.

// glanced is what a glance is at.
type glanced bool

const (
	atReady     glanced = false
	atNamespace glanced = true
)

// maxGlance bounds the answer to a glance, in bytes; what is longer needs a whole look.
const maxGlance = 64 << 10

// glances are the requests of a link.
func glances(cfg *rest.Config) (map[glanced]*http.Request, error) {
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, err
	}
	all := map[glanced]*http.Request{}
	for at, path := range map[glanced]string{atReady: "readyz", atNamespace: "api/v1/namespaces/" + v1alpha1.SystemNamespace} {
		r, err := http.NewRequest(http.MethodGet, base.JoinPath(path).String(), nil)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Accept", "application/json")
		r.Header.Set("User-Agent", cfg.UserAgent)
		all[at] = r
	}
	return all, nil
}

// glance is what the member says if that is as it was, or if all that is new is in the
// annotations of the hub's Namespace; else ok is false and a whole look is needed. An
// error means that the member has not answered.
func (l *link) glance(ctx context.Context, at glanced, was said, hubUID string) (now said, ok bool, err error) {
	response, err := l.config.Transport.RoundTrip(l.glances[at].WithContext(ctx))
	if err != nil {
		return said{}, false, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxGlance+1))
	if err != nil {
		return said{}, false, fmt.Errorf("read what the member answers: %w", err)
	}
	switch {
	case response.StatusCode != http.StatusOK || len(body) > maxGlance:
		return said{}, false, nil
	case at == atReady:
		return was, true, nil
	}
	digest := sha256.Sum256(body)
	if digest == was.digest {
		return was, true, nil
	}
	var ns metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &ns); err != nil || string(ns.UID) != was.namespace {
		return said{}, false, nil //nolint:nilerr // a whole look says what is wrong
	}
	now = said{uid: was.uid, namespace: was.namespace, digest: digest}
	now.otherHub, now.session = ownerOf(&ns, hubUID)
	return now, true, nil
}

// ownerOf is the UID of the hub that the member says it belongs to, "" if that is this
// one or nobody, and the run of this hub that was there last.
func ownerOf(ns metav1.Object, hubUID string) (otherHub, session string) {
	annotations := ns.GetAnnotations()
	if annotations[access.AnnotationHub] == hubUID {
		return "", annotations[access.AnnotationSession]
	}
	return annotations[access.AnnotationHub], ""
}
