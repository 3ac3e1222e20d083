// Package access is what fleet and join have in common: how the Clusters of a hub are
// reached, what the hub has in a member (a service account, its roles, its credential),
// and why a request to either failed, in words for the user.
package access

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// identityTimeout bounds the request of Identity.
const identityTimeout = 12 * time.Second

// Identity is the UID of a cluster's kube-system Namespace.
func Identity(ctx context.Context, client kubernetes.Interface) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, identityTimeout)
	defer cancel()
	ns, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return string(ns.UID), nil
}

// Found turns not found into nil.
func Found[T any](o *T, err error) (*T, error) {
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// HubError explains to the user what the hub answered; at is its address.
func HubError(at string, err error) error {
	p := Classify(err)
	switch p.Reason {
	case v1alpha1.ReasonAuthenticationFailed:
		return fmt.Errorf("the hub at %s refuses the credential in its kubeconfig (401). Try: hanse login, or the admin.kubeconfig in the hub's data directory", at)
	case v1alpha1.ReasonPermissionDenied:
		return fmt.Errorf("the hub at %s does not let you do this: %s. Try: as an administrator of the hub", at, p.Detail)
	}
	return fmt.Errorf("the hub at %s cannot be asked: %s. Try: see whether hanse server or hanse demo runs", at, p.Detail)
}
