package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/tenancy/model"
)

// PathJoin takes an invitation: a POST with a Token. Everybody who has logged in may ask.
const PathJoin = "/hanse/organizations/join"

// tokenLimit bounds the body of a request, and attempts how often an Organization that others write is read again.
const (
	tokenLimit = 1 << 10
	attempts   = 5
)

// Token is the body of a request to PathJoin, Joined of its answer.
type (
	Token  struct{ Token string }
	Joined struct{ Organization, User, Role string }
)

// errNotInvited is all that anybody learns of a token that is not good: not whether there is such an organization either.
var errNotInvited = errors.New("this invitation is not good: it has been taken, has expired or was withdrawn, or never was one. Try: ask an owner or admin of the organization for another")

// refusal is an answer that is the asker's to deal with.
type refusal struct{ error }

// Filter answers at PathJoin, by the Controller that is there when it is asked.
func Filter(controller func() *Controller) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != PathJoin {
				next.ServeHTTP(w, r)
				return
			}
			c := controller()
			if c == nil {
				http.Error(w, "the hub has just started. Try: again", http.StatusServiceUnavailable)
				return
			}
			c.serveJoin(w, r)
		})
	}
}

func (c *Controller) serveJoin(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "only POST is answered here", http.StatusMethodNotAllowed)
		return
	}
	who, ok := request.UserFrom(r.Context())
	var t Token
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, tokenLimit))
	if !ok || err != nil || json.Unmarshal(body, &t) != nil {
		http.Error(w, `the body has to be {"Token": "…"}`, http.StatusBadRequest)
		return
	}
	joined, err := c.Join(r.Context(), who.GetName(), strings.TrimSpace(t.Token))
	var refused refusal
	switch {
	case errors.As(err, &refused):
		http.Error(w, err.Error(), http.StatusForbidden)
	case err != nil:
		klog.FromContext(r.Context()).Error(err, "An invitation could not be taken", "user", who.GetName())
		http.Error(w, "the hub could not write the Organization. Try: again", http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(joined) // whoever asked may be gone
	}
}

// Join makes a user a member of the organization that a token invites to. One write takes the invitation out and the member
// in, if nobody wrote in between: so it is taken once.
func (c *Controller) Join(ctx context.Context, user, token string) (Joined, error) {
	if strings.HasPrefix(user, "system:") && !strings.HasPrefix(user, "system:serviceaccount:") || strings.HasPrefix(user, "hanse:") {
		return Joined{}, refusal{fmt.Errorf("user %q is Kubernetes' own or the hub's, and is in no organization. Try: hanse login", user)}
	}
	organization := model.OrganizationOf(token)
	if organization == "" {
		return Joined{}, refusal{errNotInvited}
	}
	var joined Joined
	backoff := retry.DefaultBackoff
	backoff.Steps = attempts
	err := retry.RetryOnConflict(backoff, func() error {
		u, err := c.dynamic.Resource(v1alpha1.Resource("organizations")).Get(ctx, organization, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) {
			return refusal{errNotInvited}
		}
		if err != nil {
			return err
		}
		var o v1alpha1.Organization
		if err := decode(u, &o); err != nil {
			return err
		}
		i, ok := model.Invited(&o, token, c.clock.Now())
		if !ok {
			return refusal{errNotInvited}
		}
		subject := v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: user}
		for _, m := range o.Spec.Members {
			if m.Subject == subject {
				return refusal{fmt.Errorf("user %q is in organization %s already, as %s; the invitation is still good. Try: give it to somebody else", user, o.Name, m.Role)}
			}
		}
		o.Spec.Members = append(o.Spec.Members, v1alpha1.OrganizationMember{Subject: subject, Role: i.Role})
		o.Spec.Invitations = slices.DeleteFunc(o.Spec.Invitations, func(other v1alpha1.OrganizationInvitation) bool { return other.Name == i.Name })
		joined = Joined{Organization: o.Name, User: user, Role: i.Role}
		return updateSpec(ctx, c.dynamic, &o)
	})
	if apierrors.IsInvalid(err) {
		return Joined{}, refusal{fmt.Errorf("organization %s has no room for another member. Try: ask its owner to use a group", organization)}
	}
	return joined, err
}
