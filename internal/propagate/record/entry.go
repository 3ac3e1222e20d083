package record

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Kinds of records in the ring.
const (
	kindRun        = 'R' // a World begins: decide.Options
	kindCheckpoint = 'C' // an input that rebuilds the World as it was
	kindInput      = 'I'
	kindOutcome    = 'O'
	kindWrite      = 'W'
	kindGap        = 'G' // inputs are missing: more came than could be written
)

// Outcome is what was decided about an object, whenever that is something else than before.
type Outcome struct {
	At time.Time `json:"at,omitzero"`
	// Object is RESOURCE.GROUP/NAMESPACE/NAME.
	Object     string    `json:"object"`
	UID        types.UID `json:"uid,omitempty"`
	Generation int64     `json:"generation,omitempty"`
	// Cause is what happened, in words.
	Cause    string            `json:"cause,omitempty"`
	Policy   string            `json:"policy,omitempty"`
	Decision schedule.Decision `json:"decision"`
	// Now is how many replicas clusters run meanwhile, where that is not their share, because others are not ready.
	Now map[string]int32 `json:"now,omitempty"`
	// Recording: the decision is being recorded at the hub; nothing goes to a member before that.
	Recording bool `json:"recording,omitempty"`
	// Gone: there is no object at the hub any more.
	Gone bool `json:"gone,omitempty"`
}

// Write is a request that changed something in a member, or was to.
type Write struct {
	At      time.Time `json:"at"`
	Object  string    `json:"object"`
	Cluster string    `json:"cluster"`
	Verb    string    `json:"verb"`
	// AuditID is that of the request at the hub that led to it. Whose that was the hub's audit log says, to whom may read that.
	AuditID string `json:"auditID,omitempty"`
	Error   string `json:"error,omitempty"`
}

func outcomeOf(at time.Time, cause string, p decide.Publish) Outcome {
	o := Outcome{At: at, Object: p.Key.String(), Cause: cause, Gone: p.Assignment == nil}
	if a := p.Assignment; a != nil {
		o.UID, o.Generation = a.UID, a.Object.GetGeneration()
		o.Decision, o.Recording = a.Decision, a.Undecided
		if len(a.Now) > 0 {
			o.Now = maps.Clone(a.Now)
		}
		if a.Policy != nil && a.Policy.Name != "" {
			o.Policy = a.Policy.String()
		}
	}
	return o
}

// lasting is o as JSON, but for when, why and of which generation, and its fingerprint, which is the same for outcomes that
// differ in nothing else.
func (o Outcome) lasting() (encoded []byte, fingerprint uint64, err error) {
	o.At, o.Cause, o.Generation = time.Time{}, "", 0
	if encoded, err = json.Marshal(o); err != nil {
		return nil, 0, fmt.Errorf("encode what was decided about %s: %w", o.Object, err)
	}
	sum := fnv.New64a()
	_, _ = sum.Write(encoded)
	return encoded, sum.Sum64(), nil
}

func (o Outcome) fingerprint() (uint64, error) {
	_, print, err := o.lasting()
	return print, err
}

// encode is o as JSON. lasting is what of it lasts.
func (o Outcome) encode(lasting []byte) ([]byte, error) {
	rest, err := json.Marshal(struct {
		At         time.Time `json:"at"`
		Generation int64     `json:"generation,omitempty"`
		Cause      string    `json:"cause,omitempty"`
	}{o.At, o.Generation, o.Cause})
	if err != nil {
		return nil, fmt.Errorf("encode what was decided about %s: %w", o.Object, err)
	}
	// The object comes first, where about looks for it.
	return slices.Concat(lasting[:len(lasting)-1], []byte(","), rest[1:]), nil
}

// CauseOf is what happened, in words.
func CauseOf(in decide.Input) string {
	switch in := in.(type) {
	case decide.Served, decide.Listed, decide.Remembered:
		return "the hub read its objects"
	case decide.Written:
		return "the object was written at the hub (generation " + fmt.Sprint(in.Template.Object.GetGeneration()) + ")"
	case decide.Deleted:
		return "the object was deleted at the hub"
	case decide.Unserved:
		return "the hub no longer serves " + in.GR.String()
	case decide.ClustersListed:
		return "the hub read its Clusters"
	case decide.ClusterWritten:
		return "Cluster " + in.Cluster.Name + " changed"
	case decide.ClusterDeleted:
		return "Cluster " + in.Name + " left"
	case decide.NamespacesListed, decide.NamespaceWritten, decide.NamespaceDeleted:
		return "the labels of a Namespace changed"
	case decide.PoliciesChanged:
		return policyCause(in)
	case decide.Looked:
		if in.Reached {
			return "cluster " + in.Cluster + " answered"
		}
		return "cluster " + in.Cluster + " did not answer"
	case decide.Measured:
		return "what cluster " + in.Cluster + " has free changed"
	case decide.Engaged:
		if in.Engaged {
			return "the hub connected to cluster " + in.Cluster
		}
		return "the connection to cluster " + in.Cluster + " ended"
	case decide.Read:
		return in.GR.String() + " in cluster " + in.Cluster + " were read"
	case decide.Seen:
		return "cluster " + in.Cluster + " showed a change of " + in.Key.Label()
	case decide.Begins:
		return "cluster " + in.Cluster + " begins the work"
	case decide.Lowers:
		return "cluster " + in.Cluster + " is to run fewer"
	case decide.Revised:
		return "earlier pod templates were read"
	case decide.Recorded:
		return "the decision was recorded at the hub"
	}
	return "time went by"
}

func policyCause(in decide.PoliciesChanged) string {
	var names []string
	for _, p := range in.Written {
		name := p.GetName()
		if p.GetNamespace() != "" {
			name = p.GetNamespace() + "/" + name
		}
		names = append(names, p.GetKind()+" "+name+" was written")
		if len(names) == 3 {
			break
		}
	}
	if len(in.Gone) > 0 {
		names = append(names, "a policy was deleted")
	}
	if len(names) == 0 {
		return "the hub read its policies"
	}
	return strings.Join(names, ", ")
}

// about says whether a record may be about an object, without decoding it.
func about(payload []byte, key template.Key) bool {
	return strings.Contains(string(payload[:min(len(payload), 1024)]), `"object":"`+key.String()+`"`)
}
