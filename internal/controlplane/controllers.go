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

// runControllers runs kube-controller-manager until ctx ends. There is one of it,
// so it elects no leader, and it serves nothing: its metrics are the process's.
func runControllers(ctx context.Context, cfg Config, c datadir.Credentials) error {
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
		"--cluster-signing-cert-file=" + c.CA,
		"--cluster-signing-key-file=" + c.CAKey,
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
	}, p.controllersFlags...)
	o, err := controllersoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	sets := o.Flags(controllers.KnownControllers(), controllers.ControllersDisabledByDefault(), controllers.ControllerAliases())
	if err := parse(sets, flags); err != nil {
		return err
	}
	config, err := o.Config(ctx, controllers.KnownControllers(), controllers.ControllersDisabledByDefault(), controllers.ControllerAliases())
	if err != nil {
		return err
	}
	return controllers.Run(ctx, config.Complete())
}

// runScheduler runs kube-scheduler until ctx ends.
func runScheduler(ctx context.Context, c datadir.Credentials) error {
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
		return err
	}
	config, s, err := scheduler.Setup(ctx, o)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, config, s)
}
