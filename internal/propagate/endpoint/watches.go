package endpoint

import (
	"context"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/watch"
)

// Versioned is a source that remembers of which Version the last list is.
type Versioned struct {
	watch.REST[*unstructured.Unstructured]
	Version uint64
}

// List is of watch.Source.
func (v *Versioned) List(ctx context.Context, o metav1.ListOptions, each func(*unstructured.Unstructured) error) (metav1.ListMeta, error) {
	head, err := v.REST.List(ctx, o, each)
	v.Version = template.RevisionOf(head.ResourceVersion)
	return head, err
}

// NewRESTClient is for requests that are paced by those who make them.
func NewRESTClient(cfg *rest.Config, client *http.Client) (rest.Interface, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	cfg.QPS, cfg.RateLimiter = -1, nil
	return rest.UnversionedRESTClientForConfigAndClient(cfg, client)
}
