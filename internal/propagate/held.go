package propagate

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/member"
)

// Held is an object in a member that came from a hub, and that stays there until somebody approves of
// its deletion.
type Held struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Resource   string    `json:"resource"` // RESOURCE.GROUP
	Namespace  string    `json:"namespace,omitempty"`
	Name       string    `json:"name"`
	UID        types.UID `json:"uid"`
	// Hub is the hub that it came from; OtherHub, that it is not this one.
	Hub      types.UID      `json:"hub"`
	OtherHub bool           `json:"otherHub,omitempty"`
	Reason   lineage.Reason `json:"reason"`
	Message  string         `json:"message"` // the reason in words
	Since    time.Time      `json:"since"`
	// Released: it is not deleted but let go, because others' objects are in it.
	Released bool `json:"released,omitempty"`
	// Approved: somebody has approved of its deletion, which is under way.
	Approved bool `json:"approved,omitempty"`
}

// HeldList is what is held in a cluster, by resource, namespace and name. It is also the
// approval of the deletion of its items, which Resource, Namespace, Name and UID name.
type HeldList struct {
	Cluster string `json:"cluster"`
	Items   []Held `json:"items"`
	// More is how many are held beyond Items.
	More int `json:"more,omitempty"`
}

// Approval is what became of a HeldList that somebody approved of.
type Approval struct {
	Approved int `json:"approved"`
	// Stale are those that were not held any more, or were other objects by then, as
	// RESOURCE.GROUP/NAMESPACE/NAME.
	Stale []string `json:"stale,omitempty"`
}

// longestHeldList bounds a HeldList; what is held beyond it is listed when that is gone.
const longestHeldList = 5000

func (e *Engine) memberOf(cluster string) (*member.Member, error) {
	if m := e.published.member(cluster); m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("there is no cluster %s. Try: hanse clusters", cluster)
}

// Held lists what is held in a cluster, at most limit objects. It does not ask the member.
func (e *Engine) Held(cluster string, limit int) (HeldList, error) {
	m, err := e.memberOf(cluster)
	if err != nil {
		return HeldList{}, err
	}
	list := HeldList{Cluster: cluster, Items: []Held{}}
	withheld, more := m.Withheld(limit)
	list.More = more
	for _, w := range withheld {
		item := Held{
			Resource: w.Key.GR.String(), Namespace: w.Key.Namespace, Name: w.Key.Name, UID: w.UID,
			Hub: w.Hub, OtherHub: w.Hub != e.options.HubUID, Reason: w.Reason, Message: w.Message(), Since: w.Since,
			Released: w.Released, Approved: w.Approved,
		}
		if r, ok := e.published.Resource(w.Key.GR); ok {
			item.APIVersion, item.Kind = r.GVK.GroupVersion().String(), r.GVK.Kind
		}
		list.Items = append(list.Items, item)
	}
	return list, nil
}

// Approve lets the deletions of those items go on that are held now, and are the same objects. What
// came to be held since the items were listed stays held. Approvals are not stored: a
// restart of the hub forgets those that are not carried out yet. It is idempotent.
func (e *Engine) Approve(approved HeldList) (Approval, error) {
	m, err := e.memberOf(approved.Cluster)
	if err != nil {
		return Approval{}, err
	}
	var out Approval
	for _, item := range approved.Items {
		key := Key{GR: schema.ParseGroupResource(item.Resource), Namespace: item.Namespace, Name: item.Name}
		if m.Approve(key, item.UID) {
			out.Approved++
		} else {
			out.Stale = append(out.Stale, key.String())
		}
	}
	return out, nil
}
