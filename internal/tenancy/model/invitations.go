package model

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// MaxInvitationLife is how long an invitation may be good for. One that says more is not good.
const MaxInvitationLife = 30 * 24 * time.Hour

// NewToken makes a token for an organization: its name, a dot, and 256 random bits. Nothing but its hash is to be kept.
func NewToken(organization string) string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // it never fails
	return organization + "." + base64.RawURLEncoding.EncodeToString(secret[:])
}

// HashToken is what an invitation says of its token. The token is as random as the hash is long, so a plain hash will do:
// there is nothing to guess.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// OrganizationOf is the organization that a token is for; empty: it is no token.
func OrganizationOf(token string) string {
	organization, secret, ok := strings.Cut(token, ".")
	if raw, err := base64.RawURLEncoding.DecodeString(secret); !ok || err != nil || len(raw) != sha256.Size {
		return ""
	}
	return organization
}

// Invited finds the invitation that a token is for and that is good now. All are compared, each in constant time.
func Invited(o *v1alpha1.Organization, token string, now time.Time) (found v1alpha1.OrganizationInvitation, ok bool) {
	hash := []byte(HashToken(token))
	for _, i := range o.Spec.Invitations {
		if subtle.ConstantTimeCompare(hash, []byte(i.TokenHash)) == 1 && good(i, now) {
			found, ok = i, true
		}
	}
	return found, ok
}

func good(i v1alpha1.OrganizationInvitation, now time.Time) bool {
	left := i.ExpiresAt.Sub(now)
	return left > 0 && left <= MaxInvitationLife
}

// Expired are the names of invitations that are not good any more, and how long the next one of the others is; 0: none.
func Expired(o *v1alpha1.Organization, now time.Time) (names []string, next time.Duration) {
	for _, i := range o.Spec.Invitations {
		if !good(i, now) {
			names = append(names, i.Name)
			continue
		}
		if left := i.ExpiresAt.Sub(now); next == 0 || left < next {
			next = left
		}
	}
	return names, next
}
