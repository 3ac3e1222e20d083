// Package join makes a cluster a member of a hub, by the rights of whoever has both: it
// makes a service account in the cluster and tells the hub of it. What fails is undone.
package join

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/fleet/survey"
)

// Options say which cluster joins which hub, and as what.
type Options struct {
	// Name of the Cluster at the hub.
	Name string
	// Hub and Member are how the one who joins them reaches the two; see
	// LoadKubeconfig for Member.
	Hub, Member *rest.Config
	// Provider, Region and Zones override what is discovered from the nodes.
	Provider, Region string
	Zones            []string
	// TakeOver joins a member even if it says that it belongs to another hub,
	// whose credential is revoked by that.
	TakeOver bool
	// Allow and Deny are names and patterns of namespaces in the member, beside those that the Cluster says or the API's
	// defaults: which the hub may take over although it did not make them, and which it never writes in.
	Allow, Deny []string
	// Role is what the hub's account is to be in the member; empty: what it is, or v1alpha1.RoleNamespaced in one that has
	// not joined yet. NoRBAC: it does not write roles and bindings. Namespaces are all that it may write in, with the
	// role Namespaced; none: any. NoGuard: nothing bounds what it does with these rights.
	Role       v1alpha1.AccessRole
	NoRBAC     bool
	Namespaces []string
	NoGuard    bool
	// Review, if not nil, is shown what the member has, before anything is made, and says what else is to be allowed. It may
	// block: the join waits. An error ends it.
	Review func(context.Context, Review) (allow []string, err error)
	// Timeout is how long to wait until the hub says that the member is ready;
	// 0 means a minute.
	Timeout time.Duration
	// Progress, if not nil, is told what is being done, a few words each.
	Progress func(string)
}

// Result is what Run did.
type Result struct {
	// Cluster as the hub describes it once it is ready.
	Cluster *v1alpha1.Cluster
	// Refreshed is true if the cluster was a member under that name already and
	// only its role and credential were renewed.
	Refreshed bool
}

// Plan is what Run would make.
type Plan struct {
	// InMember and AtHub are the objects, without the credential.
	InMember, AtHub []runtime.Object
	Review
	// Found is what the Cluster's status would say of the member's version, place and
	// size, and no more of it.
	Found v1alpha1.ClusterStatus
}

// Run makes a cluster a member of a hub and returns when the hub says that it
// is ready. If it fails, or ctx ends, what it made is removed again. Its
// errors are for the user.
func Run(ctx context.Context, clock clock.PassiveClock, o Options) (*Result, error) {
	j, err := newJoin(ctx, o)
	if err != nil {
		return nil, err
	}
	j.clock = clock
	held, err := j.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer j.unlock()
	if err := j.check(held); err != nil {
		return nil, err
	}
	if err := j.agree(held); err != nil {
		return nil, err
	}
	cluster, err := j.run(held)
	if j.lockLost() {
		return nil, errLockLost // what was made may be another's by now
	}
	if err != nil {
		j.undo()
		return nil, err
	}
	return &Result{Cluster: cluster, Refreshed: j.existing != nil}, nil
}

