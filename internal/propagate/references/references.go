// Package references reads which Secrets and ConfigMaps an object names: those that have to be where it is. It is pure.
//
// What is read is what Kubernetes' own kinds and the Gateway API say, and the pod template of any kind that has one where
// Deployments have theirs, so that custom resources that run pods count, too. Fields of other kinds that name a Secret are not
// known here: no two of them look alike.
//
// A name counts in the namespace of the object that says it. Only kinds that are in no namespace, which an administrator writes,
// may name what is in one. So nobody has the Secret of somebody else go anywhere by naming it.
package references

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Name is a Secret or ConfigMap that is named.
type Name struct {
	GR        schema.GroupResource
	Namespace string
	Name      string
}

// Secrets and ConfigMaps are the resources of what is named.
func Secrets() schema.GroupResource { return schema.GroupResource{Resource: "secrets"} }

// ConfigMaps is the other one.
func ConfigMaps() schema.GroupResource { return schema.GroupResource{Resource: "configmaps"} }

// Named says whether objects of a resource are such that others name them.
func Named(gr schema.GroupResource) bool { return gr == Secrets() || gr == ConfigMaps() }

// Of is what an object of a resource names, in order and each once. It takes time and memory in proportion to the object, and
// nothing else: of what makes no sense, nothing is read. obj is not changed, nor kept.
func Of(gr schema.GroupResource, obj map[string]any) []Name {
	r := reader{namespace: text(obj, "metadata", "namespace")}
	switch gr.Group {
	case "":
		r.core(gr.Resource, obj)
	case "batch":
		r.pods(object(obj, "spec", "jobTemplate", "spec", "template", "spec"))
		r.pods(object(obj, "spec", "template", "spec"))
	case "networking.k8s.io":
		r.ingress(gr.Resource, obj)
	case "gateway.networking.k8s.io":
		r.gateway(gr.Resource, obj)
	case "storage.k8s.io":
		r.storageClass(gr.Resource, obj)
	default:
		r.pods(object(obj, "spec", "template", "spec"))
	}
	return r.all()
}

// reader gathers names.
type reader struct {
	namespace string
	names     []Name
}

