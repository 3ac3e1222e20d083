package access

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// errWatchEnded says that a watch has to be begun again.
var errWatchEnded = errors.New("watch ended")

// WatchCluster calls done with the Cluster as it is and each time it changes,
// with nil once it is not there, until done returns true or ctx ends; then
// ctx's error is returned.
func WatchCluster(ctx context.Context, clusters *ClusterClient, name string, done func(*v1alpha1.Cluster) bool) error {
	for {
		err := watchOnce(ctx, clusters, name, done)
		if ctx.Err() != nil && err != nil {
			return ctx.Err()
		}
		if !errors.Is(err, errWatchEnded) {
			return err
		}
	}
}

func watchOnce(ctx context.Context, clusters *ClusterClient, name string, done func(*v1alpha1.Cluster) bool) error {
	opts := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()}
	list, err := clusters.List(ctx, opts)
	if err != nil {
		return fmt.Errorf("cannot read Cluster %s: %w", name, err)
	}
	var now *v1alpha1.Cluster
	if len(list.Items) > 0 {
		now = &list.Items[0]
	}
	if done(now) {
		return nil
	}
	opts.ResourceVersion = list.ResourceVersion
	w, err := clusters.Watch(ctx, opts)
	if err != nil {
		return fmt.Errorf("cannot watch Cluster %s: %w", name, err)
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		switch event.Type {
		case watch.Deleted:
			now = nil
		case watch.Added, watch.Modified:
			now = event.Object.(*v1alpha1.Cluster)
		case watch.Error:
			if err := apierrors.FromObject(event.Object); !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
				return fmt.Errorf("cannot watch Cluster %s: %w", name, err)
			}
			return errWatchEnded
		default:
			continue
		}
		if done(now) {
			return nil
		}
	}
	return errWatchEnded
}