// DryRun does all of Run's checks and says what it would make; it changes
// nothing.
func DryRun(ctx context.Context, o Options) (*Plan, error) {
	j, err := newJoin(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := j.check(ctx); err != nil {
		return nil, err
	}
	found, err := survey.Read(ctx, j.member)
	if err != nil {
		return nil, j.memberError(err)
	}
	cluster := j.cluster()
	plan := &Plan{
		InMember: j.inMember(),
		Review:   j.review(ctx),
	}
	found.Fill(&plan.Found, cluster)
	cluster.Status = v1alpha1.ClusterStatus{}
	plan.AtHub = []runtime.Object{cluster}
	return plan, nil
}

// join is one run of Run, after its checks.
type join struct {
	Options
	clock    clock.PassiveClock
	hub      kubernetes.Interface
	clusters *access.ClusterClient
	member   kubernetes.Interface
	ca       []byte

	hubUID, memberUID string
	existing          *v1alpha1.Cluster      // nil: not a member yet
	granted           v1alpha1.ClusterAccess // what the hub's account may do there
	memberState
	undos []func(context.Context) error
	locks []*joinLock
	lose  context.CancelCauseFunc // ends what runs under locks
}

// newJoin finds out which clusters the two are.
func newJoin(ctx context.Context, o Options) (*join, error) {
	if err := checkName(o.Name); err != nil {
		return nil, err
	}
	if err := errors.Join(CheckPatterns(o.Allow), CheckPatterns(o.Deny)); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	j := &join{Options: o}
	if err := j.dial(); err != nil {
		return nil, err
	}
	if err := j.identify(ctx); err != nil {
		return nil, err
	}
	return j, nil
}

// check finds everything that can be known before anything is made.
func (j *join) check(ctx context.Context) error {
	if err := j.checkTaken(ctx); err != nil {
		return err
	}
	if err := j.decideAccess(); err != nil {
		return err
	}
	return j.inspectMember(ctx)
}

// dial makes the clients; nothing is sent yet, except by credential plugins.
func (j *join) dial() error {
	memberCfg := rest.CopyConfig(j.Member)
	if memberCfg.Insecure {
		return fmt.Errorf("the kubeconfig says insecure-skip-tls-verify: the hub would send its credential to whoever answers at %s. Try: put the cluster's CA certificate into the kubeconfig (certificate-authority-data)", memberCfg.Host)
	}
	if !strings.HasPrefix(memberCfg.Host, "https://") {
		return fmt.Errorf("%s is not an https:// address: the hub would send its credential in the clear. Try: a kubeconfig whose server is https://…", memberCfg.Host)
	}
	if err := rest.LoadTLSFiles(memberCfg); err != nil {
		return fmt.Errorf("cannot read a file that the kubeconfig names: %w", err)
	}
	j.ca = memberCfg.CAData
	memberCfg.QPS, memberCfg.Timeout, memberCfg.UserAgent = -1, requestTimeout, "hanse-join"
	member, err := kubernetes.NewForConfig(memberCfg)
	if err != nil {
		return fmt.Errorf("the kubeconfig of the cluster to join cannot be used: %s", access.OneLine(err.Error()))
	}
	hubCfg := rest.CopyConfig(j.Hub)
	hubCfg.QPS = -1
	hub, err := kubernetes.NewForConfig(hubCfg)
	if err != nil {
		return fmt.Errorf("the hub's kubeconfig cannot be used: %s", access.OneLine(err.Error()))
	}
	clusters, err := access.NewClusterClient(hubCfg)
	if err != nil {
		return err
	}
	j.member, j.hub, j.clusters = member, hub, clusters
	return nil
}

// cluster is the Cluster that the hub is to have.
func (j *join) cluster() *v1alpha1.Cluster {
	c := &v1alpha1.Cluster{}
	if j.existing != nil {
		c = j.existing.DeepCopy()
	}
	c.APIVersion, c.Kind = v1alpha1.GroupVersion().String(), "Cluster"
	c.Name = j.Name
	c.Finalizers = withFinalizer(c.Finalizers)
	c.Spec.Endpoint = strings.TrimSuffix(j.Member.Host, "/") + strings.TrimSuffix(j.Member.APIPath, "/")
	c.Spec.CABundle, c.Spec.TLSServerName = j.ca, j.Member.ServerName
	c.Spec.UID, c.Spec.CredentialSecret = j.memberUID, access.SecretName(j.Name)
	c.Spec.Namespaces, c.Spec.Access = j.namespaces(c.Spec.Namespaces), j.granted
	if j.Provider != "" {
		c.Spec.Provider = j.Provider
	}
	if j.Region != "" {
		c.Spec.Region = j.Region
	}
	if len(j.Zones) > 0 {
		c.Spec.Zones = j.Zones
	}
	return c
}
