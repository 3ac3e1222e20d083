package watch

import (
	"bytes"
	"encoding/json"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/util/json"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
)

// Format is how objects are asked for, and what is made of the bytes that come.
type Format[O metav1.Object] struct {
	accept string
	// kind of the objects, empty if any may come.
	kind string
	// decode reads one object.
	decode func([]byte) (O, error)
	// name, if not nil, gives an object of a list its kind, which servers leave out there.
	name func(o O, apiVersion, kind string)
	// bare is an object of which nothing is known but its version; nil: none is passed over.
	bare func(version string) O
	// decodeList reads a list in binary; nil: none is asked for.
	decodeList func([]byte) (runtime.Object, error)
}

// Typed are objects of a kind that client-go has a type for, as protobuf where the server can.
func Typed[O metav1.Object](kind schema.GroupVersionKind) Format[O] {
	decoder := scheme.Codecs.UniversalDeserializer()
	return Format[O]{
		accept: runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON, kind: kind.Kind,
		decode: func(data []byte) (o O, err error) {
			out, _, err := decoder.Decode(data, &kind, nil)
			if err != nil {
				return o, garbled("what is no %s: %v", kind.Kind, err)
			}
			o, ok := out.(O)
			if !ok {
				return o, garbled("a %T instead of a %s", out, kind.Kind)
			}
			return o, nil
		},
		decodeList: func(data []byte) (runtime.Object, error) {
			list, _, err := decoder.Decode(data, nil, nil)
			return list, err
		},
	}
}

// Unstructured are objects of any kind, whole.
func Unstructured() Format[*unstructured.Unstructured] {
	return Format[*unstructured.Unstructured]{
		accept: runtime.ContentTypeJSON,
		decode: func(data []byte) (*unstructured.Unstructured, error) {
			out := &unstructured.Unstructured{}
			if err := kjson.Unmarshal(data, &out.Object); err != nil {
				return nil, garbled("what is no object: %v", err)
			}
			if out.Object == nil {
				return nil, garbled("null instead of an object")
			}
			return out, nil
		},
		bare: func(version string) *unstructured.Unstructured {
			return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"resourceVersion": version}}}
		},
		name: func(o *unstructured.Unstructured, apiVersion, kind string) {
			if o.GetKind() == "" && kind != "" {
				o.SetAPIVersion(apiVersion)
				o.SetKind(kind)
			}
		},
	}
}

// Metadata are objects of any kind, without spec and status, which the server does not even send.
func Metadata() Format[*metav1.PartialObjectMetadata] {
	return Format[*metav1.PartialObjectMetadata]{
		accept: runtime.ContentTypeJSON + ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1," + runtime.ContentTypeJSON,
		decode: func(data []byte) (*metav1.PartialObjectMetadata, error) {
			out := &metav1.PartialObjectMetadata{}
			if err := json.Unmarshal(data, out); err != nil {
				return nil, garbled("what is no object: %v", err)
			}
			return out, nil
		},
	}
}

// event reads an event of a watch. known says of versions of objects that nothing has to be done about them; nil: of none.
func (f Format[O]) event(frame []byte, binary bool, known func(Head) bool) (e Event[O], err error) {
	var kind string
	var object []byte
	if binary {
		var raw metav1.WatchEvent
		err = raw.Unmarshal(frame)
		kind, object = raw.Type, raw.Object.Raw
	} else {
		kind, object, err = eventOf(frame)
	}
	switch {
	case err != nil:
		return e, garbled("what is no event: %v", err)
	case kind == "ERROR":
		return e, statusOf(object)
	}
	e.Type = eventType(kind)
	if known != nil && f.bare != nil && !binary && (e.Type == apiwatch.Added || e.Type == apiwatch.Modified) {
		if h, ok := headOf(object); ok && known(h) {
			return Event[O]{Type: Passed, Object: f.bare(h.ResourceVersion)}, nil
		}
	}
	e.Object, err = f.decode(object)
	return e, err
}

// binaryMagic begins what Kubernetes encodes as protobuf.
var binaryMagic = []byte("k8s\x00")

// page reads a list in binary and hands its objects to each.
func (f Format[O]) page(data []byte, each func(O) error) (metav1.ListMeta, error) {
	if f.decodeList == nil || !bytes.HasPrefix(data, binaryMagic) {
		return metav1.ListMeta{}, garbled("a list in no encoding that was asked for")
	}
	list, err := f.decodeList(data)
	if err != nil {
		return metav1.ListMeta{}, garbled("what is no list: %v", err)
	}
	head, err := meta.ListAccessor(list)
	if err != nil {
		return metav1.ListMeta{}, garbled("a %T instead of a list", list)
	}
	err = meta.EachListItem(list, func(item runtime.Object) error {
		o, ok := item.(O)
		if !ok {
			return garbled("a %T in a list of %s", item, f.kind)
		}
		return each(o)
	})
	return metav1.ListMeta{ResourceVersion: head.GetResourceVersion(), Continue: head.GetContinue()}, err
}
