package workloads

import (
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// readManifests are the objects in files, which have names.
func readManifests(files []string, stdin io.Reader) (all []*unstructured.Unstructured, err error) {
	for _, file := range files {
		found, err := readObjects(file, stdin)
		if err != nil {
			return nil, err
		}
		for _, u := range found {
			if u.GetName() == "" && u.GetGenerateName() == "" {
				return nil, fmt.Errorf("%s has a %s without a name. Try: a manifest that kubectl apply accepts", file, u.GetKind())
			}
		}
		all = append(all, found...)
	}
	return all, nil
}

// readObjects are the objects in a file of YAML or JSON documents, or in stdin for
// -; Lists are taken apart.
func readObjects(file string, stdin io.Reader) ([]*unstructured.Unstructured, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", file, err)
		}
		defer f.Close()
		in = f
	}
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(in, 4096)
	for {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", file, err)
		}
		if len(u.Object) == 0 {
			continue // nothing between two ---
		}
		if u.GetKind() == "" || u.GetAPIVersion() == "" {
			return nil, fmt.Errorf("%s has an object without apiVersion or kind. Try: a manifest that kubectl apply accepts", file)
		}
		if !u.IsList() {
			all = append(all, u)
			continue
		}
		err = u.EachListItem(func(o runtime.Object) error {
			item, ok := o.(*unstructured.Unstructured)
			if !ok || item.GetKind() == "" || item.GetAPIVersion() == "" {
				return errors.New("an item has no apiVersion or kind")
			}
			all = append(all, item)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("cannot read the list in %s: %w", file, err)
		}
	}
}
