package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
)

// mark is an annotation or a label by which an object steers another, or what happens in members.
type mark struct {
	key   string
	label bool
	// on says which objects it means something on; nil: all.
	on func(schema.GroupResource) bool
	// needs are the rights of whoever sets it to value, or removes it where that steers, too. object is the request.
	needs func(a admission.Attributes, value string) []right
	// check, if not nil, says what is wrong with a value.
	check func(value string) error
	// does completes a sentence: annotation hanse.dev/conflict ….
	does string
}

// steered are the marks that need a right of their own, in the order in which they are asked about. All others of hanse.dev,
// and those of Federation v1, steer nothing but the object that they are on: there it takes the right to update that.
func steered() []mark {
	return []mark{
		{
			key: v1alpha1.AnnotationConflict, does: "has the hub take over an object of this name that is in a member already",
			needs: func(a admission.Attributes, value string) []right {
				if value == "" {
					return nil
				}
				return []right{{verb: "adopt", resource: a.GetResource().GroupResource(), namespace: namespaceOf(a), name: nameOf(a)}}
			},
		},
		{
			key: v1alpha1.AnnotationGlobal, on: routed, does: "makes a GlobalRoute", needs: route,
		},
		{
			key: "k8gb.io/strategy", on: routed, does: "makes a GlobalRoute", needs: route,
		},
		{
			key: "external-dns.alpha.kubernetes.io/hostname", on: services, does: "makes a GlobalRoute", needs: route,
		},
		{
			key: "external-dns.kubernetes.io/hostname", on: services, does: "makes a GlobalRoute", needs: route,
		},
		{
			key: v1alpha1.LabelPropagation, label: true, on: is("", "namespaces"), does: "says which clusters get the Secrets and ConfigMaps of the Namespace", needs: writePolicies,
			check: func(value string) error {
				if value == "" {
					return nil
				}
				return policy.ReadPropagation(value)
			},
		},
		{
			key: v1alpha1.LabelRevisionOf, label: true, on: is("apps", "controllerrevisions"), does: "makes it a pod template that the hub gives to members", needs: updateWorkloads,
		},
		{
			key: v1alpha1.AnnotationRevision, on: is("apps", "controllerrevisions"), does: "says which pod template the hub gives to members", needs: updateWorkloads,
		},
		{
			key: v1alpha1.AnnotationOnUnjoin, on: is(v1alpha1.GroupVersion().Group, "clusters"), does: "says what becomes of the workloads in the member when the Cluster is deleted", needs: deleteCluster,
		},
		{
			key: annotationOnUnjoinForce, on: is(v1alpha1.GroupVersion().Group, "clusters"), does: "says what becomes of the Cluster while the member cannot be reached", needs: deleteCluster,
		},
	}
}

// annotationOnUnjoinForce is fleet's.
const annotationOnUnjoinForce = "hanse.dev/on-unjoin-force"

func route(a admission.Attributes, value string) []right {
	if value == "" || strings.EqualFold(value, "false") {
		return nil
	}
	return []right{{verb: "create", resource: v1alpha1.Resource("globalroutes").GroupResource(), namespace: a.GetNamespace()}}
}

// writePolicies is for what a ClusterPlacementPolicy could say, too.
func writePolicies(admission.Attributes, string) []right {
	return []right{{verb: "create", resource: v1alpha1.Resource("clusterplacementpolicies").GroupResource()}}
}

func updateWorkloads(a admission.Attributes, _ string) (all []right) {
	for _, resource := range []string{"deployments", "statefulsets", "daemonsets"} {
		all = append(all, right{verb: "update", resource: schema.GroupResource{Group: "apps", Resource: resource}, namespace: a.GetNamespace()})
	}
	return all
}

func deleteCluster(a admission.Attributes, _ string) []right {
	return []right{{verb: "delete", resource: v1alpha1.Resource("clusters").GroupResource(), name: nameOf(a)}}
}

