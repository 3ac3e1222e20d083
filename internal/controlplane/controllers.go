package controlplane

import (
	"context"
	"strings"

	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	controllersoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// newControllers configures kube-controller-manager. There is one of it, so it
// elects no leader, and it serves nothing: its metrics are the process's. ctx is
// that of its life.
func newControllers(ctx context.Context, cfg Config, c datadir.Credentials) (func(context.Context) error, error) {
	p := cfg.Role.profile()
	names := cfg.Controllers
	if names == nil {
		names = p.controllers
	}
	flags := append([]string{
		"--kubeconfig=" + c.Controllers,
		"--controllers=" + strings.Join(names, ","),
		"--service-account-private-key-file=" + c.ServiceAccountKey,
		"--root-ca-file=" + c.CA,
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
	}, p.controllersFlags...)
	flags = append(flags, p.signing+"-cert-file="+c.Signer, p.signing+"-key-file="+c.CAKey)
	o, err := controllersoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, err
	}
	known, off, aliases := controllers.KnownControllers(), controllers.ControllersDisabledByDefault(), controllers.ControllerAliases()
	if err := parse(o.Flags(known, off, aliases), flags); err != nil {
		return nil, err
	}
	config, err := o.Config(ctx, known, off, aliases)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return controllers.Run(ctx, config.Complete()) }, nil
}

// newScheduler configures kube-scheduler. ctx is that of its life.
func newScheduler(ctx context.Context, c datadir.Credentials) (func(context.Context) error, error) {
	o := scheduleroptions.NewOptions()
	err := parse(*o.Flags, []string{
		"--kubeconfig=" + c.Scheduler,
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
	})
	if err != nil {
		return nil, err
	}
	config, s, err := scheduler.Setup(ctx, o)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return scheduler.Run(ctx, config, s) }, nil
}
