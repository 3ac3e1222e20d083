package record

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// input is a decide.Input as JSON: Type is its name, and of the other fields those are set that it has.
type input struct {
	Type      string                       `json:"type"`
	Key       string                       `json:"key,omitempty"` // RESOURCE.GROUP/NAMESPACE/NAME
	UID       types.UID                    `json:"uid,omitempty"`
	Cluster   string                       `json:"cluster,omitempty"`
	Resource  string                       `json:"resource,omitempty"` // RESOURCE.GROUP
	GVR       *schema.GroupVersionResource `json:"gvr,omitempty"`
	GVK       *schema.GroupVersionKind     `json:"gvk,omitempty"`
	Object    *object                      `json:"object,omitempty"`
	Objects   []object                     `json:"objects,omitempty"`
	Written   *v1alpha1.Cluster            `json:"written,omitempty"`
	Clusters  []*v1alpha1.Cluster          `json:"clusters,omitempty"`
	Labels    map[string]string            `json:"labels,omitempty"`
	Names     map[string]map[string]string `json:"names,omitempty"`
	Policies  []map[string]any             `json:"policies,omitempty"`
	Gone      []types.UID                  `json:"gone,omitempty"`
	At        *time.Time                   `json:"at,omitempty"`
	Yes       bool                         `json:"yes,omitempty"` // reached, engaged, read
	View      *capacity.View               `json:"view,omitempty"`
	Observed  *observed                    `json:"observed,omitempty"`
	Share     *template.Share              `json:"share,omitempty"`
	History   rollout.History              `json:"history,omitempty"`
	Revision  uint64                       `json:"revision,omitempty"`
	Namespace string                       `json:"namespace,omitempty"`
	Past      *remembered                  `json:"past,omitempty"`
}

// object is what decides of a template's object. It is never the content of what is not divided: no Secret, ConfigMap
// or the like is in a recording, whatever is in it. Nor are the values of environment variables.
type object struct {
	Object map[string]any `json:"object"`
	Hash   uint64         `json:"hash"` // of its content
	// SameSpec: its spec is as it was recorded last.
	SameSpec bool `json:"sameSpec,omitempty"`
	// Revision of its pod template, which does not follow from what is recorded of that; empty in older recordings.
	Revision string `json:"revision,omitempty"`
	// Names are the Secrets and ConfigMaps that it names, most of which are in what is not recorded of it.
	Names []string `json:"names,omitempty"`
}

// encoder makes JSON of inputs. It knows which specs it has encoded: most of what is written at the hub after an object was made
// is annotations and status. What begins where nothing of before can be read needs another encoder.
type encoder struct {
	specs map[template.Key]any
}

func newEncoder() *encoder { return &encoder{specs: map[template.Key]any{}} }

// written is encodeObject, without a spec that is as it was.
func (c *encoder) written(t *template.Template) *object {
	o := encodeObject(t)
	spec, has := o.Object["spec"]
	before, known := c.specs[t.Key]
	if c.note(t.Key, o); has && known && fieldmerge.Equal(spec, before) {
		o.SameSpec = true
		delete(o.Object, "spec")
	}
	return o
}

// note notes the spec of what is encoded.
func (c *encoder) note(key template.Key, o *object) {
	if spec, has := o.Object["spec"]; has {
		c.specs[key] = spec
	} else {
		delete(c.specs, key)
	}
}

// encodeObject leaves of a template what decides.
func encodeObject(t *template.Template) *object {
	metadata := map[string]any{
		"name": t.Key.Name, "uid": string(t.UID), "resourceVersion": t.Object.GetResourceVersion(),
		"generation": t.Object.GetGeneration(), "creationTimestamp": t.Created.UTC().Format(time.RFC3339),
	}
	if t.Key.Namespace != "" {
		metadata["namespace"] = t.Key.Namespace
	}
	if at := t.Object.GetDeletionTimestamp(); at != nil {
		metadata["deletionTimestamp"] = at.UTC().Format(time.RFC3339)
	}
	if labels := t.Object.GetLabels(); len(labels) > 0 {
		metadata["labels"] = anyOf(labels)
	}
	if annotations := decidingAnnotations(t.Object.GetAnnotations()); len(annotations) > 0 {
		metadata["annotations"] = anyOf(annotations)
	}
	out := map[string]any{"apiVersion": t.GVK.GroupVersion().String(), "kind": t.GVK.Kind, "metadata": metadata}
	whole := t.Object.Object
	switch {
	case t.Division != kinds.Everywhere, t.Scaler != nil, t.Key.GR == template.Budgets(), t.Quota != nil:
		copyField(out, whole, "spec")
	case t.Key.GR == template.PriorityClasses():
		copyField(out, whole, "value")
		copyField(out, whole, "globalDefault")
	}
	if t.StaysPut() {
		copyField(out, whole, "status")
	}
	recorded := &object{Object: withoutValues(out), Hash: t.Content.Hash, Revision: t.Content.Revision}
	for _, name := range t.Names {
		recorded.Names = append(recorded.Names, name.String())
	}
	return recorded
}

