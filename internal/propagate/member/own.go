package member

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
)

// ownCount says whether the number of replicas in the member was set there and is to be kept. It is noted in v.rec.own until
// the total has followed.
func (v *view) ownCount() bool {
	n, share := v.rec.seen.replicas, v.want.FinalReplicas
	if !v.want.FollowsMembers || !v.want.Placed || n == nil || *n == share || !v.setThere(*n, share) || !v.accepts(*n) {
		v.rec.own = nil
		return false
	}
	v.rec.own = n
	return true
}

// setThere says who set n, which is not the share that the member is to have: the member, or the hub before it decided for
// share.
func (v *view) setThere(n, share int32) bool {
	left := v.rec.left
	if v.scaled { // nothing scales from 0, nor what the hub has moved away
		return n > 0 && share > 0 && (left == nil || n != left.Share.Replicas || share < n)
	}
	if v.rec.own != nil && *v.rec.own == n {
		return true
	}
	live := v.rec.live
	if live == nil || fieldmerge.ReadOwners(live, v1alpha1.FieldManager).Mine("spec", "replicas") {
		return false
	}
	if left != nil && left.Share.Replicas == share {
		return true // what the hub wants had arrived
	}
	taken, known := v.want.Taken[v.cluster]
	return !known || taken != n
}

// putBack is the event for drift.
func (v *view) putBack(paths []string) string {
	if n := v.rec.seen.replicas; n != nil && slices.Contains(paths, "spec.replicas") {
		return fmt.Sprintf("spec.replicas was set to %d in the cluster; reverted to %d. Try: hanse scale %s/%s %s=%d -n %s",
			*n, v.want.Share.Replicas, strings.ToLower(v.want.GVK.Kind), v.key.Name, v.cluster, *n, v.key.Namespace)
	}
	return strings.Join(paths, ", ") + " changed in the cluster; reverted"
}

// shownFields bounds a message.
const shownFields = 5

// changedBack says which fields a patch has put back.
func changedBack(patch map[string]any) string {
	paths := slices.DeleteFunc(fieldmerge.Paths(patch), func(path string) bool { return path == "metadata.uid" || path == "metadata.resourceVersion" })
	if more := len(paths) - shownFields; more > 0 {
		return fmt.Sprintf("%s and %d more fields reverted", strings.Join(paths[:shownFields], ", "), more)
	}
	return strings.Join(paths, ", ") + " reverted"
}
