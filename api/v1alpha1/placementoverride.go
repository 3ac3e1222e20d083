package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// Override changes objects for some clusters. Its changes are made in the order
// of the fields below. What is not in an object's kind (images of a Service) is
// skipped; what should be there and is not (a container of that name) is an
// error, and then nothing of the object is changed. Never changed are apiVersion,
// kind, status, what is in metadata besides labels and annotations, the labels and
// annotations of hanse.dev, and the selector of a workload.
//
// +kubebuilder:validation:XValidation:rule="[has(self.images), has(self.replicas), has(self.env), has(self.command), has(self.args), has(self.storageClass), has(self.labels), has(self.annotations), has(self.podLabels), has(self.podAnnotations), has(self.jsonPatch), has(self.strategicMerge)].exists(x, x)",message="an override must change something"
type Override struct {
	// name is what messages call the override; empty: its place in the list.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Name string `json:"name,omitempty"`
	// clusters that it is for; empty: all.
	// +optional
	Clusters *ClusterSelector `json:"clusters,omitempty"`
	// kinds that it is for, of those that the policy selects; empty: all.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Kinds []ObjectKind `json:"kinds,omitempty"`

	// images of containers and init containers.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Images []ImageOverride `json:"images,omitempty"`
	// replicas in each of these clusters, instead of the share that the division
	// gives it. The total at the hub stays as it is.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// env is environment variables of containers.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Env []EnvOverride `json:"env,omitempty"`
	// command of containers.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Command []ArgsOverride `json:"command,omitempty"`
	// args of containers.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Args []ArgsOverride `json:"args,omitempty"`
	// storageClass of a PersistentVolumeClaim, and of the claim templates of a
	// StatefulSet. Kubernetes lets it be chosen only when the object is created.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +optional
	StorageClass string `json:"storageClass,omitempty"`
	// labels of the object.
	// +optional
	Labels *LabelsOverride `json:"labels,omitempty"`
	// annotations of the object.
	// +optional
	Annotations *AnnotationsOverride `json:"annotations,omitempty"`
	// podLabels are those of a workload's pods, which its selector must not name.
	// +optional
	PodLabels *LabelsOverride `json:"podLabels,omitempty"`
	// podAnnotations are those of a workload's pods.
	// +optional
	PodAnnotations *AnnotationsOverride `json:"podAnnotations,omitempty"`
	// jsonPatch is applied to the object as it is then (RFC 6902).
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	JSONPatch []JSONPatchOperation `json:"jsonPatch,omitempty"`
	// StrategicMerge is a strategic merge patch for stable kinds of Kubernetes,
	// and a JSON merge patch (RFC 7386) for others, such as custom resources: there
	// lists are replaced as a whole.
	// A null deletes a field, but kubectl apply without --server-side loses nulls
	// on the way: remove of jsonPatch does not depend on it.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:Schemaless
	StrategicMerge *apiextensionsv1.JSON `json:"strategicMerge,omitempty"`
}

// ImageOverride changes parts of an image's reference, [REGISTRY/]REPOSITORY[:TAG][@DIGEST].
//
// +kubebuilder:validation:XValidation:rule="!has(self.image) || !(has(self.registry) || has(self.repository) || has(self.tag) || has(self.digest))",message="image is the whole reference: no registry, repository, tag or digest besides"
// +kubebuilder:validation:XValidation:rule="has(self.image) || has(self.registry) || has(self.repository) || has(self.tag) || has(self.digest)",message="must have image, registry, repository, tag or digest"
type ImageOverride struct {
	// container is the one whose image changes; empty: all containers and init containers.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Container string `json:"container,omitempty"`
	// image is the whole reference.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Image string `json:"image,omitempty"`
	// registry is in the form HOST[:PORT][/PATH]. The repository follows as it was written:
	// nginx becomes REGISTRY/nginx.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?)(:[0-9]+)?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`
	// +optional
	Registry string `json:"registry,omitempty"`
	// repository is what is between registry and tag, such as library/nginx.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`
	// +optional
	Repository string `json:"repository,omitempty"`
	// tag replaces the image's; a digest that was there goes, because it would win.
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_][-A-Za-z0-9_.]*$`
	// +optional
	Tag string `json:"tag,omitempty"`
	// digest is in the form sha256:…; a tag that was there goes, because it would mean nothing.
	// +kubebuilder:validation:MaxLength=135
	// +kubebuilder:validation:Pattern=`^(sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$`
	// +optional
	Digest string `json:"digest,omitempty"`
}

// EnvOverride changes environment variables.
//
// +kubebuilder:validation:XValidation:rule="has(self.set) || has(self.remove)",message="must have set or remove"
type EnvOverride struct {
	// container is the one whose environment changes; empty: all containers, init containers not.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Container string `json:"container,omitempty"`
	// set these.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Set []EnvValue `json:"set,omitempty"`
	// remove these, if they are there.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Remove []string `json:"remove,omitempty"`
}

// EnvValue is an environment variable.
type EnvValue struct {
	// name is the variable's.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[^=]+$`
	// +required
	Name string `json:"name"`
	// value is the variable's.
	// +kubebuilder:validation:MaxLength=32768
	// +required
	Value string `json:"value"`
}

