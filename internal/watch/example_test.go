package watch_test

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/watch"
	"github.com/hanse-dev/hanse/internal/watch/watchtest"
)

// TestExample is how a ConfigMap of some label is watched by its metadata, through the exported names alone.
func TestExample(t *testing.T) {
	const path = "/api/v1/configmaps"
	s := watchtest.New(t)
	s.Serve(path, "v1", "ConfigMap")
	s.Put(path, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "a", Labels: map[string]string{"hanse.dev/managed": "true"}}})
	client, err := watch.NewClient(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var heard []string
	watch.Run(ctx, watch.Resource[*metav1.PartialObjectMetadata, string]{Clock: clock.RealClock{},
		Name:   "aws/configmaps",
		Source: watch.REST[*metav1.PartialObjectMetadata]{Client: client, Path: watch.Path(corev1.SchemeGroupVersion.WithResource("configmaps"), ""), Format: watch.Metadata()},
		Labels: "hanse.dev/managed=true",
		Trim:   (*metav1.PartialObjectMetadata).GetName,
		Into: watch.Sink[string]{
			Replace: func(all []string) {
				heard = append(heard, fmt.Sprint("all ", all))
				s.Delete(path, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "a", Labels: map[string]string{"hanse.dev/managed": "true"}}})
			},
			Remove: func(name string) {
				heard = append(heard, "removed "+name)
				cancel()
			},
		},
	})
	if got := fmt.Sprint(heard); got != "[all [a] removed a]" {
		t.Errorf("heard %s", got)
	}
}