// decidingAnnotations are those that Hanse or Federation v1 reads. Others may have anything in them, such as
// what kubectl apply keeps of a Secret.
func decidingAnnotations(all map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range all {
		domain, _, _ := strings.Cut(name, "/")
		if domain == v1alpha1.GroupVersion().Group || strings.HasSuffix(domain, "federation.kubernetes.io") || strings.HasPrefix(domain, "federation.") || name == rollout.ChangeCause {
			out[name] = value
		}
	}
	return out
}

func anyOf(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func copyField(to, from map[string]any, field string) {
	if v, ok := from[field]; ok {
		to[field] = v
	}
}

// observed is a decide.Observed as JSON, with the content of Left by its hash.
type observed struct {
	*decide.Observed
	Left    *template.Target `json:"Left,omitempty"` // without its content
	Content uint64           `json:"content,omitempty"`
}

func encodeObserved(key template.Key, o *decide.Observed) *observed {
	if o == nil {
		return nil
	}
	cut := *o
	cut.Left, cut.Dropped = nil, nil
	cut.Spec = flat(o.Spec)
	if !shown(key) {
		cut.Spec, cut.Status, cut.Waits, cut.Fault = nil, nil, "", nil
	}
	out := &observed{Observed: &cut}
	if o.Left != nil {
		left := *o.Left
		if left.Content != nil {
			out.Content = left.Content.Hash
		}
		left.Content = nil
		out.Left = &left
	}
	return out
}

// shown says whether anything is decided by what members show of an object.
func shown(key template.Key) bool {
	return kinds.DivisionOf(key.GR, nil) != kinds.Everywhere || key.GR == template.Autoscalers().GroupResource() || key.GR == template.Quotas()
}

// flat is a spec without its pod template, of which nothing is read.
func flat(spec map[string]any) map[string]any {
	if spec == nil {
		return nil
	}
	out := maps.Clone(spec)
	delete(out, "template")
	return withoutValues(out)
}

// encode is in as JSON.
func (c *encoder) encode(in decide.Input) ([]byte, error) {
	e := input{Type: typeOf(in)}
	switch in := in.(type) {
	case decide.Served:
		e.GVR, e.GVK = &in.GVR, &in.GVK
	case decide.Unserved:
		e.Resource = in.GR.String()
	case decide.Listed:
		e.Resource = in.GR.String()
		for _, t := range in.Templates {
			o := encodeObject(t)
			c.note(t.Key, o)
			e.Objects = append(e.Objects, *o)
		}
	case decide.Written:
		e.Key, e.Object = in.Template.Key.String(), c.written(in.Template)
	case decide.Deleted:
		e.Key, e.UID = in.Key.String(), in.UID
		delete(c.specs, in.Key)
	case decide.ClustersListed:
		for _, c := range in.Clusters {
			e.Clusters = append(e.Clusters, slimCluster(c))
		}
	case decide.ClusterWritten:
		e.Written = slimCluster(in.Cluster)
	case decide.ClusterDeleted:
		e.Cluster = in.Name
	case decide.NamespacesListed:
		e.Names = in.Labels
	case decide.NamespaceWritten:
		e.Namespace, e.Labels = in.Name, in.Labels
	case decide.NamespaceDeleted:
		e.Namespace = in.Name
	case decide.PoliciesChanged:
		e.Gone = in.Gone
		for _, p := range in.Written {
			slim := p.DeepCopy()
			slim.SetManagedFields(nil)
			e.Policies = append(e.Policies, withoutValues(slim.Object))
		}
	case decide.Looked:
		e.Cluster, e.At, e.Yes = in.Cluster, &in.Began, in.Reached
	case decide.Measured:
		e.Cluster, e.View = in.Cluster, in.View
	case decide.Engaged:
		e.Cluster, e.Yes = in.Cluster, in.Engaged
	case decide.Read:
		e.Cluster, e.Resource, e.Yes = in.Cluster, in.GR.String(), in.Read
	case decide.Seen:
		e.Cluster, e.Key, e.Observed = in.Cluster, in.Key.String(), encodeObserved(in.Key, in.Observed)
	case decide.Begins:
		e.Cluster, e.Key, e.UID, e.Share = in.Cluster, in.Key.String(), in.UID, &in.Share
	case decide.Lowers:
		e.Cluster, e.Key, e.UID, e.Observed, e.Share = in.Cluster, in.Key.String(), in.UID, encodeObserved(in.Key, in.Observed), &template.Share{Replicas: in.Replicas}
	case decide.Revised:
		e.UID, e.History = in.UID, slimHistory(in.History)
	case decide.Recorded:
		e.Key, e.UID, e.Revision = in.Key.String(), in.UID, in.Revision
	case decide.Remembered:
		e.Past = encodeRemembered(in)
	case decide.Tick:
	default:
		return nil, fmt.Errorf("an input %T cannot be recorded", in)
	}
	return json.Marshal(e)
}

// slimCluster is a Cluster without managedFields, which decide nothing and are long.
func slimCluster(c *v1alpha1.Cluster) *v1alpha1.Cluster {
	slim := *c
	slim.ManagedFields = nil
	return &slim
}

// typeOf is the name of an input's type.
func typeOf(in decide.Input) string {
	name := fmt.Sprintf("%T", in)
	return name[strings.LastIndex(name, ".")+1:]
}

// decoder makes inputs of what encode wrote. It knows the templates that it has made, by which contents are found.
type decoder struct {
	templates map[template.Key]*template.Template
}

func newDecoder() *decoder {
	return &decoder{templates: map[template.Key]*template.Template{}}
}

func (d *decoder) decode(data []byte) (decide.Input, error) {
	var e input
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("a recorded input: %w", err)
	}
	gr := schema.ParseGroupResource(e.Resource)
	key, _ := template.ParseKey(e.Key)
	switch e.Type {
	case "Served":
		if e.GVR == nil || e.GVK == nil {
			return nil, fmt.Errorf("a recorded input Served has no resource")
		}
		return decide.Served{GVR: *e.GVR, GVK: *e.GVK}, nil
	case "Unserved":
		return decide.Unserved{GR: gr}, nil
	case "Listed":
		return d.listed(gr, e.Objects)
	case "Written":
		t, err := d.template(key.GR, e.Object)
		return decide.Written{Template: t}, err
	case "Deleted":
		delete(d.templates, key)
		return decide.Deleted{Key: key, UID: e.UID}, nil
	case "ClustersListed":
		return decide.ClustersListed{Clusters: e.Clusters}, nil
	case "ClusterWritten":
		if e.Written == nil {
			return nil, fmt.Errorf("a recorded input ClusterWritten has no Cluster")
		}
		return decide.ClusterWritten{Cluster: e.Written}, nil
	case "ClusterDeleted":
		return decide.ClusterDeleted{Name: e.Cluster}, nil
	case "NamespacesListed":
		return decide.NamespacesListed{Labels: e.Names}, nil
	case "NamespaceWritten":
		return decide.NamespaceWritten{Name: e.Namespace, Labels: e.Labels}, nil
	case "NamespaceDeleted":
		return decide.NamespaceDeleted{Name: e.Namespace}, nil
	case "PoliciesChanged":
		in := decide.PoliciesChanged{Gone: e.Gone}
		for _, p := range e.Policies {
			in.Written = append(in.Written, &unstructured.Unstructured{Object: whole(p).(map[string]any)})
		}
		return in, nil
	}
	return d.decodeMember(&e, gr, key)
}

