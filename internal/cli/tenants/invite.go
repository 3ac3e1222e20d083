package tenants

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/tenancy"
	"github.com/hanse-dev/hanse/internal/tenancy/model"
)

func orgInvite(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var at hub.Flags
	var as string
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "invite ORGANIZATION",
		Short: "Invite somebody to an organization",
		Long: `Invite somebody to an organization: print a token, by which one person who has
logged in becomes a member with hanse org join. The token is not stored anywhere and not
shown again; the Organization has its hash. It is good once, and for --ttl.`,
		Example: "  hanse org invite acme --role member --ttl 24h",
		Args:    args.One("organization", "hanse org invite NAME"),
		RunE: func(cmd *cobra.Command, given []string) error {
			is, err := role(as, organizationRoles()...)
			if err != nil {
				return err
			}
			if ttl <= 0 || ttl > model.MaxInvitationLife {
				return fmt.Errorf("--ttl=%s: an invitation may be good for up to %d days. Try: --ttl 24h", ttl, model.MaxInvitationLife/24/time.Hour)
			}
			c, err := organizations(&at)
			if err != nil {
				return err
			}
			token, expires := model.NewToken(given[0]), now.Now().Add(ttl).UTC().Truncate(time.Second)
			var id [4]byte
			_, _ = rand.Read(id[:]) // it never fails
			i := v1alpha1.OrganizationInvitation{Name: "i-" + hex.EncodeToString(id[:]), Role: is, TokenHash: model.HashToken(token), ExpiresAt: metav1.NewTime(expires)}
			err = editOrganization(cmd.Context(), c, given[0], nil, func(spec *v1alpha1.OrganizationSpec) error {
				spec.Invitations = append(spec.Invitations, i)
				return nil
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(s.ErrOut, "Invitation %s, for one %s of organization %s, expires at %s. To take it: hanse org join TOKEN\n", i.Name, is, given[0], expires.Format("2006-01-02 15:04 UTC"))
			fmt.Fprintln(s.Out, token)
			return nil
		},
	}
	at.Bind(cmd)
	bindRole(cmd, &as, "member", organizationRoles()...)
	cmd.Flags().DurationVar(&ttl, "ttl", 24*time.Hour, "how long the invitation is good for")
	return cmd
}

func orgJoin(s genericiooptions.IOStreams) *cobra.Command {
	var at hub.Flags
	cmd := &cobra.Command{
		Use:     "join TOKEN",
		Short:   "Take an invitation to an organization",
		Example: "  hanse org join acme.0zWq…",
		Args:    args.One("token", "hanse org join TOKEN, with what hanse org invite has printed"),
		RunE: func(cmd *cobra.Command, given []string) error {
			body, err := json.Marshal(tenancy.Token{Token: given[0]})
			if err != nil {
				return err
			}
			answer, err := at.Ask(cmd.Context(), http.MethodPost, tenancy.PathJoin, bytes.NewReader(body))
			if err != nil {
				return err
			}
			var joined tenancy.Joined
			if err := hub.Unmarshal(answer, &joined); err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "user %s is %s of organization/%s\n", joined.User, joined.Role, joined.Organization)
			return nil
		},
	}
	at.Bind(cmd)
	return cmd
}