// ArgsOverride changes a list of words: first replace, then remove, then append.
//
// +kubebuilder:validation:XValidation:rule="has(self.replace) || has(self.remove) || has(self.append)",message="must have replace, remove or append"
// +kubebuilder:validation:XValidation:rule="!has(self.replace) || !(has(self.remove) || has(self.append))",message="replace is the whole list: no remove or append besides"
type ArgsOverride struct {
	// container is the one whose arguments change; empty: all containers, init containers not.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Container string `json:"container,omitempty"`
	// replace all; empty: none is left.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=4096
	// +optional
	Replace []string `json:"replace,omitempty"`
	// remove words that are equal to one of these, if they are there.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=4096
	// +optional
	Remove []string `json:"remove,omitempty"`
	// append these.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=4096
	// +optional
	Append []string `json:"append,omitempty"`
}

// LabelsOverride changes labels.
//
// +kubebuilder:validation:XValidation:rule="has(self.set) || has(self.remove)",message="must have set or remove"
type LabelsOverride struct {
	// set these.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && !format.qualifiedName().validate(k).hasValue())",message="each key must be a label key, as app or example.com/app"
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k.startsWith('hanse.dev/'))",message="labels of hanse.dev cannot be overridden"
	// +optional
	Set map[string]LabelValue `json:"set,omitempty"`
	// remove these, if they are there.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k.startsWith('hanse.dev/'))",message="labels of hanse.dev cannot be overridden"
	// +optional
	Remove []string `json:"remove,omitempty"`
}

// AnnotationsOverride changes annotations.
//
// +kubebuilder:validation:XValidation:rule="has(self.set) || has(self.remove)",message="must have set or remove"
type AnnotationsOverride struct {
	// set these.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && !format.qualifiedName().validate(k.lowerAscii()).hasValue())",message="each key must be an annotation key, as example.com/name"
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k.startsWith('hanse.dev/'))",message="annotations of hanse.dev cannot be overridden"
	// +optional
	Set map[string]string `json:"set,omitempty"`
	// remove these, if they are there.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k.startsWith('hanse.dev/'))",message="annotations of hanse.dev cannot be overridden"
	// +optional
	Remove []string `json:"remove,omitempty"`
}

// JSONPatchOperation is one operation of RFC 6902.
//
// +kubebuilder:validation:XValidation:rule="(self.op in ['move', 'copy']) == has(self.from)",message="move and copy need from, others have none"
type JSONPatchOperation struct {
	// op is add, remove, replace, move, copy or test.
	// +kubebuilder:validation:Enum=add;remove;replace;move;copy;test
	// +required
	Op string `json:"op"`
	// path is a JSON Pointer (RFC 6901), such as /spec/template/spec/priorityClassName;
	// ~1 stands for / in a name, and ~0 for ~.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^(/([^/~]|~[01])*)+$`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^/(apiVersion|kind|status|metadata)(/|$)') || (self.matches('^/metadata/(labels|annotations)(/|$)') && !self.contains('/hanse.dev~1'))",message="apiVersion, kind, status, and in metadata what is not a label or annotation, or is one of hanse.dev, cannot be overridden"
	// +required
	Path string `json:"path"`
	// from is where move and copy take the value.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^(/([^/~]|~[01])*)+$`
	// +optional
	From string `json:"from,omitempty"`
	// value of add, replace and test, which need one that is not null: objects of
	// Kubernetes hold no nulls.
	// +optional
	Value *apiextensionsv1.JSON `json:"value,omitempty"`
}
