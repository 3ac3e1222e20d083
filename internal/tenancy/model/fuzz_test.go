package model

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// FuzzToken: whoever has logged in may send anything for a token. Only the one that was made is one.
func FuzzToken(f *testing.F) {
	now := time.Unix(0, 0)
	token := NewToken("acme")
	o := &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Spec: v1alpha1.OrganizationSpec{
		Invitations: []v1alpha1.OrganizationInvitation{{Name: "i", TokenHash: HashToken(token), ExpiresAt: metav1.NewTime(now.Add(time.Hour))}},
	}}
	if _, ok := Invited(o, token, now); !ok {
		f.Fatal("the token is not good")
	}
	for _, seed := range []string{"", ".", "acme.", "acme." + HashToken(token), HashToken(token), token[:len(token)-1], token + "=", "../x." + token[5:], strings.ToUpper(token)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		name := OrganizationOf(given)
		if strings.Contains(name, ".") || name != "" && !strings.HasPrefix(given, name+".") {
			t.Errorf("%q is for %q", given, name)
		}
		if _, ok := Invited(o, given, now); ok && given != token {
			t.Errorf("%q is good", given)
		}
	})
}
