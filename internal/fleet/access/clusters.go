package access

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// ClusterClient reads and writes the Clusters of a hub.
type ClusterClient = gentype.ClientWithList[*v1alpha1.Cluster, *v1alpha1.ClusterList]

// NewClusterClient makes one.
func NewClusterClient(hub *rest.Config) (*ClusterClient, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("cannot register the kinds of hanse.dev: %w", err)
	}
	gv := v1alpha1.GroupVersion()
	cfg := rest.CopyConfig(hub)
	cfg.GroupVersion, cfg.APIPath = &gv, "/apis"
	cfg.ContentType, cfg.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client for the hub: %w", err)
	}
	return gentype.NewClientWithList("clusters", client, runtime.NewParameterCodec(scheme), metav1.NamespaceNone,
		func() *v1alpha1.Cluster { return &v1alpha1.Cluster{} },
		func() *v1alpha1.ClusterList { return &v1alpha1.ClusterList{} }), nil
}