func is(group, resource string) func(schema.GroupResource) bool {
	return func(gr schema.GroupResource) bool { return gr.Group == group && gr.Resource == resource }
}

// routed says whether GlobalRoutes are made for objects of a resource.
func routed(gr schema.GroupResource) bool {
	return services(gr) || gr.Group == "networking.k8s.io" && gr.Resource == "ingresses" || gr.Group == "gateway.networking.k8s.io" && gr.Resource == "gateways"
}

func services(gr schema.GroupResource) bool { return gr.Group == "" && gr.Resource == "services" }

// steering asks for the rights that marks need which a request sets, changes or removes.
func (p *Plugin) steering(ctx context.Context, a admission.Attributes) error {
	annotations, labels := changedMarks(a)
	if len(annotations) == 0 && len(labels) == 0 {
		return nil
	}
	for i := range p.marks {
		m := &p.marks[i]
		changed, noun := annotations, "annotation"
		if m.label {
			changed, noun = labels, "label"
		}
		value, ok := changed[m.key]
		if !ok || m.on != nil && !m.on(a.GetResource().GroupResource()) {
			continue
		}
		if m.check != nil {
			if err := m.check(value); err != nil {
				return fmt.Errorf("%s %s: %w", noun, m.key, err)
			}
		}
		for _, r := range m.needs(a, value) {
			if err := p.need(ctx, a, r, fmt.Sprintf("%s %s %s", noun, m.key, m.does)); err != nil {
				return err
			}
		}
	}
	if a.GetSubresource() == "" {
		return nil
	}
	// Several kinds let annotations be written by their status, whose writers may not write what these steer.
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		r := right{verb: "update", resource: a.GetResource().GroupResource(), namespace: namespaceOf(a), name: nameOf(a)}
		if err := p.need(ctx, a, r, fmt.Sprintf("annotation %s steers the object", key)); err != nil {
			return err
		}
	}
	return nil
}

// changedMarks are the annotations and labels that a request adds, changes or removes, with what they become, of those that
// may steer. Most objects have none, and cost two look-ups.
func changedMarks(a admission.Attributes) (annotations, labels map[string]string) {
	after, err := meta.Accessor(a.GetObject())
	if a.GetObject() == nil || err != nil {
		return nil, nil
	}
	var was metav1.ObjectMeta
	if old := a.GetOldObject(); old != nil {
		if before, err := meta.Accessor(old); err == nil {
			was.Annotations, was.Labels = before.GetAnnotations(), before.GetLabels()
		}
	}
	return changed(was.Annotations, after.GetAnnotations()), changed(was.Labels, after.GetLabels())
}

func changed(before, after map[string]string) (out map[string]string) {
	note := func(key string) {
		was, had := before[key]
		is, has := after[key]
		if had == has && was == is || !steers(key) {
			return
		}
		if out == nil {
			out = map[string]string{}
		}
		out[key] = is
	}
	for key := range after {
		note(key)
	}
	for key := range before {
		note(key)
	}
	return out
}

// steers says whether Hanse goes by annotations or labels of that name.
func steers(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	switch domain {
	case "hanse.dev", "federation.kubernetes.io", "federation.alpha.kubernetes.io", "k8gb.io", "external-dns.kubernetes.io", "external-dns.alpha.kubernetes.io":
		return true
	}
	return false
}

// nameOf is the object's name, also where the API server has yet to read it from the body.
func nameOf(a admission.Attributes) string {
	if a.GetName() != "" || a.GetObject() == nil {
		return a.GetName()
	}
	if accessor, err := meta.Accessor(a.GetObject()); err == nil {
		return accessor.GetName()
	}
	return ""
}

// namespaceOf is the namespace that the object is in: the path of a Namespace has its own name as one.
func namespaceOf(a admission.Attributes) string {
	if is("", "namespaces")(a.GetResource().GroupResource()) {
		return metav1.NamespaceNone
	}
	return a.GetNamespace()
}
