package access

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/rights"
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

// Namespace, Account, Role, Binding and BindingIn are what join makes in a member,
// beside rights.Guard.
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

// Role is a ClusterRole of the account: rights.RoleName, or rights.NamespacedName.
func Role(name string, rules []rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      rules,
	}
}

// BindingIn binds rights.NamespacedName in a namespace.
func BindingIn(namespace string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.ServiceAccount},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: rights.NamespacedName},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: v1alpha1.SystemNamespace, Name: v1alpha1.ServiceAccount}},
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
