package serve

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/app"
	"github.com/hanse-dev/hanse/internal/attribution"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/dns/grant"
	"github.com/hanse-dev/hanse/internal/dns/health"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
)

// NewServerCommand is hanse server: the hub alone, in the foreground.
func NewServerCommand(s genericiooptions.IOStreams) *cobra.Command {
	var o app.ServerOptions
	var tell, recorder string
	var probe, propagation []string
	var access accessFlags
	cmd := &cobra.Command{
		Use:   "server --data-dir DIR",
		Short: "Run a hub in the foreground",
		Long: `Run a hub: the API server of a federation, with its own etcd. It needs nothing
but a directory, and ends in order on SIGTERM or Ctrl-C. The administrator's
kubeconfig is DIR/admin.kubeconfig, context federation. While the hub runs it
renews that file, and its certificates, before they expire.

People log in with hanse login, at the identity provider that --oidc-issuer-url
names, or at those of an AuthenticationConfiguration.`,
		Example: `  hanse server --data-dir /var/lib/hanse
  hanse server --data-dir hub --listen 127.0.0.1:0
  hanse server --data-dir hub --oidc-issuer-url https://id.example.com --oidc-client-id hanse \
    --oidc-username-claim email --oidc-groups-claim groups
  hanse server --data-dir hub --etcd-servers https://10.0.0.5:2379 --etcd-cafile ca.crt \
    --etcd-certfile client.crt --etcd-keyfile client.key
  hanse server --data-dir second --etcd-servers https://10.0.0.5:2379 … \
    --join https://10.0.0.6:6443 --token TOKEN --ca-cert-hash sha256:HASH`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.DataDir == "" {
				return errors.New("a hub needs a directory. Try: hanse server --data-dir DIR")
			}
			if o.FailoverAfter != 0 && o.FailoverAfter < time.Second {
				return fmt.Errorf("--failover-after=%s is too short to tell a lost cluster from a lost packet. Try: 5s, or 0 for never", o.FailoverAfter)
			}
			err := namesAreSound(o.DNS.Names)
			if err != nil {
				return err
			}
			if o.DNS.ProbeNetworks, err = health.ParseNetworks(probe); err != nil {
				return fmt.Errorf("--probe-networks: %w", err)
			}
			if o.Place.Continent == "" {
				o.Place.Continent = policy.ContinentOf(o.Place.Provider, o.Place.Region)
			} else if !slices.Contains(policy.Continents(), o.Place.Continent) {
				return fmt.Errorf("--continent=%s is not supported. Try: one of %s", o.Place.Continent, strings.Join(policy.Continents(), ", "))
			}
			if o.Propagation, err = policies.ParseDefaults(propagation); err != nil {
				return fmt.Errorf("--propagation: %w", err)
			}
			if o.TellMembers, err = attribution.ParseTell(tell); err != nil {
				return fmt.Errorf("--tell-members: %w", err)
			}
			if o.FlightBytes, err = recorderSize(recorder); err != nil {
				return err
			}
			if err := access.complete(cmd.Flags(), &o); err != nil {
				return err
			}
			if err := joins(&o); err != nil {
				return err
			}
			if o.Encryption.File != "" && (o.Encryption.Dir != "" || len(o.Encryption.Resources) > 0) {
				return errors.New("--encryption-provider-config says what is encrypted by which keys. Try: without --encryption-dir and --encrypt")
			}
			if o.Encryption.Resources, err = datadir.Encrypted(o.Encryption.Resources); err != nil {
				return err
			}
			syscall.Umask(0o077) // etcd makes its snapshots, which it writes now and then, readable for everybody otherwise
			return app.Server(cmd.Context(), o, s.ErrOut)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.DataDir, "data-dir", "", "directory of everything that the hub keeps")
	f.StringVar(&o.Listen, "listen", "127.0.0.1:6443", "HOST:PORT to serve on; port 0 is chosen once and kept")
	f.StringSliceVar(&o.EtcdServers, "etcd-servers", nil, "URLs of an etcd of your own (default: one in this process)")
	f.StringVar(&o.EtcdTLS.CA, "etcd-cafile", "", "certificate authority of that etcd")
	f.StringVar(&o.EtcdTLS.Cert, "etcd-certfile", "", "client certificate for that etcd")
	f.StringVar(&o.EtcdTLS.Key, "etcd-keyfile", "", "key of the client certificate")
	f.StringSliceVar(&o.DNS.Listen, "dns-listen", []string{"127.0.0.1:5353"}, "HOST:PORT to answer DNS on, once there is something to answer (off: nowhere)")
	f.StringVar(&o.DNS.Database, "dns-geo-database", "", "mmdb with the places of networks: GeoLite2 or DB-IP, City or Country (default: the countries in this binary)")
	f.StringVar(&o.DNS.Resolver, "dns-resolver", "", "HOST:PORT to look up load balancers and delegations at (default: the system's)")
	f.IntVar(&o.DNS.RateLimit, "dns-rate-limit", 200, "equal answers per second to one network of clients (0: no limit)")
	f.StringSliceVar(&o.DNS.Names.Suffixes, "dns-zones-under", nil, "suffixes of hostnames below which a DNSZone is made for the first namespace that has a GlobalRoute there, as apps.example.com (*: any; default: none)")
	f.DurationVar(&o.DNS.Names.Grace, "dns-name-grace", time.Hour, "how long a hostname stays its namespace's after its last GlobalRoute has gone")
	f.IntVar(&o.DNS.Names.Hosts, "dns-hosts-per-namespace", 1000, "hostnames that the GlobalRoutes of a namespace may have together, those in their grace time among them")
	f.IntVar(&o.DNS.Names.Zones, "dns-zones-per-namespace", 20, "DNSZones that are made for one namespace")
	f.StringSliceVar(&probe, "probe-networks", nil, "networks that health checks of GlobalRoutes may reach although they are private or loopback, as 10.20.0.0/16")
	f.DurationVar(&o.FailoverAfter, "failover-after", 30*time.Second, "how long a cluster has to be out of reach before its replicas fail over to others (0: never)")
	f.StringVar(&o.Place.Provider, "provider", "", "the cloud that the hub is in, for Residencies: it stores every object")
	f.StringVar(&o.Place.Region, "region", "", "the region that the hub is in")
	f.StringVar(&o.Place.Continent, "continent", "", "the continent that the hub is in: AF, AN, AS, EU, NA, OC or SA (default: that of the region)")
	f.StringSliceVar(&propagation, "propagation", nil, "whether objects go to members where nothing says anything else, by resource, as secrets=Needed (with what names them) or widgets.example.com=None (default: Everywhere)")
	f.StringVar(&tell, "tell-members", string(attribution.TellUser), "what a cluster's audit log shows of the user whose write at the hub led to a write there: user, audit-id or nothing")
	f.StringVar(&recorder, "flight-recorder-size", "256Mi", "how much of the disk what was decided may take, in DIR/flight, for hanse history and replay (0: nothing is recorded)")
	f.StringVar(&o.Join.Server, "join", "", "URL of a hub on the same etcd, to get its keys from if DIR has none")
	f.StringVar(&o.Join.Token, "token", "", "with --join: what hanse admin join-token prints there")
	f.StringVar(&o.Join.Authority, "ca-cert-hash", "", "with --join: sha256:… of that hub's CA")
	f.StringVar(&o.Join.Kubeconfig, "join-kubeconfig", "", "instead of these three: a kubeconfig of hanse admin kubeconfig --break-glass")
	f.StringVar(&o.Encryption.Dir, "encryption-dir", "", "directory for the keys that encrypt the database, away from it (default DIR/config)")
	f.StringVar(&o.Encryption.File, "encryption-provider-config", "", "EncryptionConfiguration to use instead, as for a KMS; read again when it changes")
	f.StringSliceVar(&o.Encryption.Resources, "encrypt", nil, "resources to encrypt from the first start on, as secrets,configmaps (default: secrets)")
	access.bind(f, &o)
	_ = cmd.MarkFlagDirname("data-dir")
	_ = cmd.MarkFlagDirname("encryption-dir")
	_ = cmd.MarkFlagFilename("dns-geo-database", "mmdb")
	return cmd
}

