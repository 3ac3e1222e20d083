package controlplane

import (
	"net/http"
	"time"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"

	"github.com/hanse-dev/hanse/internal/authorize"
	"github.com/hanse-dev/hanse/internal/revocation"
)

// How often requests that go on are asked about though no role or binding has changed: then RBAC says what it said. A webhook that
// authorizes tells nobody when it would say something else.
const (
	revokeRBAC    = time.Minute
	revokeWebhook = 3 * time.Second
)

// revoker ends requests whose authors have lost the right to them. Its Guard is made when the handler is, with the authorizer.
type revoker struct{ guard *revocation.Guard }

// revoke has watches and the like of a hub end with the right to them, and requests be authorized by the nearest bindings first.
func revoke(cfg Config, config *app.Config) (*revoker, error) {
	r, every, own := &revoker{}, revokeRBAC, cfg.Flags[authorizationConfig] != ""
	if own {
		every = revokeWebhook
	}
	in := config.KubeAPIs.ControlPlane.VersionedInformers.Rbac().V1()
	front := &config.Aggregator.GenericConfig.Config
	build := front.BuildHandlerChainFunc
	front.BuildHandlerChainFunc = func(h http.Handler, c *genericapiserver.Config) http.Handler {
		if !own { // else somebody else may deny first
			c.Authorization.Authorizer = authorize.New(c.Authorization.Authorizer, in)
		}
		r.guard = revocation.New(c.Authorization.Authorizer, every, cfg.Clock)
		return build(r.guard.Filter(h, c.LongRunningFunc), c)
	}
	// The authorizer reads what these keep, and they keep a change before they tell of it.
	told := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) {}, // a right more ends nothing
		UpdateFunc: func(any, any) { r.guard.Changed() },
		DeleteFunc: func(any) { r.guard.Changed() },
	}
	for _, informer := range []cache.SharedIndexInformer{in.Roles().Informer(), in.RoleBindings().Informer(), in.ClusterRoles().Informer(), in.ClusterRoleBindings().Informer()} {
		if _, err := informer.AddEventHandler(told); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// start has it run as long as the API server does.
func (r *revoker) start(s *genericapiserver.GenericAPIServer) error {
	return s.AddPostStartHook("hanse-revocation", func(hook genericapiserver.PostStartHookContext) error {
		go r.guard.Run(hook.Context)
		return nil
	})
}
