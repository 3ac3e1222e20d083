package propagate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/lineage"
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

func (e *Engine) memberOf(cluster string) (*member, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if m := e.members[cluster]; m != nil {
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
	m.mu.Lock()
	for key, r := range m.records {
		if r.held != "" && r.seen.exists() {
			list.Items = append(list.Items, e.heldItem(key, r, m.approved[key] == r.seen.uid))
		}
	}
	m.mu.Unlock()
	slices.SortFunc(list.Items, func(a, b Held) int {
		return strings.Compare(a.Resource+"/"+a.Namespace+"/"+a.Name, b.Resource+"/"+b.Namespace+"/"+b.Name)
	})
	if len(list.Items) > limit {
		list.More = len(list.Items) - limit
		list.Items = list.Items[:limit]
	}
	for i := range list.Items {
		item := &list.Items[i]
		if r := e.resource(schema.ParseGroupResource(item.Resource)); r != nil {
			item.APIVersion, item.Kind = r.gvk.GroupVersion().String(), r.gvk.Kind
		}
	}
	return list, nil
}

// heldItem is what is told of a record. The member's mutex is held.
func (e *Engine) heldItem(key Key, r *record, approved bool) Held {
	hub := r.seen.mark.Origin.Hub
	return Held{
		Resource: key.GR.String(), Namespace: key.Namespace, Name: key.Name, UID: r.seen.uid,
		Hub: hub, OtherHub: hub != e.hubUID, Reason: r.held, Message: why(r.held), Since: r.heldSince.UTC(),
		Released: lasting(key, r.seen), Approved: approved,
	}
}

func why(reason lineage.Reason) string {
	switch reason {
	case lineage.AnotherHub:
		return "another hub put it there"
	case lineage.UnknownSession:
		return "this hub put it there, but its database is from an earlier time"
	case lineage.RestoredInCluster:
		return "somebody put it back there, from a backup or another cluster"
	}
	return string(reason)
}

// Approve lets the deletions of those items go on that are held now, and are the same objects. What
// came to be held since the items were listed stays held. Approvals are not stored: a
// restart of the hub forgets those that are not carried out so far. It is idempotent.
func (e *Engine) Approve(approved HeldList) (Approval, error) {
	m, err := e.memberOf(approved.Cluster)
	if err != nil {
		return Approval{}, err
	}
	var out Approval
	var keys []Key
	m.mu.Lock()
	for _, item := range approved.Items {
		key := Key{GR: schema.ParseGroupResource(item.Resource), Namespace: item.Namespace, Name: item.Name}
		r := m.records[key]
		if r == nil || r.held == "" || item.UID == "" || r.seen.uid != item.UID {
			out.Stale = append(out.Stale, key.String())
			continue
		}
		m.approved[key] = item.UID
		out.Approved++
		keys = append(keys, key)
	}
	m.version++
	m.mu.Unlock()
	m.enqueue(keys...)
	return out, nil
}
