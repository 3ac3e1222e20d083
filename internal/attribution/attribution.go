// Package attribution says to a member which write at the hub led to a write there, so that the member's audit log has
// it: in the User-Agent, which every API server records at every level of its audit policy.
//
// It is the hub's word, as the hub's own service account is the user of all its writes; nobody in the member has to
// grant anything for it. Impersonation would need the right to impersonate there, and be refused where that is missing;
// audit annotations cannot be sent by a client at all.
//
// A user's name is text that others choose (of certificates, of an identity provider), as is an audit ID, which a
// client may send: both are bounded, and encoded so that they cannot be taken for anything else.
package attribution

import (
	"context"
	"net/http"
	"strings"
)

// What of an Author goes into a User-Agent, in bytes after encoding. API servers cut one to 1024 bytes.
const (
	maxUser    = 256
	maxAuditID = 64
)

// Author is who wrote an object at the hub. The zero Author is nobody that is known.
type Author struct {
	// User is the name of the hub's user, as `kubectl auth whoami` shows it; empty: members are not told.
	User string
	// AuditID is that of the request in the hub's own audit log, which has the rest: groups, addresses, time.
	AuditID string
}

// comment is the author as the comment of a User-Agent, as "(hub-user=alice@example.com; hub-audit-id=…)"; empty for
// nobody.
func (a Author) comment() string {
	var parts []string
	if a.User != "" {
		parts = append(parts, "hub-user="+encode(a.User, maxUser))
	}
	if a.AuditID != "" {
		parts = append(parts, "hub-audit-id="+encode(a.AuditID, maxAuditID))
	}
	if len(parts) == 0 {
		return ""
	}
	return "(" + strings.Join(parts, "; ") + ")"
}

// cut is the last byte of what was too long.
const cut = '~'

// encode percent-encodes what is not a letter, a digit or one of "._:@/+-", so that different texts stay different, and
// nothing ends a comment, a header or a line of a log. What is longer than most bytes is cut, and ends with "~".
func encode(text string, most int) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		size := 3
		if plain(c) {
			size = 1
		}
		if b.Len()+size > most-1 && (i < len(text)-1 || b.Len()+size > most) {
			b.WriteByte(cut)
			break
		}
		if size == 1 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&0xF]})
	}
	return b.String()
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._:@/+-", c) >= 0
}

type authorKey struct{}

// NewContext returns a context whose requests to members are attributed to an author. A write that the hub makes of its
// own accord, as when drift is put back or a cluster is lost, has no author.
func NewContext(ctx context.Context, a Author) context.Context {
	if a == (Author{}) {
		return ctx
	}
	return context.WithValue(ctx, authorKey{}, a)
}

// AuditID is that of the author of a context's requests; empty: there is none, or members are not told.
func AuditID(ctx context.Context) string {
	a, _ := ctx.Value(authorKey{}).(Author)
	return a.AuditID
}

// Mark adds the author of a request's context to its User-Agent. The request must be the caller's own to change. It
// does nothing if there is no author.
func Mark(r *http.Request) {
	a, ok := r.Context().Value(authorKey{}).(Author)
	if !ok {
		return
	}
	r.Header.Set("User-Agent", strings.TrimSpace(r.Header.Get("User-Agent")+" "+a.comment()))
}
