// Package objects is client-go's dynamic client, with objects decoded and encoded once: upstream's serializer reads each answer
// three times, to find its kind, to part it, and to decode it, and writes each object twice, with its fields sorted. It also knows what an API server serves.
package objects

import (
	"fmt"
	"io"
	"net/http"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// NewClient makes a client of an API server for objects of any kind.
func NewClient(cfg *rest.Config, client *http.Client) (dynamic.Interface, error) {
	cfg = dynamic.ConfigFor(cfg)
	cfg.NegotiatedSerializer = serializer{cfg.NegotiatedSerializer}
	cfg.GroupVersion, cfg.APIPath = nil, ""
	c, err := rest.UnversionedRESTClientForConfigAndClient(cfg, client)
	if err != nil {
		return nil, fmt.Errorf("make a client for objects: %w", err)
	}
	return dynamic.New(c), nil
}

// serializer is upstream's, but for single objects of any kind.
type serializer struct{ runtime.NegotiatedSerializer }

func (s serializer) EncoderForVersion(e runtime.Encoder, gv runtime.GroupVersioner) runtime.Encoder {
	return encoder{s.NegotiatedSerializer.EncoderForVersion(e, gv)}
}

func (s serializer) DecoderToVersion(d runtime.Decoder, gv runtime.GroupVersioner) runtime.Decoder {
	return decoder{s.NegotiatedSerializer.DecoderToVersion(d, gv)}
}

type encoder struct{ runtime.Encoder }

// Encode writes what upstream's does, with fields in any order.
func (e encoder) Encode(obj runtime.Object, w io.Writer) error {
	if o, ok := obj.(*unstructured.Unstructured); ok && o.GetKind() != "" {
		if body, ok := appendFields(make([]byte, 0, usualBody), o.Object); ok {
			_, err := w.Write(append(body, '\n'))
			return err
		}
	}
	return e.Encoder.Encode(obj, w)
}

// usualBody is how many bytes most objects have.
const usualBody = 2 << 10

type decoder struct{ runtime.Decoder }

// Decode reads what upstream's does; what it does not understand is left to that, with the error.
func (d decoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if o, ok := into.(*unstructured.Unstructured); ok {
		var object map[string]any
		if err := kjson.Unmarshal(data, &object); err == nil {
			read := unstructured.Unstructured{Object: object}
			if gvk := read.GroupVersionKind(); gvk.Kind != "" {
				*o = read
				return o, &gvk, nil
			}
		}
	}
	return d.Decoder.Decode(data, defaults, into)
}
