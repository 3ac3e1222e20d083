package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// queryTimeout bounds one question to a name server.
const queryTimeout = 3 * time.Second

// errChecks ends the command after all findings were printed.
var errChecks = errors.New("some checks failed")

func newDNSCheckCommand(s Streams) *cobra.Command {
	var hub hubFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check that zones and hostnames are answered as they should be",
		Long: `Check each zone and each GlobalRoute: what the hub says of it, whether the name
server answers from here by UDP and by TCP, and whether the domain is delegated to
it. The exit code is 1 if anything is wrong; that a domain is not delegated is said,
and is no error as long as nobody outside shall find it.`,
		Args: rejectUnknown,
		RunE: func(cmd *cobra.Command, _ []string) error {
			zones, err := listOf[v1alpha1.DNSZone](cmd, &hub, "dnszones")
			if err != nil {
				return err
			}
			routes, err := listOf[v1alpha1.GlobalRoute](cmd, &hub, "globalroutes")
			if err != nil {
				return err
			}
			c := checker{ctx: cmd.Context(), s: s}
			for i := range zones {
				c.zone(&zones[i])
			}
			for i := range routes {
				c.route(&routes[i])
			}
			if c.failed > 0 {
				return fmt.Errorf("%w: %d of %d", errChecks, c.failed, c.all)
			}
			fmt.Fprintf(s.Err, "all %d checks passed\n", c.all)
			return nil
		},
	}
	hub.bind(cmd)
	return cmd
}

// checker prints findings, a line each.
type checker struct {
	ctx         context.Context
	s           Streams
	all, failed int
}

func (c *checker) say(ok bool, what, format string, args ...any) {
	c.all++
	verdict := "ok  "
	if !ok {
		c.failed++
		verdict = "FAIL"
	}
	fmt.Fprintf(c.s.Out, "%s %s: %s\n", verdict, what, fmt.Sprintf(format, args...))
}

// note prints what is neither right nor wrong.
func (c *checker) note(what, format string, args ...any) {
	fmt.Fprintf(c.s.Out, "note %s: %s\n", what, fmt.Sprintf(format, args...))
}

func (c *checker) zone(z *v1alpha1.DNSZone) {
	what := "zone " + z.Spec.Domain
	c.condition(what, z.Status.Conditions, v1alpha1.ConditionReady)
	if held := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionDeletionsHeld); held != nil && held.Status == metav1.ConditionTrue {
		c.say(false, what, "%s", held.Message)
	}
	for _, at := range z.Status.Listeners {
		for _, network := range []string{"udp", "tcp"} {
			c.listener(what, network, at, z)
		}
	}
	switch d := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionDelegated); {
	case d == nil:
		c.note(what, "whether it is delegated has not been checked yet")
	case d.Status != metav1.ConditionTrue:
		c.note(what, "%s", d.Message)
	default:
		c.say(true, what, "%s", d.Message)
	}
}

// condition is a check that the hub has made.
func (c *checker) condition(what string, all []metav1.Condition, kind string) {
	found := meta.FindStatusCondition(all, kind)
	if found == nil {
		c.say(false, what, "the hub has not looked at it yet")
		return
	}
	message := found.Message
	if message == "" {
		message = strings.ToLower(found.Reason)
	}
	c.say(found.Status == metav1.ConditionTrue, what, "%s", message)
}

// listener asks a name server for the zone's SOA record.
func (c *checker) listener(what, network, at string, z *v1alpha1.DNSZone) {
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		c.say(false, what, "the address %s makes no sense: %v", at, err)
		return
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		c.note(what, "the name server listens on all addresses (%s); they are not asked from here", at)
		return
	}
	client := mdns.Client{Net: network, Timeout: queryTimeout}
	question := new(mdns.Msg).SetQuestion(mdns.Fqdn(z.Spec.Domain), mdns.TypeSOA)
	answer, took, err := client.ExchangeContext(c.ctx, question, net.JoinHostPort(host, port))
	switch {
	case err != nil:
		c.say(false, what, "%s does not answer by %s: %v", at, strings.ToUpper(network), err)
	case answer.Rcode != mdns.RcodeSuccess || len(answer.Answer) == 0:
		c.say(false, what, "%s answers %s by %s for its SOA record", at, mdns.RcodeToString[answer.Rcode], strings.ToUpper(network))
	case !answer.Authoritative:
		c.say(false, what, "%s is not authoritative for it", at)
	default:
		c.say(true, what, "%s answers by %s in %.1f ms", at, strings.ToUpper(network), float64(took.Microseconds())/1000)
	}
}

func (c *checker) route(r *v1alpha1.GlobalRoute) {
	what := "route " + r.Namespace + "/" + r.Name
	c.condition(what, r.Status.Conditions, v1alpha1.ConditionReady)
	for _, host := range r.Status.Hosts {
		if host.Answered && host.Message != "" {
			c.note(what, "%s: %s", host.Name, host.Message)
		}
	}
}
