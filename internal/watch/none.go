package watch

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/rest"
)

// None asks an API server whether it has no object at a path with these labels. It blocks until ctx ends at most.
func None(ctx context.Context, client rest.Interface, path, labels string) (bool, error) {
	body, err := client.Get().AbsPath(path).
		SetHeader("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json").
		VersionedParams(&metav1.ListOptions{LabelSelector: labels, Limit: 1}, metav1.ParameterCodec).
		DoRaw(ctx)
	if err != nil {
		return false, err
	}
	var list struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Continue string `json:"continue"`
		} `json:"metadata"`
		Items []struct{} `json:"items"`
	}
	if err := kjson.Unmarshal(body, &list); err != nil {
		return false, err
	}
	return list.Kind != "" && len(list.Items) == 0 && list.Metadata.Continue == "", nil
}