// joins says what is wrong with how the hub is to get its keys.
func joins(o *app.ServerOptions) error {
	if o.Join.Given() && len(o.EtcdServers) == 0 {
		return errors.New("--join is for hubs that share an etcd. Try: --etcd-servers, as the other hub has it")
	}
	return o.Join.Validate()
}

// namesAreSound says what is wrong with the settings of names.
func namesAreSound(t grant.Terms) error {
	for _, s := range t.Suffixes {
		if s != "*" && (strings.HasPrefix(s, "*.") || !route.Hostname(route.Canonical(s))) {
			return fmt.Errorf("--dns-zones-under=%s: %q is not the suffix of a hostname. Try: apps.example.com, or * for any", s, s)
		}
	}
	switch {
	case t.Grace < 0 || t.Grace > 30*24*time.Hour:
		return fmt.Errorf("--dns-name-grace=%s must be from 0 to 720h. Try: 1h", t.Grace)
	case t.Hosts < 1 || t.Hosts > 5000: // a page of the book is an object of at most a mebibyte
		return fmt.Errorf("--dns-hosts-per-namespace=%d must be from 1 to 5000. Try: 1000", t.Hosts)
	case t.Zones < 1 || t.Zones > 1000:
		return fmt.Errorf("--dns-zones-per-namespace=%d must be from 1 to 1000. Try: 20", t.Zones)
	}
	return nil
}

// leastRecorder is the smallest recording that is of use.
const leastRecorder = 1 << 20

// recorderSize reads --flight-recorder-size, in bytes.
func recorderSize(value string) (int64, error) {
	q, err := resource.ParseQuantity(value)
	if err != nil {
		return 0, fmt.Errorf("--flight-recorder-size=%s: %w. Try: 256Mi, or 0 for none", value, err)
	}
	if n := q.Value(); n == 0 || n >= leastRecorder {
		return n, nil
	}
	return 0, fmt.Errorf("--flight-recorder-size=%s is less than 1Mi. Try: 256Mi, or 0 for none", value)
}
