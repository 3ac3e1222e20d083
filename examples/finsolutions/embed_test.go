package finsolutions

import (
	"bytes"
	"io/fs"
	"maps"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// decode reads a document of Kubernetes' kinds or Hanse's.
func decode(t *testing.T, doc []byte) (runtime.Object, *schema.GroupVersionKind, error) {
	t.Helper()
	known := runtime.NewScheme()
	if err := scheme.AddToScheme(known); err != nil {
		t.Fatal(err)
	}
	if err := v1alpha1.AddToScheme(known); err != nil {
		t.Fatal(err)
	}
	return serializer.NewCodecFactory(known, serializer.EnableStrict).UniversalDeserializer().Decode(doc, nil, nil)
}

// TestManifests decodes every document strictly, as the API server would, and
// checks what the application needs in order to run.
func TestManifests(t *testing.T) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range bytes.Split(data, []byte("\n---\n")) {
			obj, gvk, err := decode(t, doc)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			kinds[gvk.Kind]++
			switch o := obj.(type) {
			case *appsv1.Deployment:
				for key, value := range o.Spec.Selector.MatchLabels {
					if o.Spec.Template.Labels[key] != value {
						t.Errorf("%s: the selector of %s does not select its pods", name, o.Name)
					}
				}
			case *networkingv1.Ingress:
				for i, want := range []string{Host, "www." + Host} {
					if got := o.Spec.Rules[i].Host; got != want {
						t.Errorf("%s: rule %d is for %s, want %s", name, i, got, want)
					}
				}
			}
		}
		if !strings.Contains("db-cluster.yaml "+strings.Join(federated(), " "), name) {
			t.Errorf("%s is not applied", name)
		}
	}
	if kinds["Deployment"] != 7 || kinds["Ingress"] != 1 {
		t.Errorf("kinds: %v", kinds)
	}
}

func TestManifestsForSoManyClusters(t *testing.T) {
	for clusters, databases := range map[int]int32{1: 1, 2: 2, 3: 3, 9: 3} {
		data, err := Manifests(clusters)
		if err != nil {
			t.Fatal(err)
		}
		docs := bytes.Split(data, []byte("\n---\n"))
		if len(docs) != 17 {
			t.Errorf("%d documents, want 17", len(docs))
		}
		want := map[string]int32{
			"db-primary": databases, "db-slave": databases,
			"wordpress": 6, "whoami": 3, "traefik-ingress-controller": 3,
		}
		got := map[string]int32{}
		for _, doc := range docs {
			obj, _, err := decode(t, doc)
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := obj.(*appsv1.Deployment); ok {
				got[d.Name] = *d.Spec.Replicas
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%d clusters: %v, want %v", clusters, got, want)
		}
	}
}