// decodeMember is decode for what happened in a member, or in time.
func (d *decoder) decodeMember(e *input, gr schema.GroupResource, key template.Key) (decide.Input, error) {
	switch e.Type {
	case "Looked":
		in := decide.Looked{Cluster: e.Cluster, Reached: e.Yes}
		if e.At != nil {
			in.Began = *e.At
		}
		return in, nil
	case "Measured":
		return decide.Measured{Cluster: e.Cluster, View: e.View}, nil
	case "Engaged":
		return decide.Engaged{Cluster: e.Cluster, Engaged: e.Yes}, nil
	case "Read":
		return decide.Read{Cluster: e.Cluster, GR: gr, Read: e.Yes}, nil
	case "Seen":
		return decide.Seen{Cluster: e.Cluster, Key: key, Observed: d.observed(key, e.Observed)}, nil
	case "Begins":
		in := decide.Begins{Cluster: e.Cluster, Key: key, UID: e.UID}
		if e.Share != nil {
			in.Share = *e.Share
		}
		return in, nil
	case "Lowers":
		in := decide.Lowers{Cluster: e.Cluster, Key: key, UID: e.UID, Observed: d.observed(key, e.Observed)}
		if e.Share != nil {
			in.Replicas = e.Share.Replicas
		}
		return in, nil
	case "Revised":
		return decide.Revised{UID: e.UID, History: wholeHistory(e.History)}, nil
	case "Recorded":
		return decide.Recorded{Key: key, UID: e.UID, Revision: e.Revision}, nil
	case "Remembered":
		return d.remembered(e.Past)
	case "Tick":
		return decide.Tick{}, nil
	}
	return nil, fmt.Errorf("a recorded input is of type %q, which this version does not know. Try: the version of hanse that recorded it", e.Type)
}

