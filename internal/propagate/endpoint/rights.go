package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	rbacclient "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// Rights are those of the hub's account in one member.
type Rights struct {
	cfg    *rest.Config
	client *http.Client

	mu      sync.Mutex
	granted map[string]bool // rights to custom resources that the role has
}

// NewRights is for a member that cfg and client reach.
func NewRights(cfg *rest.Config, client *http.Client) *Rights {
	return &Rights{cfg: cfg, client: client, granted: map[string]bool{}}
}

// Grant gives the hub's account in the member the right to the custom
// resources that are propagated: a ClusterRole and a binding for each group,
// so that no wildcard is needed. It writes nothing when all is as it should be.
func (s *Rights) Grant(ctx context.Context, served []schema.GroupVersionResource) error {
	groups := map[string][]string{}
	for _, r := range served {
		if !builtIn(r.Group) {
			groups[r.Group] = append(groups[r.Group], r.Resource)
		}
	}
	for group, resources := range groups {
		slices.Sort(resources)
		if err := s.grantGroup(ctx, group, resources); err != nil {
			return err
		}
	}
	return nil
}

func (s *Rights) grantGroup(ctx context.Context, group string, resources []string) error {
	granted := fmt.Sprint(group, resources)
	s.mu.Lock()
	done := s.granted[granted]
	s.mu.Unlock()
	if done {
		return nil
	}
	name := v1alpha1.ServiceAccount + ":" + group
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: kinds.CustomRules(group, resources)}
	client, err := rbacclient.NewForConfigAndClient(s.cfg, s.client)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	roles := client.ClusterRoles()
	options := metav1.CreateOptions{FieldManager: v1alpha1.FieldManager}
	_, err = roles.Create(ctx, role, options)
	if apierrors.IsAlreadyExists(err) {
		_, err = roles.Update(ctx, role, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
	}
	if err != nil {
		return fmt.Errorf("write ClusterRole %s: %w", name, err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: v1alpha1.SystemNamespace, Name: v1alpha1.ServiceAccount}},
	}
	if _, err := client.ClusterRoleBindings().Create(ctx, binding, options); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("write ClusterRoleBinding %s: %w", name, err)
	}
	s.mu.Lock()
	s.granted[granted] = true
	s.mu.Unlock()
	return nil
}

// builtIn says whether a group is one of Kubernetes' own, which the member's role names from the start.
func builtIn(group string) bool {
	return !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io")
}
