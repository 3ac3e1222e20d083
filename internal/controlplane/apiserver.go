package controlplane

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hanse-dev/hanse/internal/attribution"
	"github.com/hanse-dev/hanse/internal/attribution/record"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	encryptioncontroller "k8s.io/apiserver/pkg/server/options/encryptionconfig/controller"
	"k8s.io/client-go/tools/cache"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// drainTimeout is how long requests may go on once the API server stops.
const drainTimeout = 3 * time.Second

// apiServer is a kube-apiserver that is ready to run.
type apiServer struct{ run func(context.Context) error }

// newAPIServer builds the API server; nothing is served before run.
func newAPIServer(ctx context.Context, cfg Config, dir *datadir.Dir, c datadir.Credentials, listener net.Listener, etcd []string) (*apiServer, error) {
	flags, err := apiServerFlags(cfg, dir, c, etcd)
	if err != nil {
		return nil, err
	}
	o := options.NewServerRunOptions()
	if err := parse(o.Flags(), flags); err != nil {
		return nil, err
	}
	register(o.Admission.GenericAdmission, cfg.Admission)
	o.SecureServing.Listener = listener
	o.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	if o.InformerName, err = cache.NewInformerName("kube-apiserver"); err != nil {
		return nil, err
	}
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	completed, err := o.Complete(ctx)
	if err != nil {
		return nil, err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return nil, utilerrors.NewAggregate(errs)
	}
	encryptioncontroller.EncryptionConfigFileChangePollDuration = keysEvery // upstream has no other way to set it
	return assemble(cfg, completed)
}

func assemble(cfg Config, completed options.CompletedOptions) (*apiServer, error) {
	config, err := app.NewConfig(completed)
	if err != nil {
		return nil, err
	}
	var ends *revoker
	if cfg.Role == Hub { // first, so that it is around all that goes on
		if ends, err = revoke(cfg, config); err != nil {
			return nil, err
		}
	}
	if cfg.Filter != nil {
		wrapHandler(config, cfg.Filter)
	}
	if cfg.Authors != nil {
		recordAuthors(config, cfg.Authors)
	}
	complete, err := config.Complete()
	if err != nil {
		return nil, err
	}
	chain, err := app.CreateServerChain(complete)
	if err != nil {
		return nil, err
	}
	chain.GenericAPIServer.ShutdownTimeout = drainTimeout
	if ends != nil {
		if err := ends.start(chain.GenericAPIServer); err != nil {
			return nil, err
		}
	}
	for _, ready := range cfg.ReadyChecks {
		check := healthz.NamedCheck(ready.Name, func(*http.Request) error { return ready.Check() })
		if err := chain.GenericAPIServer.AddReadyzChecks(check); err != nil {
			return nil, err
		}
	}
	prepared, err := chain.PrepareRun()
	if err != nil {
		return nil, err
	}
	return &apiServer{run: prepared.Run}, nil
}

// register has the API server run further admission plugins, after upstream's.
func register(o *genericoptions.AdmissionOptions, plugins []AdmissionPlugin) {
	for _, p := range plugins {
		o.Plugins.Register(p.Name, p.New)
		o.RecommendedPluginOrder = append(slices.Clone(o.RecommendedPluginOrder), p.Name) // it is upstream's, of the whole process
	}
}

// wrapHandler wraps the handler of all requests, inside authentication and authorization.
func wrapHandler(config *app.Config, filter func(http.Handler) http.Handler) {
	front := &config.Aggregator.GenericConfig.Config
	build := front.BuildHandlerChainFunc
	front.BuildHandlerChainFunc = func(h http.Handler, c *genericapiserver.Config) http.Handler {
		return build(filter(h), c)
	}
}

// recordAuthors has the authors of all writes remembered, to built-in and custom resources alike.
func recordAuthors(config *app.Config, authors *attribution.Authors) {
	rec := record.New(authors, datadir.ServerUser, datadir.ControllersUser, datadir.SchedulerUser, user.APIServerUser)
	wrapHandler(config, rec.Filter)
	for _, server := range []*genericapiserver.Config{
		config.KubeAPIs.ControlPlane.Generic, &config.ApiExtensions.GenericConfig.Config, &config.Aggregator.GenericConfig.Config,
	} {
		server.AdmissionControl = rec.Admission(server.AdmissionControl)
	}
}

// apiServerFlags are the flags as kube-apiserver's documentation has them.
func apiServerFlags(cfg Config, dir *datadir.Dir, c datadir.Credentials, etcd []string) ([]string, error) {
	p := cfg.Role.profile()
	access, err := accessFlags(cfg, dir)
	if err != nil {
		return nil, err
	}
	flags := append(access,
		"--etcd-servers="+strings.Join(etcd, ","),
		"--etcd-cafile="+cfg.EtcdTLS.CA,
		"--etcd-certfile="+cfg.EtcdTLS.Cert,
		"--etcd-keyfile="+cfg.EtcdTLS.Key,
		"--client-ca-file="+c.CA,
		"--tls-cert-file="+c.Serving,
		"--tls-private-key-file="+c.ServingKey,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+c.ServiceAccountKey,
		"--service-account-signing-key-file="+c.ServiceAccountKey,
		"--service-cluster-ip-range="+serviceRange,
		"--allow-privileged=true",
		"--profiling=true", // /debug/pprof, for administrators
		// Nobody reaches the API server by the Service "kubernetes": it has no
		// endpoints, and no lease is renewed for them.
		"--endpoint-reconciler-type=none",
		"--advertise-address=127.0.0.1",
		"--shutdown-delay-duration=0s",
	)
	flags = append(flags, p.apiserver...)
	if cfg.EmulatedVersion != "" {
		flags = append(flags, "--emulated-version="+cfg.EmulatedVersion)
	}
	if p.encrypt {
		flags = append(flags, "--encryption-provider-config="+dir.EncryptionFile(), "--encryption-provider-config-automatic-reload=true")
	}
	if p.audit || cfg.Audit {
		policy, err := dir.WriteAuditPolicy()
		if err != nil {
			return nil, err
		}
		flags = append(flags,
			"--audit-policy-file="+policy,
			"--audit-log-path="+dir.Path("audit", "audit.log"),
			"--audit-log-maxsize=50", // MiB
			"--audit-log-maxbackup=10",
			"--audit-log-maxage=90", // days
		)
	}
	return append(flags, cfg.passedOn()...), nil // the last one counts
}

// parse sets what the flags say in the options that the sets were made from.
func parse(sets cliflag.NamedFlagSets, flags []string) error {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, set := range sets.FlagSets {
		all.AddFlagSet(set)
	}
	if err := all.Parse(flags); err != nil {
		return fmt.Errorf("configuring an embedded server: %w", err)
	}
	return nil
}
