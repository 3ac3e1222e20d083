package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// server is an API server, as the bench uses it.
type server struct {
	name       string
	kubeconfig string
	client     *rest.RESTClient      // writes JSON, as kubectl does
	watch      *kubernetes.Clientset // watches in protobuf, to cost the machine little
}

func connect(name, kubeconfig string, config *rest.Config) (*server, error) {
	config.QPS = -1
	config.UserAgent = "hanse-bench"
	client, err := rest.UnversionedRESTClientFor(unversioned(config))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", name, err)
	}
	lean := rest.CopyConfig(config)
	lean.ContentType = runtime.ContentTypeProtobuf
	watch, err := kubernetes.NewForConfig(lean)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", name, err)
	}
	return &server{name: name, kubeconfig: kubeconfig, client: client, watch: watch}, nil
}

// unversioned is config for requests by path.
func unversioned(config *rest.Config) *rest.Config {
	c := rest.CopyConfig(config)
	c.NegotiatedSerializer = rest.CodecFactoryForGeneratedClient(runtime.NewScheme(), codecs()).WithoutConversion()
	return c
}

// ready asks /readyz.
func (s *server) ready(ctx context.Context) bool {
	var code int
	s.client.Get().AbsPath("/readyz").Do(ctx).StatusCode(&code)
	return code == http.StatusOK
}

// clusters are the phases of the hub's Clusters.
func (s *server) clusters(ctx context.Context) ([]string, error) {
	data, err := s.client.Get().AbsPath("/apis/hanse.dev/v1alpha1/clusters").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct{ Status struct{ Phase string } }
	}
	if err := decode(data, &list); err != nil {
		return nil, err
	}
	var phases []string
	for _, c := range list.Items {
		phases = append(phases, c.Status.Phase)
	}
	return phases, nil
}

// createNamespace makes a Namespace.
func (s *server) createNamespace(ctx context.Context, name string) error {
	body := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, name)
	return s.client.Post().AbsPath("/api/v1/namespaces").SetHeader("Content-Type", runtime.ContentTypeJSON).Body([]byte(body)).Do(ctx).Error()
}

// post creates an object in the collection at path.
func (s *server) post(ctx context.Context, path string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return s.client.Post().AbsPath(path).SetHeader("Content-Type", runtime.ContentTypeJSON).Body(body).Do(ctx).Error()
}

// awaitNamespace returns once a Namespace is there.
func (s *server) awaitNamespace(ctx context.Context, name string) error {
	err := poll(ctx, tick, func() (bool, error) {
		_, err := s.watch.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("the namespace %s does not come to %s: %w", name, s.name, err)
	}
	return nil
}

// version is the resource version of a collection.
func (s *server) version(ctx context.Context, path string) (string, error) {
	data, err := s.client.Get().AbsPath(path).Param("limit", "1").DoRaw(ctx)
	if err != nil {
		return "", fmt.Errorf("listing %s in %s: %w", path, s.name, err)
	}
	var list struct {
		Metadata struct{ ResourceVersion string }
	}
	err = decode(data, &list)
	return list.Metadata.ResourceVersion, err
}

// writes counts the requests that change something, as the server does: by resource.
func (s *server) writes(ctx context.Context) (map[string]int, error) {
	data, err := s.client.Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the metrics of %s: %w", s.name, err)
	}
	return countWrites(string(data)), nil
}

// countWrites sums apiserver_request_total over the verbs that write. Leases are the servers' own heartbeat.
func countWrites(metrics string) map[string]int {
	counts := map[string]int{}
	for line := range strings.Lines(metrics) {
		rest, ok := strings.CutPrefix(line, "apiserver_request_total{")
		if !ok {
			continue
		}
		labels, value, ok := strings.Cut(rest, "} ")
		if !ok {
			continue
		}
		resource := label(labels, "resource")
		switch label(labels, "verb") {
		case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
		default:
			continue
		}
		if resource == "leases" || resource == "tokenreviews" || resource == "subjectaccessreviews" || resource == "selfsubjectaccessreviews" {
			continue
		}
		var n float64
		if _, err := fmt.Sscanf(value, "%g", &n); err == nil {
			counts[resource] += int(n)
		}
	}
	return counts
}

// label is the value of a label among labels as the metrics have them.
func label(labels, name string) string {
	_, rest, ok := strings.Cut(","+labels, ","+name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// since is what has been counted after before.
func since(after, before map[string]int) map[string]int {
	difference := map[string]int{}
	for resource, n := range after {
		if n -= before[resource]; n != 0 {
			difference[resource] = n
		}
	}
	return difference
}

func sum(counts map[string]int) int {
	total := 0
	for _, n := range counts {
		total += n
	}
	return total
}
