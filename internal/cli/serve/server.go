package serve

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/app"
)

// NewServerCommand is hanse server: the hub alone, in the foreground.
func NewServerCommand(s genericiooptions.IOStreams) *cobra.Command {
	var o app.ServerOptions
	cmd := &cobra.Command{
		Use:   "server --data-dir DIR",
		Short: "Run a hub in the foreground",
		Long: `Run a hub: the API server of a federation, with its own etcd. It needs nothing
but a directory, and ends in order on SIGTERM or Ctrl-C. The administrator's
kubeconfig is DIR/admin.kubeconfig, context federation.`,
		Example: `  hanse server --data-dir /var/lib/hanse
  hanse server --data-dir hub --listen 127.0.0.1:0
  hanse server --data-dir hub --etcd-servers https://10.0.0.5:2379 --etcd-cafile ca.crt \
    --etcd-certfile client.crt --etcd-keyfile client.key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.DataDir == "" {
				return errors.New("a hub needs a directory. Try: hanse server --data-dir DIR")
			}
			if o.FailoverAfter != 0 && o.FailoverAfter < time.Second {
				return fmt.Errorf("--failover-after=%s is too short to tell a lost cluster from a lost packet. Try: 5s, or 0 for never", o.FailoverAfter)
			}
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
	f.DurationVar(&o.FailoverAfter, "failover-after", 30*time.Second, "how long a cluster has to be out of reach before its replicas fail over to others (0: never)")
	_ = cmd.MarkFlagDirname("data-dir")
	_ = cmd.MarkFlagFilename("dns-geo-database", "mmdb")
	return cmd
}
