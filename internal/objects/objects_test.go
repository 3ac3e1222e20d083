package objects

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"pgregory.net/rapid"
)

// deployment is as an API server answers with it.
const deployment = `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web","namespace":"shop","uid":"0b7bb5a1-2cb3-4f0c-8f35-7e0e4c7ac1c0","resourceVersion":"1764219219123456","generation":1,` +
	`"creationTimestamp":"2026-11-27T05:17:47Z","annotations":{"a":"<b>&"},"managedFields":[{"manager":"hanse","operation":"Update","apiVersion":"apps/v1","time":"2026-11-27T05:17:47Z","fieldsType":"FieldsV1",` +
	`"fieldsV1":{"f:metadata":{"f:annotations":{".":{},"f:a":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{}},"f:type":{}},"f:template":{"f:metadata":{"f:labels":{".":{},"f:name":{}}},` +
	`"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:ports":{".":{},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}}]},` +
	`"spec":{"replicas":1,"selector":{"matchLabels":{"name":"web"}},"template":{"metadata":{"labels":{"name":"web"}},"spec":{"containers":[{"name":"web","image":"web:1","ports":[{"containerPort":80,"protocol":"TCP"}],"resources":{"limits":{"cpu":0.5}}}],` +
	`"restartPolicy":"Always","terminationGracePeriodSeconds":30}},"strategy":{"type":"RollingUpdate"}},"status":{}}`

// answers is what a server says to requests.
type answers struct {
	code int
	body string
	sent []byte
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.sent, _ = io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.code)
	_, _ = io.WriteString(w, a.body)
}

// TestClientsAgree: what is sent, read and refused is what upstream's client sends, reads and refuses.
func TestClientsAgree(t *testing.T) {
	a := &answers{}
	server := httptest.NewServer(a)
	defer server.Close()
	cfg := &rest.Config{Host: server.URL, QPS: -1}
	upstream, err := dynamic.NewForConfigAndClient(cfg, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	ours, err := NewClient(cfg, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	gvr := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON([]byte(deployment)); err != nil {
		t.Fatal(err)
	}
	const status = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"m","reason":"AlreadyExists","details":{"name":"web","causes":[{"field":"f"}]},"code":409}`
	for _, c := range []struct {
		code int
		body string
	}{
		{200, deployment}, {201, deployment}, {200, `{"kind":"X","apiVersion":"v1","n":1e3,"big":9007199254740993,"list":[1,null]}`},
		{200, `{"kind":"XList","apiVersion":"v1","items":[{"a":1}]}`}, {200, status}, {200, "null"}, {200, ""}, {200, "{}"}, {200, `{"kind":7}`}, {200, `{"kind":"X"`}, {200, `{"apiVersion":"v1"}`}, {200, "[]"}, {200, "<html>"},
		{409, status}, {409, "in the way"}, {422, status}, {500, "{}"}, {500, ""}, {503, "<html>"}, {404, deployment},
	} {
		a.code, a.body = c.code, c.body
		for verb, do := range map[string]func(dynamic.ResourceInterface) (*unstructured.Unstructured, error){
			"get": func(r dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
				return r.Get(t.Context(), "web", metav1.GetOptions{})
			},
			"create": func(r dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
				return r.Create(t.Context(), obj, metav1.CreateOptions{FieldManager: "m"})
			},
			"update": func(r dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
				return r.Update(t.Context(), obj, metav1.UpdateOptions{})
			},
			"patch": func(r dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
				return r.Patch(t.Context(), "web", types.MergePatchType, []byte(`{"a":1}`), metav1.PatchOptions{})
			},
			"delete": func(r dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
				uid := types.UID("u")
				return nil, r.Delete(t.Context(), "web", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
			},
		} {
			want, wantErr := do(upstream.Resource(gvr).Namespace("shop"))
			sent := a.sent
			got, err := do(ours.Resource(gvr).Namespace("shop"))
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || apierrors.ReasonForError(err) != apierrors.ReasonForError(wantErr) {
				t.Errorf("%s answered %d %s: %v, want %v", verb, c.code, c.body, err, wantErr)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s answered %s: %v, want %v", verb, c.body, got, want)
			}
			if !sameJSON(a.sent, sent) {
				t.Errorf("%s sends %s, want %s", verb, a.sent, sent)
			}
		}
	}
}

// sameJSON says whether texts are the same but for the order of fields.
func sameJSON(a, b []byte) bool {
	var x, y any
	return bytes.Equal(a, b) || kjson.Unmarshal(a, &x) == nil && kjson.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y) && len(a) == len(b)
}

// TestValuesAreEncoded as package json does it.
func TestValuesAreEncoded(t *testing.T) {
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			most := 7
			if depth == 0 {
				most = 5
			}
			switch rapid.IntRange(0, most).Draw(t, "type") {
			case 0:
				return rapid.String().Draw(t, "text")
			case 1:
				return rapid.Int64().Draw(t, "n")
			case 2:
				return rapid.Bool().Draw(t, "yes")
			case 3:
				return rapid.Float64().Draw(t, "f")
			case 4:
				return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
			case 6:
				return rapid.SliceOfN(value(depth-1), 0, 4).Draw(t, "items")
			case 7:
				return rapid.MapOfN(rapid.StringN(0, 5, -1), value(depth-1), 0, 4).Draw(t, "fields")
			}
			return nil
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		v := value(3).Draw(t, "value")
		want, err := json.Marshal(v)
		got, ok := appendValue(nil, v)
		if ok != (err == nil) || ok && !sameJSON(got, want) {
			t.Fatalf("%s, want %s, %v", got, want, err)
		}
	})
	for _, v := range []any{map[string]any(nil), []any(nil), map[string]any{}, []any{}, map[string]string{"a": "b"}, int32(7), make(chan int), []any{func() {}}} {
		want, err := json.Marshal(v)
		if got, ok := appendValue(nil, v); ok != (err == nil) || ok && string(got) != string(want) {
			t.Errorf("%T: %s, want %s", v, got, want)
		}
	}
}

// BenchmarkCodec is what it takes to read an answer and to write an object, for both clients.
func BenchmarkCodec(b *testing.B) {
	plain := dynamic.ConfigFor(&rest.Config{}).NegotiatedSerializer
	for name, s := range map[string]runtime.NegotiatedSerializer{"upstream": plain, "objects": serializer{plain}} {
		info := plain.SupportedMediaTypes()[0].Serializer
		d, e := s.DecoderToVersion(info, nil), s.EncoderForVersion(info, nil)
		obj := &unstructured.Unstructured{}
		b.Run(name+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := d.Decode([]byte(deployment), nil, obj); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/encode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := e.Encode(obj, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