func (d *decoder) listed(gr schema.GroupResource, objects []object) (decide.Input, error) {
	in := decide.Listed{GR: gr}
	for i := range objects {
		t, err := d.template(gr, &objects[i])
		if err != nil {
			return nil, err
		}
		in.Templates = append(in.Templates, t)
	}
	return in, nil
}

func (d *decoder) template(gr schema.GroupResource, o *object) (*template.Template, error) {
	if o == nil || o.Object == nil {
		return nil, fmt.Errorf("a recorded template of %s has no object", gr)
	}
	obj := &unstructured.Unstructured{Object: whole(o.Object).(map[string]any)}
	key := template.Key{GR: gr, Namespace: obj.GetNamespace(), Name: obj.GetName()}
	if o.SameSpec {
		before := d.templates[key]
		if before == nil {
			return nil, fmt.Errorf("a recorded template of %s has the spec of one that is not recorded", key)
		}
		copyField(obj.Object, before.Object.Object, "spec")
	}
	// What makes no sense in its annotations was passed over then, too.
	t, _ := template.Read(gr, obj, func(map[string]any) uint64 { return o.Hash }, d.templates[key])
	if o.Revision != "" {
		t.Content.Revision = o.Revision
	}
	if len(o.Names) > 0 {
		t.Names = nil
		for _, name := range o.Names {
			if key, ok := template.ParseKey(name); ok {
				t.Names = append(t.Names, key)
			}
		}
	}
	d.templates[key] = t
	return t, nil
}

func (d *decoder) observed(key template.Key, o *observed) *decide.Observed {
	if o == nil || o.Observed == nil {
		return nil
	}
	out := *o.Observed
	out.Status, _ = whole(out.Status).(map[string]any)
	out.Spec, _ = whole(out.Spec).(map[string]any)
	if o.Left != nil {
		left := *o.Left
		if t := d.templates[key]; t != nil && t.Content.Hash == o.Content {
			left.Content = t.Content
		} else {
			left.Content = &template.Content{Hash: o.Content} // an earlier one
		}
		out.Left = &left
	}
	return &out
}

// wholeHistory is whole for earlier pod templates.
func wholeHistory(h rollout.History) rollout.History {
	for i := range h {
		whole(h[i].Template)
	}
	return h
}

// whole is v with numbers as the API's decoders make them: integers where they are whole. It changes v.
func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, field := range v {
			v[k] = whole(field)
		}
	case []any:
		for i, item := range v {
			v[i] = whole(item)
		}
	case float64:
		if n := int64(v); float64(n) == v {
			return n
		}
	}
	return v
}
