package globaldns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
)

// queryTimeout bounds one question to a name server.
const queryTimeout = 3 * time.Second

// errChecks ends the command after all findings were printed.
var errChecks = errors.New("some checks failed")

func newCheckCommand(s genericiooptions.IOStreams) *cobra.Command {
	var at hub.Flags
	format := output.ForValues()
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check that zones and hostnames are answered as they should be",
		Long: `Check each zone and each GlobalRoute: what the hub says of it, whether the name
server answers from here by UDP and by TCP, and whether the domain is delegated to
it. The exit code is 1 if anything is wrong. A domain that is not delegated is
reported, but is no error: it may be for use inside only.`,
		Args: args.RejectUnknown,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, zones, err := hub.List[v1alpha1.DNSZone](cmd.Context(), &at, "dnszones")
			if err != nil {
				return err
			}
			_, routes, err := hub.List[v1alpha1.GlobalRoute](cmd.Context(), &at, "globalroutes")
			if err != nil {
				return err
			}
			found := check(cmd.Context(), zones, routes)
			if err := format.Print(s.Out, output.Result{Content: found, Table: found.print}); err != nil {
				return err
			}
			if n := found.failed(); n > 0 {
				return fmt.Errorf("%w: %d of %d", errChecks, n, found.checked())
			}
			fmt.Fprintf(s.ErrOut, "all %s passed\n", output.Count(found.checked(), "check"))
			return nil
		},
	}
	at.Bind(cmd)
	format.Bind(cmd)
	return cmd
}

// findings is what hanse dns check -o json prints. Its form is stable.
type findings struct {
	Checks []finding `json:"checks"`
}

// finding is one thing that was looked at.
type finding struct {
	// About is the zone or the route.
	About string `json:"about"`
	// Result is OK, Failed or Note: neither right nor wrong.
	Result  string `json:"result"`
	Message string `json:"message"`
}

const (
	resultOK     = "OK"
	resultFailed = "Failed"
	resultNote   = "Note"
)

func check(ctx context.Context, zones []v1alpha1.DNSZone, routes []v1alpha1.GlobalRoute) *findings {
	f := &findings{Checks: []finding{}}
	for i := range zones {
		f.zone(ctx, &zones[i])
	}
	for i := range routes {
		f.route(&routes[i])
	}
	return f
}

func (f *findings) add(result, about, format string, values ...any) {
	f.Checks = append(f.Checks, finding{about, result, fmt.Sprintf(format, values...)})
}

func (f *findings) say(ok bool, about, format string, values ...any) {
	result := resultFailed
	if ok {
		result = resultOK
	}
	f.add(result, about, format, values...)
}

func (f *findings) count(result string) (n int) {
	for _, c := range f.Checks {
		if c.Result == result {
			n++
		}
	}
	return n
}

func (f *findings) failed() int { return f.count(resultFailed) }

// checked is how many could have failed.
func (f *findings) checked() int { return f.failed() + f.count(resultOK) }

// print has a line for each.
func (f *findings) print(w io.Writer, _ bool) error {
	verdict := map[string]string{resultOK: "ok  ", resultFailed: "FAIL", resultNote: "note"}
	for _, c := range f.Checks {
		if _, err := fmt.Fprintf(w, "%s %s: %s\n", verdict[c.Result], c.About, c.Message); err != nil {
			return err
		}
	}
	return nil
}

func (f *findings) zone(ctx context.Context, z *v1alpha1.DNSZone) {
	about := "zone " + z.Spec.Domain
	f.condition(about, z.Status.Conditions, v1alpha1.ConditionReady)
	if held := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionDeletionsHeld); held != nil && held.Status == metav1.ConditionTrue {
		f.say(false, about, "%s", held.Message)
	}
	for _, at := range z.Status.Listeners {
		for _, network := range []string{"udp", "tcp"} {
			f.listener(ctx, about, network, at, z)
		}
	}
	switch d := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionDelegated); {
	case d == nil:
		f.add(resultNote, about, "whether it is delegated has not been checked yet")
	case d.Status != metav1.ConditionTrue:
		f.add(resultNote, about, "%s", d.Message)
	default:
		f.say(true, about, "%s", d.Message)
	}
}

// condition is a check that the hub has made.
func (f *findings) condition(about string, all []metav1.Condition, kind string) {
	found := meta.FindStatusCondition(all, kind)
	if found == nil {
		f.say(false, about, "the hub has not looked at it yet")
		return
	}
	message := found.Message
	if message == "" {
		message = strings.ToLower(found.Reason)
	}
	f.say(found.Status == metav1.ConditionTrue, about, "%s", message)
}

// listener asks a name server for the zone's SOA record. It blocks for queryTimeout at
// most.
func (f *findings) listener(ctx context.Context, about, network, at string, z *v1alpha1.DNSZone) {
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		f.say(false, about, "the address %s is not valid: %v", at, err)
		return
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		f.add(resultNote, about, "the name server listens on all addresses (%s); they are not asked from here", at)
		return
	}
	client := mdns.Client{Net: network, Timeout: queryTimeout}
	question := new(mdns.Msg).SetQuestion(mdns.Fqdn(z.Spec.Domain), mdns.TypeSOA)
	answer, took, err := client.ExchangeContext(ctx, question, net.JoinHostPort(host, port))
	switch {
	case err != nil:
		f.say(false, about, "%s does not answer by %s: %v", at, strings.ToUpper(network), err)
	case answer.Rcode != mdns.RcodeSuccess || len(answer.Answer) == 0:
		f.say(false, about, "%s answers %s by %s for its SOA record", at, mdns.RcodeToString[answer.Rcode], strings.ToUpper(network))
	case !answer.Authoritative:
		f.say(false, about, "%s is not authoritative for it", at)
	default:
		f.say(true, about, "%s answers by %s in %.1f ms", at, strings.ToUpper(network), float64(took.Microseconds())/1000)
	}
}

func (f *findings) route(r *v1alpha1.GlobalRoute) {
	about := "route " + r.Namespace + "/" + r.Name
	f.condition(about, r.Status.Conditions, v1alpha1.ConditionReady)
	for _, host := range r.Status.Hosts {
		if host.Answered && host.Message != "" {
			f.add(resultNote, about, "%s: %s", host.Name, host.Message)
		}
	}
}