// all is what was gathered, in order and each once; nil: nothing.
func (r *reader) all() []Name {
	slices.SortFunc(r.names, func(a, b Name) int {
		return cmp.Or(strings.Compare(a.GR.Resource, b.GR.Resource), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return slices.Clip(slices.Compact(r.names))
}

func (r *reader) secret(name string) { r.in(Secrets(), r.namespace, name) }

func (r *reader) configMap(name string) { r.in(ConfigMaps(), r.namespace, name) }

func (r *reader) in(gr schema.GroupResource, namespace, name string) {
	if namespace != "" && name != "" {
		r.names = append(r.names, Name{gr, namespace, name})
	}
}

// core reads kinds of the core group.
func (r *reader) core(resource string, obj map[string]any) {
	switch resource {
	case "pods":
		r.pods(object(obj, "spec"))
	case "podtemplates":
		r.pods(object(obj, "template", "spec"))
	case "serviceaccounts":
		for _, one := range list(obj, "imagePullSecrets") {
			r.secret(text(one, "name"))
		}
		for _, one := range list(obj, "secrets") {
			r.secret(text(one, "name"))
		}
	case "persistentvolumes":
		r.volumeSecrets(object(obj, "spec"))
	default:
		r.pods(object(obj, "spec", "template", "spec"))
	}
}

// pods reads a pod spec.
func (r *reader) pods(spec map[string]any) {
	if len(spec) == 0 {
		return
	}
	for _, one := range list(spec, "imagePullSecrets") {
		r.secret(text(one, "name"))
	}
	for _, field := range []string{"containers", "initContainers", "ephemeralContainers"} {
		for _, container := range list(spec, field) {
			r.container(container)
		}
	}
	for _, volume := range list(spec, "volumes") {
		r.volume(volume)
	}
}

func (r *reader) container(container map[string]any) {
	for _, one := range list(container, "envFrom") {
		r.secret(text(one, "secretRef", "name"))
		r.configMap(text(one, "configMapRef", "name"))
	}
	for _, one := range list(container, "env") {
		r.secret(text(one, "valueFrom", "secretKeyRef", "name"))
		r.configMap(text(one, "valueFrom", "configMapKeyRef", "name"))
	}
}

func (r *reader) volume(volume map[string]any) {
	r.secret(text(volume, "secret", "secretName"))
	r.configMap(text(volume, "configMap", "name"))
	for _, source := range list(volume, "projected", "sources") {
		r.secret(text(source, "secret", "name"))
		r.configMap(text(source, "configMap", "name"))
	}
	r.secret(text(volume, "csi", "nodePublishSecretRef", "name"))
	r.secret(text(volume, "azureFile", "secretName"))
	for _, driver := range []string{"cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"} {
		r.secret(text(volume, driver, "secretRef", "name"))
	}
}

// volumeSecrets reads a PersistentVolume's spec, which is in no namespace.
func (r *reader) volumeSecrets(spec map[string]any) {
	for _, field := range []string{"controllerExpandSecretRef", "controllerPublishSecretRef", "nodeExpandSecretRef", "nodePublishSecretRef", "nodeStageSecretRef"} {
		r.in(Secrets(), text(spec, "csi", field, "namespace"), text(spec, "csi", field, "name"))
	}
	r.in(Secrets(), text(spec, "azureFile", "secretNamespace"), text(spec, "azureFile", "secretName"))
	for _, driver := range []string{"cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"} {
		r.in(Secrets(), text(spec, driver, "secretRef", "namespace"), text(spec, driver, "secretRef", "name"))
	}
}

// storageClass reads the parameters by which drivers for volumes are told of Secrets. Those that are worked out for each claim
// are not known here.
func (r *reader) storageClass(resource string, obj map[string]any) {
	if resource != "storageclasses" {
		return
	}
	parameters := object(obj, "parameters")
	for key := range parameters {
		of, found := strings.CutSuffix(key, "-name")
		if !found || !strings.HasPrefix(key, "csi.storage.k8s.io/") || !strings.HasSuffix(of, "-secret") {
			continue
		}
		namespace, name := text(parameters, of+"-namespace"), text(parameters, key)
		if !strings.Contains(namespace+name, "$") {
			r.in(Secrets(), namespace, name)
		}
	}
}

// ingress reads an Ingress, with the annotations of its commonest controller.
func (r *reader) ingress(resource string, obj map[string]any) {
	if resource != "ingresses" {
		return
	}
	for _, one := range list(obj, "spec", "tls") {
		r.secret(text(one, "secretName"))
	}
	annotations := object(obj, "metadata", "annotations")
	for _, key := range []string{"auth-secret", "auth-tls-secret", "proxy-ssl-secret"} {
		value := text(annotations, "nginx.ingress.kubernetes.io/"+key)
		if namespace, name, both := strings.Cut(value, "/"); !both {
			r.secret(value)
		} else if namespace == r.namespace {
			r.secret(name)
		}
	}
}

// gateway reads kinds of the Gateway API. What a Gateway may use of another namespace, a ReferenceGrant in that one says: so
// that has the Secret go where the grant is, and the Gateway has no say in it.
func (r *reader) gateway(resource string, obj map[string]any) {
	switch resource {
	case "gateways":
		for _, listener := range list(obj, "spec", "listeners") {
			r.references(listener, "tls", "certificateRefs")
			r.references(listener, "tls", "frontendValidation", "caCertificateRefs")
		}
		r.references(obj, "spec", "tls", "frontend", "default", "validation", "caCertificateRefs")
		for _, port := range list(obj, "spec", "tls", "frontend", "perPort") {
			r.references(port, "tls", "validation", "caCertificateRefs")
		}
		r.reference(object(obj, "spec", "tls", "backend", "clientCertificateRef"))
		r.reference(object(obj, "spec", "backendTLS", "clientCertificateRef"))
	case "backendtlspolicies":
		r.references(obj, "spec", "validation", "caCertificateRefs")
	case "referencegrants":
		r.references(obj, "spec", "to")
	}
}

func (r *reader) references(obj map[string]any, path ...string) {
	for _, one := range list(obj, path...) {
		r.reference(one)
	}
}

// reference reads what has a group, a kind and a name, and is a Secret where it says nothing else.
func (r *reader) reference(ref map[string]any) {
	if text(ref, "group") != "" {
		return
	}
	if namespace := text(ref, "namespace"); namespace != "" && namespace != r.namespace {
		return
	}
	switch text(ref, "kind") {
	case "Secret", "":
		r.secret(text(ref, "name"))
	case "ConfigMap":
		r.configMap(text(ref, "name"))
	}
}

// object is the map at a path; nil if there is none.
func object(obj map[string]any, path ...string) map[string]any {
	for _, field := range path {
		obj, _ = obj[field].(map[string]any)
	}
	return obj
}

// text is the string at a path; empty if there is none.
func text(obj map[string]any, path ...string) string {
	last := len(path) - 1
	s, _ := object(obj, path[:last]...)[path[last]].(string)
	return s
}

// list is the maps in the list at a path.
func list(obj map[string]any, path ...string) (all []map[string]any) {
	last := len(path) - 1
	items, _ := object(obj, path[:last]...)[path[last]].([]any)
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}
