package placement

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/handlers"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// newScope describes the kind to upstream's handlers, which then answer as they do for a custom resource: every format
// of it but protobuf, tables with the columns of the CustomResourceDefinition, metadata alone.
func newScope() (*handlers.RequestScope, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering the kinds of hanse.dev: %w", err)
	}
	columns, err := columns()
	if err != nil {
		return nil, err
	}
	table, err := tableconvertor.New(columns)
	if err != nil {
		return nil, fmt.Errorf("reading the columns of Placement: %w", err)
	}
	codecs := serializer.NewCodecFactory(scheme)
	var standard []runtime.SerializerInfo
	for _, info := range codecs.SupportedMediaTypes() {
		if info.MediaType != runtime.ContentTypeProtobuf {
			standard = append(standard, info)
		}
	}
	return &handlers.RequestScope{
		Namer:               handlers.ContextBasedNaming{Namer: meta.NewAccessor()},
		Serializer:          codecs,
		ParameterCodec:      runtime.NewParameterCodec(scheme),
		StandardSerializers: standard,
		Creater:             scheme,
		Convertor:           scheme,
		Defaulter:           scheme,
		Typer:               scheme,
		UnsafeConvertor:     runtime.UnsafeObjectConvertor(scheme),
		TableConvertor:      table,
		Resource:            v1alpha1.Resource(plural),
		Kind:                v1alpha1.GroupVersion().WithKind("Placement"),
		HubGroupVersion:     v1alpha1.GroupVersion(),
		MetaGroupVersion:    metav1.SchemeGroupVersion,
	}, nil
}

// columns are those that the CustomResourceDefinition has.
func columns() ([]apiextensionsv1.CustomResourceColumnDefinition, error) {
	data, err := v1alpha1.CRDs.ReadFile("crds/hanse.dev_placements.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the definition of Placement: %w", err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(data, crd); err != nil {
		return nil, fmt.Errorf("reading the definition of Placement: %w", err)
	}
	for _, v := range crd.Spec.Versions {
		if v.Name == v1alpha1.GroupVersion().Version {
			return v.AdditionalPrinterColumns, nil
		}
	}
	return nil, fmt.Errorf("the definition of Placement has no version %s", v1alpha1.GroupVersion().Version)
}
