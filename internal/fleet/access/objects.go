package access

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
)

const (
	// AnnotationSession on it is the run of the hub that wrote in the member
	// last. Whoever writes another there makes the hub say that it was
	// restored, and no more.
	AnnotationSession = "hanse.dev/hub-session"
	// AnnotationHub on a member's SystemNamespace is the UID of the hub that it
	// belongs to.
	AnnotationHub = "hanse.dev/hub"
	// AnnotationMade on it says that it was made by join and may go again.
	AnnotationMade = "hanse.dev/made-by-join"
)

// Namespace, Account, Role and Binding are what join
// makes in a member.
func Namespace(hubUID string) *corev1.Namespace {
	return &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.SystemNamespace, Annotations: map[string]string{AnnotationHub: hubUID, AnnotationMade: "true"}},
	}
}

func Account() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   metav1.ObjectMeta{Namespace: v1alpha1.SystemNamespace, Name: v1alpha1.ServiceAccount},
		AutomountServiceAccountToken: new(false),
	}
}

func Role() *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ServiceAccount},
		Rules:      kinds.MemberRules(),
	}
}

func Binding() *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ServiceAccount},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: v1alpha1.ServiceAccount},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: v1alpha1.SystemNamespace, Name: v1alpha1.ServiceAccount}},
	}
}

// UnmarkPatch takes the mark of a hub off a Namespace.
func UnmarkPatch() []byte {
	return []byte(`{"metadata":{"annotations":{"` + AnnotationHub + `":null,"` + AnnotationSession + `":null,"` + AnnotationMade + `":null}}}`)
}
