package lineage

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Object names an object in a member. The zero Object is none.
type Object struct {
	Resource        schema.GroupResource
	Namespace, Name string // Namespace is empty for what is in none
}

// String is RESOURCE.GROUP/NAMESPACE/NAME.
func (o Object) String() string { return o.Resource.String() + "/" + o.Namespace + "/" + o.Name }

// Origin says where an object in a member comes from.
type Origin struct {
	Hub      types.UID // the hub's identity
	Session  string    // the run of the hub that made the object
	Revision uint64    // a revision of the hub's database at which the template existed
	Template types.UID // the template at the hub
	// On is the object that the mark stands on, zero in marks of earlier versions,
	// which do not say.
	On Object
}

// String is the form of the annotation:
// HUB/SESSION@REVISION/TEMPLATE/RESOURCE.GROUP/NAMESPACE/NAME. None of these can hold
// a slash: no name in a Kubernetes API can. Without On it ends after TEMPLATE.
func (o Origin) String() string {
	s := fmt.Sprintf("%s/%s@%d/%s", o.Hub, o.Session, o.Revision, o.Template)
	if o.On == (Object{}) {
		return s
	}
	return s + "/" + o.On.String()
}

const originForm = "HUB/SESSION@REVISION/TEMPLATE/RESOURCE.GROUP/NAMESPACE/NAME"

// ParseOrigin reads what String wrote.
func ParseOrigin(s string) (Origin, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 && len(parts) != 6 {
		return Origin{}, fmt.Errorf("origin %q: want %s", s, originForm)
	}
	session, revision, ok := strings.Cut(parts[1], "@")
	if !ok || parts[0] == "" || session == "" || parts[2] == "" {
		return Origin{}, fmt.Errorf("origin %q: want %s", s, originForm)
	}
	rv, err := strconv.ParseUint(revision, 10, 64)
	if err != nil {
		return Origin{}, fmt.Errorf("origin %q: revision: %w", s, err)
	}
	o := Origin{Hub: types.UID(parts[0]), Session: session, Revision: rv, Template: types.UID(parts[2])}
	if len(parts) == 6 {
		o.On = Object{Resource: schema.ParseGroupResource(parts[3]), Namespace: parts[4], Name: parts[5]}
		if o.On.Resource.Resource == "" || o.On.Name == "" {
			return Origin{}, fmt.Errorf("origin %q: want %s", s, originForm)
		}
	}
	return o, nil
}
