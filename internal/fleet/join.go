package fleet

import (
	"context"
	"errors"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// JoinOptions say which cluster joins which hub, and as what.
type JoinOptions struct {
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
	// Timeout is how long to wait until the hub says that the member is ready;
	// 0 means a minute.
	Timeout time.Duration
	// Progress, if not nil, is told what is being done, a few words each.
	Progress func(string)
}

// JoinResult is what Join did.
type JoinResult struct {
	// Cluster as the hub describes it once it is ready.
	Cluster *v1alpha1.Cluster
	// Refreshed is true if the cluster was a member under that name already and
	// only its role and credential were renewed.
	Refreshed bool
}

// Join makes a cluster a member of a hub and returns when the hub says that it
// is ready. If it fails, or ctx ends, what it made is removed again. Its
// errors are for the user.
func Join(ctx context.Context, o JoinOptions) (*JoinResult, error) {
	return nil, errors.New("not there yet")
}
