// Package attack is the threat model of Hanse, as tests: who may write something at the hub, the worst that they can do
// with it, and what holds them. docs/security.md says the same in words.
//
// What is to be protected: the members, where a hub's account may do almost anything; the Secrets of each namespace; the
// hub's credentials for members; the names in the DNS; the regions that objects may be in.
//
// Each test is one line of it: an attempt by a person with exactly the rights that it names and no others, against a real
// hub and real members. It fails if the attempt succeeds, and also if the same is refused to a person who has the right: a
// hub that refuses everybody is not safe, but broken. A refusal has to say which right is missing and who can grant it.
//
// Nobody here is an administrator, of the hub or of a member: administrators of the hub are trusted with all of it, and
// those of a member with that member.
package attack

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPeopleHaveNoRightsByThemselves is about the tests: if everybody could do everything, all refusals would be for other reasons.
func TestPeopleHaveNoRightsByThemselves(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "nobodys")
	somebody, editor := f.person(t, "somebody"), f.person(t, "editor", as("edit", ns))
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}}
	_, err := somebody.CoreV1().ConfigMaps(ns).Create(t.Context(), object, metav1.CreateOptions{})
	refused(t, err, "cannot create resource")
	_, err = editor.CoreV1().ConfigMaps(ns).Create(t.Context(), object, metav1.CreateOptions{})
	must(t, err)
	_, err = editor.CoreV1().ConfigMaps("default").Create(t.Context(), object, metav1.CreateOptions{})
	refused(t, err, "cannot create resource")
	if r := f.hanse(t, somebody, "clusters"); r.Code == 0 {
		t.Errorf("hanse clusters shows the clusters to somebody without rights: %s", r)
	}
}
